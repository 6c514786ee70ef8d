#![no_main]

#[path = "../src/wireguard.rs"]
mod wireguard;

libfuzzer_sys::fuzz_target!(|input: &[u8]| wireguard::check(input));
