//! Bytes as a frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portreeve_tests::fuzz::parser(bytes));
