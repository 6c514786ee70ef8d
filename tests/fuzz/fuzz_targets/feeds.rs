#![no_main]

#[path = "../src/feeds.rs"]
mod feeds;

libfuzzer_sys::fuzz_target!(|input: &[u8]| feeds::check(input));
