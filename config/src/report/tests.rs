use proptest::prelude::*;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Code, Findings, Report, Severity};

fn findings(text: &str, file: &str) -> Findings {
    let mut findings = Findings::default();
    findings.read(text.into(), file.into());
    findings
}

/// The report of one finding over `text[range]`, with the label "here".
fn one(text: &str, range: std::ops::Range<usize>) -> Report {
    let mut findings = findings(text, "f.toml");
    findings.add(Code::Malformed, range, "message").label("here");
    findings.into_report()
}

fn place(report: &Report) -> (usize, usize, usize) {
    let span = report.diagnostics()[0].span.as_ref().unwrap();
    (span.line, span.column, span.end)
}

#[test]
fn columns_count_characters() {
    let text = "größe = 1\r\n\t日本 = 2";
    let value = text.find('1').unwrap();
    assert_eq!(place(&one(text, value..value + 1)), (1, 9, 10));
    let value = text.find('2').unwrap();
    assert_eq!(place(&one(text, value..value + 1)), (2, 7, 8));
}

#[test]
fn carets_stand_under_tabs_wide_and_combining_characters() {
    let text = "\tn = [\"日本\", \"e\u{301}\", x]";
    let at = text.find('x').unwrap();
    let expected = "error[C008]: message
 --> f.toml:1:19
  |
1 |     n = [\"日本\", \"e\u{301}\", x]
  |                       ^ here

1 error";
    assert_eq!(one(text, at..at + 1).to_string(), expected);
    let at = text.find("\"日").unwrap();
    assert!(one(text, at..at + 8).to_string().contains("\n  |          ^^^^^^ here"));
}

/// The excerpt and the carets under it, in a terminal of 40 columns: 36 behind the line number.
fn excerpt(text: &str, marked: &str) -> (String, String) {
    let at = text.find(marked).unwrap();
    let report = format!("{:40}", one(text, at..at + marked.len()));
    let mut lines = report.lines().skip(3).map(|line| line[4..].to_owned());
    (lines.next().unwrap(), lines.next().unwrap())
}

#[test]
fn a_long_line_is_cut_around_the_carets() {
    let between = "\"between\", ".repeat(20);
    let text = format!("ports = [\"first\", {between}\"middle\", {between}\"last\"]");
    let show = |marked| excerpt(&text, marked);
    let both = |line: &str, carets: &str| (line.to_owned(), carets.to_owned());
    let first = "ports = [\"first\", \"between\", \"betwe…";
    assert_eq!(show("ports"), both(first, "^^^^^ here"));
    let middle = "…between\", \"middle\", \"between\", \"be…";
    assert_eq!(show("middle"), both(middle, "            ^^^^^^ here"));
    let last = "…, \"between\", \"between\", \"last\"]";
    assert_eq!(show("\"last\""), both(last, "                         ^^^^^^ here"));
    // What is marked is longer than the room.
    let (line, carets) = show(&format!("{between}\"middle\""));
    assert_eq!((line.chars().count(), carets.trim()), (36, "^^^^^^^^^^^^^^^^^^^^^^^ here"));
    // Without a width there are 100 columns.
    let at = text.find("middle").unwrap();
    let report = one(&text, at..at + 6).to_string();
    let line = report.lines().nth(3).unwrap();
    assert!(line.chars().count() == 100 && line.ends_with('…'), "{report}");
}

/// The character that starts at a column of a line; `None` between two.
fn character_at(line: &str, wanted: usize) -> Option<char> {
    let mut column = 0;
    line.chars().find(|character| {
        let place = column;
        column += character.width().unwrap_or(0);
        place == wanted && column > place
    })
}

proptest! {
    #[test]
    fn carets_stand_under_what_is_marked_however_the_line_is_cut(
        text in "[a-z\t日本e\u{301} ]{0,200}",
        place in 0..200_usize,
        length in 1..20_usize,
        columns in 0..150_usize,
    ) {
        let characters: Vec<(usize, char)> = text.char_indices().collect();
        let Some(&(at, marked)) = characters.get(place) else { return Ok(()) };
        // A tab is drawn as spaces, and a combining character is part of the one before it.
        prop_assume!(marked != '\t' && marked != '\u{301}' && place < text.trim_end().chars().count());
        let end = characters.get(place + length).map_or(text.len(), |(end, _)| *end);
        let report = format!("{:columns$}", one(&text, at..end));
        let lines: Vec<_> = report.lines().map(|line| line.get(4..).unwrap_or_default()).collect();
        let (line, carets) = (lines[3], lines[4]);
        let column = carets.find('^').unwrap();
        prop_assert_eq!(character_at(line, column), Some(marked), "{}", report);
        prop_assert!(line.width() <= columns.saturating_sub(4).max(16), "{}", report);
    }
}

#[test]
fn a_span_over_lines_is_marked_on_the_first() {
    let report = one("a = [\n 1,\n]\n", 4..11);
    assert_eq!(place(&report), (1, 5, 6));
    assert!(report.to_string().contains("1 | a = [\n  |     ^ here"));
}

#[test]
fn empty_spans_and_ends_of_files_have_a_caret() {
    assert_eq!(place(&one("", 0..0)), (1, 1, 1));
    assert_eq!(place(&one("a =\n", 4..4)), (2, 1, 1));
    assert_eq!(place(&one("a =", 3..3)), (1, 4, 4));
    assert!(one("a =", 3..3).to_string().contains("1 | a =\n  |    ^ here"));
    // Outside of the text, and within a character: not written by any caller, but no reason to fail.
    assert_eq!(place(&one("ä", 7..9)).0, 1);
    assert_eq!(place(&one("ä", 1..2)).0, 1);
}

#[test]
fn a_byte_order_mark_is_no_column() {
    assert_eq!(place(&one("\u{feff}a = 1", 3..4)), (1, 1, 2));
}

#[test]
fn the_gutter_fits_the_line_number() {
    let text = "\n".repeat(99) + "x";
    let report = one(&text, 99..100).to_string();
    assert!(report.contains("   --> f.toml:100:1\n    |\n100 | x\n    | ^ here"), "{report}");
}

#[test]
fn nothing_of_a_file_commands_the_terminal() {
    let mut findings = findings("\u{1b}[31m = \"\u{202e}\"", "\u{7}.toml");
    findings.add(Code::Syntax, 0..1, "odd \u{1b}]0;x\u{7}").label("\u{9b}").help("\u{2066}");
    let text = findings.into_report().to_string();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains(['\u{202e}', '\u{2066}']));
}

#[test]
fn findings_are_in_the_order_of_the_text_and_counted() {
    let mut findings = findings("abcd", "f.toml");
    findings.add(Code::HostBits, 2..3, "third");
    findings.add(Code::Malformed, 1..2, "second");
    findings.add(Code::Malformed, 0..1, "first");
    assert!(findings.has_errors());
    let report = findings.into_report();
    let messages: Vec<_> = report.diagnostics().iter().map(|it| it.message.as_str()).collect();
    assert_eq!(messages, ["first", "second", "third"]);
    assert_eq!((report.errors(), report.warnings()), (2, 1));
    assert!(report.to_string().ends_with("\n2 errors, 1 warning"));
    assert_eq!(Report::default().to_string(), "0 warnings");
}

#[test]
fn a_finding_without_a_place_has_no_arrow() {
    let report = Report::whole(Code::NothingToRun, "nothing".to_owned(), Some("something".to_owned()));
    assert_eq!(report.to_string(), "error[C018]: nothing\n = help: something\n\n1 error");
}

#[test]
fn codes_are_unique_ordered_and_numbered_by_severity() {
    let numbers: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    for code in Code::ALL {
        let number: u32 = code.as_str()[1..].parse().unwrap();
        assert_eq!(code.severity() == Severity::Warning, number > 100, "{code}");
        assert!(code.meaning().ends_with('.'));
    }
}

#[test]
fn findings_name_the_file_they_are_in() {
    let mut findings = findings("a = 1\nb = 2\n", "main.toml");
    let before = findings.place(6..7);
    findings.read("\n\nc = 3".into(), "other.toml".into());
    findings.add(Code::Malformed, 2..3, "in the second");
    findings.add(Code::Malformed, &before, "in the first");
    assert_eq!(findings.position(&before), "main.toml:2:1");
    let places: Vec<_> = findings
        .into_report()
        .diagnostics
        .into_iter()
        .map(|it| (it.message, it.span.map(|span| (span.file, span.line, span.text))))
        .collect();
    let place = |file: &str, line, text: &str| Some((file.to_owned(), line, text.to_owned()));
    let expected = [
        ("in the first".to_owned(), place("main.toml", 2, "b = 2")),
        ("in the second".to_owned(), place("other.toml", 3, "c = 3")),
    ];
    assert_eq!(places, expected);
}
