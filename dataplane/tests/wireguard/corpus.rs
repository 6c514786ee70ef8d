//! What the fuzzer of tunnels starts from, and what it has found: replayed on every test run.

#[path = "../../../tests/fuzz/src/tunnel.rs"]
mod tunnel;

use std::{fs, path::PathBuf};

use tunnel::{check, step};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/tunnel")
}

/// A course of steps, each with what it asks for.
fn course(workers: u8, steps: &[(u8, &[u8])]) -> Vec<u8> {
    let steps = steps.iter().flat_map(|(kind, bytes)| [&[*kind], *bytes].concat());
    [workers - 1].into_iter().chain(steps).collect()
}

/// The seeds, each with a name that says what it shows.
fn seeds() -> Vec<(String, Vec<u8>)> {
    const LENGTH: &[u8] = &[0, 100];
    let mut all = Vec::new();
    // With one worker and with two, in turns.
    let mut add = |name: &str, steps: &[(u8, &[u8])]| {
        all.push((name.to_owned(), course(1 + (all.len() % 2) as u8, steps)));
    };
    add(
        "packets",
        &[(step::DATA, LENGTH), (step::ANSWER, LENGTH), (step::DATA, &[5, 80]), (step::ANSWER, &[5, 80])],
    );
    add("again", &[(step::DATA, LENGTH), (step::AGAIN, &[0]), (step::AGAIN, &[1]), (step::AGAIN, &[2])]);
    let held = [(step::HOLD, LENGTH); 4];
    let late = [
        (step::LATE, &[3][..]),
        (step::LATE, &[0]),
        (step::DATA, LENGTH),
        (step::LATE, &[1]),
        (step::AGAIN, &[4]),
    ];
    add("late", &[&held[..], &late].concat());
    let between = [
        (step::HOLD, LENGTH),
        (step::SESSION, &[]),
        (step::LATE, &[0]),
        (step::ANSWER, LENGTH),
        (step::AGAIN, &[1]),
    ];
    add("late_in_another_session", &between);
    let sessions = [(step::SESSION, &[][..]); 9];
    add(
        "sessions",
        &[&[(step::HOLD, LENGTH)], &sessions[..], &[(step::LATE, &[0]), (step::ANSWER, LENGTH)]].concat(),
    );
    let call = [
        (step::BEGIN, LENGTH),
        (step::BEGIN, LENGTH),
        (step::RESPONSE, &[1]),
        (step::AGAIN, &[2]),
        (step::BEGIN, LENGTH),
    ];
    add("call", &call);
    let cookie =
        [(step::BEGIN, LENGTH), (step::COOKIE, &[1][..]), (step::COOKIE, &[1]), (step::RESPONSE, &[1])];
    add("cookie", &cookie);
    let crowd = [(step::BEGIN, LENGTH); 60];
    add("waiting", &[&crowd[..], &[(step::TIME, &[255])]].concat());
    let inside: [(u8, &[u8]); 6] = [
        (step::INSIDE, &[1]),
        (step::INSIDE, &[2]),
        (step::INSIDE, &[0x83, 0, 19]),
        (step::INSIDE, &[7, 0, 3, 0]),
        (step::INSIDE, &[0, 0, 40, 0x60, 0, 0, 0, 0xff]),
        (step::INSIDE, &[0, 0, 20, 0x45, 0, 0, 20]),
    ];
    add("inside", &inside);
    let frames: [(u8, &[u8]); 3] =
        [(step::FRAME, &[1, 0, 60, 2, 0, 0, 0, 0, 2]), (step::FRAME, &[3, 0, 14]), (step::FRAME, &[0, 0, 0])];
    add("frames", &frames);
    for (kind, first) in (0..5).flat_map(|kind| [0, 0x80].map(|sum| (kind, kind | sum))) {
        let length: &[u8] = if kind == 0 || kind == 4 { &[0, 80] } else { &[] };
        let nonsense = [&[first], length, &[0, 0, 0, 0, 1, 0, 0, 0, 7]].concat();
        let name = if first & 0x80 == 0 { "nonsense" } else { "nonsense_summed" };
        add(&format!("{name}_{kind}"), &[(step::BYTES, &nonsense), (step::DATA, LENGTH)]);
    }
    for alteration in 0..8 {
        // At the beginning, in the middle, at the end; with a sum that is right, and with one that is not.
        let each = |kind: u8, head: &[u8]| {
            [
                (alteration, 2),
                (alteration, 20),
                (alteration | 0x80, 50),
                (alteration | 0x80, 5),
                (alteration, 63),
            ]
            .map(|(alteration, place)| {
                (kind, [head, &[alteration, 0, place, 9, 8, 7, 6, 5, 4, 3, 2]].concat())
            })
        };
        let all_kinds = [
            each(step::ALTERED, LENGTH),
            each(step::INITIATION, &[]),
            each(step::RESPONSE, &[0]),
            each(step::COOKIE, &[0]),
        ];
        let altered = all_kinds.concat();
        let altered = altered.iter().map(|(kind, bytes)| (*kind, &**bytes));
        let steps: Vec<_> = [(step::BEGIN, LENGTH)]
            .into_iter()
            .chain(altered)
            .chain([(step::RESPONSE, &[1][..]), (step::DATA, LENGTH), (step::ANSWER, LENGTH)])
            .collect();
        add(&format!("altered_{alteration}"), &steps);
    }
    let mut number = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 56) as u8
    };
    all.extend((0..6).map(|place| (format!("random_{place}"), (0..600).map(|_| random()).collect())));
    all
}

#[test]
fn the_seeds_are_in_the_fuzz_corpus() {
    for (name, input) in seeds() {
        let file = folder().join(&name);
        if std::env::var_os("RAVELIN_WRITE_CORPUS").is_some() {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&file, &input).unwrap();
        }
        let written = fs::read(&file).unwrap_or_default();
        assert_eq!(written, input, "{name}: RAVELIN_WRITE_CORPUS=1 writes the seeds");
    }
}

#[test]
fn tunnel_inputs() {
    let inputs: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() >= 30, "the corpus in {} is gone", folder().display());
    for input in inputs {
        println!("{}", input.display()); // shown if the check fails
        check(&fs::read(&input).unwrap());
    }
}
