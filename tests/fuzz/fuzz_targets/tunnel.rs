#![no_main]

#[path = "../../../dataplane/tests/wireguard/lab.rs"]
mod lab;
#[path = "../../../dataplane/tests/support/mod.rs"]
mod support;
#[path = "../src/tunnel.rs"]
mod tunnel;

libfuzzer_sys::fuzz_target!(|input: &[u8]| tunnel::check(input));
