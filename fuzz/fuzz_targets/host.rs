//! Bytes as a host file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portreeve_tests::fuzz::host(bytes));
