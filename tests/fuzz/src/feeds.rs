//! What the formats of feeds promise for every byte string: an answer, which is the same each time; entries that are read again
//! as what they are; limits that hold. Used by the fuzz target and by `control/tests/corpus.rs`.

use clap::ValueEnum;
use ravelin_control::feeds::{
    What,
    formats::{Csv, Format, FormatError, Json, Limits, Options, Parsed, Problem, parse},
};

/// Checks one file, in every format.
pub(crate) fn check(input: &[u8]) {
    for format in Format::value_variants() {
        let options = options(*format);
        let result = parse(input, &options);
        assert_eq!(result, parse(input, &options));
        if let Ok(parsed) = result {
            check_parsed(input, options, &parsed);
        }
    }
}

/// Options with which every format finds something.
fn options(format: Format) -> Options {
    let auto = format == Format::Auto;
    Options {
        format,
        csv: Csv {
            column: "1".parse().ok().filter(|_| !auto),
            port: "2".parse().ok().filter(|_| has_ports(format)),
            header: false,
            ..Csv::default()
        },
        json: Json {
            path: if auto { "$" } else { "$[*].ip" }.parse().expect("a path"),
            port: "$[*].port".parse().ok().filter(|_| has_ports(format)),
        },
        limits: Limits { bytes: 1 << 20, entries: 10_000, line: 4096 },
        now: "2026-06-01T00:00:00Z".parse().ok(),
    }
}

fn has_ports(format: Format) -> bool {
    matches!(format, Format::Csv | Format::Json)
}

fn check_parsed(input: &[u8], mut options: Options, parsed: &Parsed) {
    assert_ne!(parsed.format, Format::Auto);
    assert!(parsed.problems.len() <= 1000);
    for Problem { found, expected, .. } in &parsed.problems {
        assert!(
            found.chars().count() <= Problem::SHOWN + 1 && !found.contains(char::is_control),
            "{found:?}"
        );
        assert!(!expected.is_empty());
    }
    let whats = |parsed: &Parsed| {
        let mut whats: Vec<String> = parsed
            .indicators
            .iter()
            .filter(|indicator| !matches!(indicator.what, What::Ja3(_) | What::Certificate(_)))
            .map(|indicator| indicator.what.to_string())
            .collect();
        whats.sort_unstable();
        whats
    };
    let list = whats(parsed);
    if !list.is_empty() {
        let lines = Options { format: Format::Lines, ..Options::default() };
        let again = parse(list.join("\n").as_bytes(), &lines).expect("a list");
        assert_eq!(again.problems, [], "{list:?}");
        assert!(again.remarks.is_empty(), "{list:?}");
        assert_eq!(whats(&again), list);
    }
    // What was detected reads the same if it is named; and one entry less is one too many.
    options.format = parsed.format;
    assert_eq!(parse(input, &options).as_ref(), Ok(parsed));
    if let Some(limit) = parsed.indicators.len().checked_sub(1) {
        options.limits.entries = limit;
        assert_eq!(parse(input, &options), Err(FormatError::TooMany { limit }));
    }
}
