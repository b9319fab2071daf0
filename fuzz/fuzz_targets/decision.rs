//! Bytes as a sequence of frames.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portreeve_tests::fuzz::decision(bytes));
