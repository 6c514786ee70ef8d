//! Whatever text comes in, the answer is a configuration or a report that points into the text.

use proptest::prelude::*;
use ravelin_config::{Loaded, Report, diff, parse};

/// Parses `text` and checks what holds for every answer.
fn check(text: &str) -> Result<Loaded, Report> {
    let answer = parse(text, "t.toml");
    let report = match &answer {
        Ok(loaded) => {
            assert_eq!(loaded.warnings.errors(), 0);
            assert_eq!(diff(&loaded.config, &loaded.config), []);
            for interface in &loaded.config.interfaces {
                let ports = interface.bridge.map(|bridge| &loaded.config.bridges[bridge].ports);
                assert!(ports.is_none_or(|ports| ports.contains(&interface.name)));
            }
            serde_json::to_string(&loaded.config).unwrap();
            &loaded.warnings
        }
        Err(report) => {
            assert!(report.errors() > 0);
            report
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<_> = text.split('\n').map(|line| line.trim_end_matches('\r').chars().count()).collect();
    let mut before = (1, 1);
    for diagnostic in report.diagnostics() {
        let span = diagnostic.span.as_ref().unwrap();
        assert!(
            before.0 < span.line || before.0 == span.line && before.1 <= span.column,
            "not in order: {report}"
        );
        assert!(
            span.column >= 1 && span.column <= span.end && span.end <= lines[span.line - 1] + 1,
            "{span:?}"
        );
        before = (span.line, span.column);
    }
    let shown = report.to_string();
    assert!(shown.chars().all(|character| character == '\n' || !character.is_control()));
    answer
}

const EXAMPLES: [&str; 12] = [
    include_str!("../examples/bridge.toml"),
    include_str!("../examples/sidecar.toml"),
    include_str!("../examples/monitor.toml"),
    include_str!("../examples/feeds.toml"),
    include_str!("../examples/policy.toml"),
    include_str!("../examples/captures.toml"),
    include_str!("../examples/wireguard.toml"),
    include_str!("../examples/nodes.toml"),
    include_str!("wireguard_mistakes.toml"),
    include_str!("capture_mistakes.toml"),
    include_str!("policy_mistakes.toml"),
    "[[interface]]\nname = 'x'\n[[bridge]]\nname = 'b'\nports = ['x', 'y']\n[[policy]]\nname = 'r'\negress = [{ action = 'deny' }]\n",
];

/// A change of a text: cut `remove` bytes out at a place, and put others there.
fn mutate(text: &str, place: usize, remove: usize, insert: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let start = place % (bytes.len() + 1);
    let end = (start + remove).min(bytes.len());
    bytes.splice(start..end, insert.iter().copied());
    String::from_utf8_lossy(&bytes).into_owned()
}

const PATHS: [&str; 27] = [
    "[workers]",
    "[io]",
    "[[interface]]",
    "[[bridge]]",
    "[policy]",
    "[[rule]]",
    "[flow]",
    "[flow.timeouts]",
    "[fragments]",
    "[records]",
    "[metrics]",
    "[control]",
    "[log]",
    "[enforcement]",
    "[[tier]]",
    "[[policy]]",
    "[[policy.ingress]]",
    "[[policy.egress]]",
    "[[profile]]",
    "[[namespace]]",
    "[[endpoint]]",
    "[[service]]",
    "[[service.ports]]",
    "[[network_set]]",
    "[rule]",
    "[[workers]]",
    "[nothing]",
];

const KEYS: [&str; 44] = [
    "name",
    "ports",
    "mode",
    "checksum",
    "action",
    "direction",
    "protocol",
    "source",
    "destination",
    "source_ports",
    "destination_ports",
    "cores",
    "batch",
    "idle",
    "capacity",
    "full",
    "icmp",
    "timeout",
    "file",
    "listen",
    "socket",
    "level",
    "fail",
    "name.x",
    "include",
    "manifests",
    "tier",
    "namespace",
    "order",
    "staged",
    "selector",
    "namespace_selector",
    "types",
    "source.nets",
    "destination.selector",
    "destination.ports",
    "services.name",
    "icmp.type",
    "rate_limit",
    "addresses",
    "labels",
    "profiles",
    "nets",
    "nets_file",
];

const VALUES: [&str; 40] = [
    "'a'",
    "'b'",
    "'c'",
    "['a', 'b']",
    "['b', 'c']",
    "['a', 'a']",
    "'monitor'",
    "'bridge'",
    "'allow'",
    "'deny'",
    "'ingress'",
    "'tcp'",
    "'icmp'",
    "6",
    "['10.0.0.0/8']",
    "['::/0', '10.1.2.3/8']",
    "['10.1.0.0/16']",
    "[80, '1-9']",
    "['9-1']",
    "[]",
    "[0, 0]",
    "1.5",
    "true",
    "{}",
    "99999999999999999999",
    "0x40",
    "'30s'",
    "'30 s'",
    "'drop'",
    "1979-05-27",
    "'set'",
    "'delete'",
    "\"role == 'a' && !global()\"",
    "'role ='",
    "['ingress', 'egress']",
    "'100/s'",
    "{ role = 'a', 'x.y/z' = '' }",
    "['http', '1:9', 7]",
    "['gone.toml', 'gone/*']",
    "'gone'",
];

/// Lines that look like a configuration, with words in the wrong and in the right places.
fn line() -> impl Strategy<Value = String> {
    use proptest::sample::select;
    prop_oneof![
        2 => select(PATHS.to_vec()).prop_map(str::to_owned),
        6 => (select(KEYS.to_vec()), select(VALUES.to_vec())).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => Just("[[policy]]\nname = 'r'\negress = [{ action = 'deny' }]".to_owned()),
        1 => Just("[[bridge]]\nname = 'r'\nports = ['a', 'b']".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_characters_of_toml(text in "[\\[\\]{}=.,'\"#a-c0-9\\\\ \t\r\n\u{feff}é日]{0,120}") {
        let _ = check(&text);
    }

    #[test]
    fn any_lines(lines in prop::collection::vec(line(), 0..40)) {
        let _ = check(&lines.join("\n"));
    }

    #[test]
    fn any_mutated_example(
        example in prop::sample::select(EXAMPLES.to_vec()),
        changes in prop::collection::vec(
            (any::<usize>(), 0_usize..40, prop::collection::vec(any::<u8>(), 0..4)), 1..4),
    ) {
        let mut text = example.to_owned();
        for (place, remove, insert) in &changes {
            text = mutate(&text, *place, *remove, insert);
        }
        let _ = check(&text);
    }

    /// Swapped lines keep every word legal, so that the checks behind the reader are reached.
    #[test]
    fn any_shuffled_example(
        lines in prop::sample::select(EXAMPLES.to_vec())
            .prop_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .prop_shuffle(),
    ) {
        let _ = check(&lines.join("\n"));
    }

    /// A configuration does not depend on how lines end.
    #[test]
    fn any_line_ends(example in prop::sample::select(EXAMPLES.to_vec())) {
        let (unix, windows) = (check(example), check(&example.replace('\n', "\r\n")));
        match (unix, windows) {
            (Ok(unix), Ok(windows)) => prop_assert_eq!(unix.config, windows.config),
            (Err(unix), Err(windows)) => prop_assert_eq!(unix.to_string(), windows.to_string()),
            (unix, windows) => prop_assert!(false, "{:?} {:?}", unix, windows),
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("a = {}", "[".repeat(100_000));
    assert!(check(&text).is_err());
    let text = format!("[{}a]", "a.".repeat(10_000));
    assert!(check(&text).is_err());
}
