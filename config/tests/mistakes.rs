//! A file with ten different mistakes is answered with ten diagnostics at the right places, in one run.

use ravelin_config::{Code, parse};

const TEXT: &str = "\
[workers]
cores = [0, 1, 0]
bacth = 64

[io]
ring_size = 1000

[[bridge]]
name = \"edge\"
ports = [\"outside0\"]
arp = true

\t[[policy]]
\tname = \"p\"\t# a tab, and letters of two bytes
\tingress = [{ description = \"größe\", action = \"denny\", source = { nets = [\"10.0.0.0/33\", \"10.0.0.0/8\"] } }]

[[policy]]
name = \"p\"
egress = [{ action = \"allow\", destination = { ports = [53] } }]

[flow.timeouts]
icmp = 30
";

#[test]
fn ten_mistakes_are_ten_diagnostics() {
    let report = parse(TEXT, "edge.toml").unwrap_err();
    let found: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|diagnostic| {
            let span = diagnostic.span.as_ref().unwrap();
            assert_eq!(span.file, "edge.toml");
            (diagnostic.code, span.line, span.column, span.end)
        })
        .collect();
    let expected = [
        (Code::DuplicateCore, 2, 16, 17),
        (Code::UnknownKey, 3, 1, 6),
        (Code::OutOfRange, 6, 13, 17),
        (Code::BridgePorts, 10, 9, 21),
        (Code::WrongType, 11, 7, 11),
        (Code::UnknownWord, 15, 47, 54),
        (Code::Malformed, 15, 75, 88),
        (Code::DuplicateName, 18, 8, 11),
        (Code::PortsWithoutProtocol, 19, 55, 59),
        (Code::WrongType, 22, 8, 10),
    ];
    assert_eq!(found, expected, "\n{report}");
    assert_eq!((report.errors(), report.warnings()), (10, 0));
}

#[test]
fn they_are_shown_with_carets() {
    let report = parse(TEXT, "edge.toml").unwrap_err();
    assert_eq!(report.to_string(), include_str!("mistakes.txt").trim_end());
}

#[test]
fn they_have_a_form_for_machines() {
    let report = parse(TEXT, "edge.toml").unwrap_err();
    let json = serde_json::to_value(&report).unwrap();
    let expected = serde_json::json!({
        "severity": "error",
        "code": "C003",
        "message": "there is no key `bacth` in `workers`",
        "span": { "file": "edge.toml", "line": 3, "column": 1, "end": 6 },
        "label": "did you mean `batch`?",
        "help": null,
    });
    assert_eq!(json["diagnostics"][1], expected);
}

#[test]
fn a_syntax_error_does_not_hide_other_mistakes() {
    let text = "[workers]\nbatch =\nidle = \"sp\ncores = [1, 2\nbatch = 3\n[io]\nmode = 5\n";
    let report = parse(text, "x").unwrap_err();
    let found: Vec<_> =
        report.diagnostics().iter().map(|it| (it.code, it.span.as_ref().unwrap().line)).collect();
    // The list that is not closed swallows the rest of the file; what stands in it is not judged.
    assert_eq!(found, [(Code::Syntax, 2), (Code::Syntax, 3), (Code::Syntax, 5)], "\n{report}");

    let report = parse("[workers]\nbatch = 1\nbatch = 2\nidle = spin\n[io]\nmode = 5\n", "x").unwrap_err();
    let found: Vec<_> =
        report.diagnostics().iter().map(|it| (it.code, it.span.as_ref().unwrap().line)).collect();
    assert_eq!(found, [(Code::Syntax, 3), (Code::Syntax, 4), (Code::WrongType, 6)], "\n{report}");
}

/// Mistakes in what policy is made of: each names what is wrong, where, and what to do.
#[test]
fn mistakes_in_policies_are_shown_with_carets() {
    let report = parse(include_str!("policy_mistakes.toml"), "policy.toml").unwrap_err();
    let shown = report.to_string();
    assert_eq!(shown, include_str!("policy_mistakes.txt").trim_end());
}

/// The same for captures: a schedule that cannot be meant is not guessed at.
#[test]
fn mistakes_in_captures_are_shown_with_carets() {
    let report = parse(include_str!("capture_mistakes.toml"), "captures.toml").unwrap_err();
    let shown = report.to_string();
    assert_eq!(shown, include_str!("capture_mistakes.txt").trim_end());
}
