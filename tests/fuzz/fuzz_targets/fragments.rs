#![no_main]

#[path = "../src/fragments.rs"]
mod fragments;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fragments::check(input));
