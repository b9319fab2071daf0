//! Bytes as a resolver's answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portreeve_tests::fuzz::answer(bytes));
