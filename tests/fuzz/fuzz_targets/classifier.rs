#![no_main]

#[path = "../src/classifier.rs"]
mod classifier;

libfuzzer_sys::fuzz_target!(|input: &[u8]| classifier::check(input));
