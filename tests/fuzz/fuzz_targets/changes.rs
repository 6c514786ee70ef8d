#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (before, after) = input.split_at(input.len() / 2);
    ravelin_tests::compiled::check_changes(before, after);
});
