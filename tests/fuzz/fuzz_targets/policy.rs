#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ravelin_tests::compiled::check(input));
