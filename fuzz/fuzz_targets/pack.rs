//! Bytes as a pack.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portreeve_tests::fuzz::pack(bytes));
