//! From a file to a [`Config`]: read, parse, model, validate, report.

use crate::Config;
use crate::model::Model;
use crate::report::{Code, Findings, Range, Report, Source};
use crate::schema::reader::Reader;
use crate::validate::validate;
use std::{fs, path::Path};
use toml::de::DeTable;

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// What the file means.
    pub config: Config,
    /// What is doubtful about it; no errors.
    pub warnings: Report,
}

/// Loads the file at `path`.
///
/// # Errors
/// A [`Report`] of everything that is wrong, warnings included; if the file cannot be read, of one [`Code::Unreadable`].
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    let bytes = fs::read(path)
        .map_err(|error| Report::whole(Code::Unreadable, format!("cannot read `{name}`: {error}"), None))?;
    match String::from_utf8(bytes) {
        Ok(text) => parse(&text, &name),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let mut findings = Findings::new(Source::new(&text, &name));
            let finding = findings.add(Code::Unreadable, valid..valid, "the file is not UTF-8 from here on");
            finding.help("save the file with UTF-8 as its encoding");
            Err(findings.into_report())
        }
    }
}

/// Loads `text`, which is called `file_name` in diagnostics.
///
/// # Errors
/// A [`Report`] of everything that is wrong, warnings included.
pub fn parse(text: &str, file_name: &str) -> Result<Loaded, Report> {
    let mut findings = Findings::new(Source::new(text, file_name));
    let (table, errors) = DeTable::parse_recoverable(text);
    let model = Reader::new(&table, &mut findings).finish(Model::read);
    let config = if errors.is_empty() {
        validate(model, &mut findings)
    } else {
        syntax(&errors, &mut findings);
        None
    };
    let refused = findings.has_errors();
    let report = findings.into_report();
    match config {
        Some(config) if !refused => Ok(Loaded { config, warnings: report }),
        Some(_) | None => Err(report),
    }
}

/// Reports the syntax errors, one for each line, and forgets what was found in values that the parser had to
/// guess.
fn syntax(errors: &[toml::de::Error], findings: &mut Findings<'_>) {
    let end = findings.source().text.len();
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
        let line = findings.source().line(range.start);
        guessed.push(if unclosed && in_brackets(message) { line.start..end } else { line });
        // What the parser says of nothing at all is that it is not in quotes.
        let missing = range.is_empty() && message.starts_with("string values must be quoted");
        reported
            .push((range, if missing { "a value is missing here".to_owned() } else { message.to_owned() }));
    }
    findings.retain(|finding| {
        // What is absent may stand in a line that could not be read.
        finding.code() != Code::MissingKey
            && !guessed
                .iter()
                .any(|guess| guess.start <= finding.range().end && finding.range().start <= guess.end)
    });
    for (range, message) in reported {
        findings.add(Code::Syntax, range, message);
    }
}
