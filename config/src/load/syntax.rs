use crate::report::{Code, Findings, Range};

/// Reports the syntax errors, one for each line, and forgets what was found in values that the parser had to
/// guess.
pub(super) fn report(errors: &[toml::de::Error], findings: &mut Findings) {
    let end = findings.sources().len();
    let mut errors: Vec<_> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    errors.sort_by_key(|(range, _)| range.start);
    let mut guessed: Vec<Range> = Vec::new();
    // An array or inline table that is not closed swallows what follows; all errors in there are echoes of
    // the first.
    let in_brackets = |message: &str| message.contains("array") || message.contains("inline table");
    let unclosed = errors.iter().any(|(_, message)| message.starts_with("unclosed") && in_brackets(message));
    let mut reported = Vec::new();
    for (range, message) in errors {
        if guessed.iter().any(|guess| guess.contains(&range.start) || guess.end == range.start) {
            continue;
        }
        let line = findings.sources().line(range.start);
        guessed.push(if unclosed && in_brackets(message) { line.start..end } else { line });
        // What the parser says of nothing at all is that it is not in quotes.
        let missing = range.is_empty() && message.starts_with("string values must be quoted");
        reported
            .push((range, if missing { "a value is missing here".to_owned() } else { message.to_owned() }));
    }
    findings.retain(|sources, finding| {
        let Some(range) = sources.range(finding.place()) else { return true };
        // What is absent may stand in a line that could not be read.
        finding.code() != Code::MissingKey
            && !guessed.iter().any(|guess| guess.start <= range.end && range.start <= guess.end)
    });
    for (range, message) in reported {
        let twice = message == "duplicate key" && findings.sources().text(range.clone()) == "policy";
        let finding = findings.add(Code::Syntax, range, message);
        if twice {
            finding.help("a policy is written [[policy]], and what was [policy] is [enforcement] now");
        }
    }
}
