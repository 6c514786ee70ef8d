//! What is promised for every file of wg-quick(8): a report that points into it and shows no key but public ones. Used by the fuzz target
//! and by `config/tests/wireguard.rs`.

use ravelin_config::{
    Report,
    wireguard::{Standing, check_conf, read_peers},
};

/// Characters in a row that are a key, or all of it but its end.
const KEY: usize = 42;

/// Checks one file.
pub(crate) fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    promised(&text, &check_conf(&text, "wg0.conf"));
    // What changes a running process is read as well, and more of it is wrong.
    let standing = Standing { name: "wg0", listen_port: 1, has_key: &|_| false };
    let file = read_peers(&text, "wg0.conf", &standing);
    promised(&text, &file.map_or_else(|report| report, |file| file.warnings));
}

fn promised(text: &str, report: &Report) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<_> = text.split('\n').map(|line| line.trim_end_matches('\r').len()).collect();
    for found in report.diagnostics() {
        let span = found.span.as_ref().expect("a place in the file");
        assert!(span.line >= 1 && span.column >= 1 && span.column <= span.end);
        assert!(span.end <= lines[span.line - 1] + 1, "{span:?}");
    }
    let shown = format!("{report:60000}");
    assert!(shown.chars().all(|character| character == '\n' || !character.is_control()));
    let is_base64 = |character: char| character.is_ascii_alphanumeric() || matches!(character, '+' | '/');
    for run in shown.split(|character| !is_base64(character)).filter(|run| run.len() >= KEY) {
        let is_public = |line: &str| {
            let words = line.trim_matches(|it: char| it.is_whitespace() || it == '\u{feff}').split_once('=');
            words.is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("publickey") && value.contains(run)
            })
        };
        assert!(text.split('\n').any(is_public), "{shown}");
    }
}
