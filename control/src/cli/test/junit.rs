//! Results as JUnit XML, which CI systems read.

use std::fmt::{self, Write};

use super::{Case, Report, Suite};

/// The whole document.
pub(super) fn xml(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let _infallible = write_report(&mut out, report);
    out
}

fn write_report(out: &mut String, report: &Report) -> fmt::Result {
    let cases: Vec<&Case> = report.files.iter().flat_map(|suite| &suite.flows).collect();
    writeln!(out, "<testsuites name=\"ravelin test\" {}>", counts(&cases))?;
    for Suite { file, flows } in &report.files {
        let file = escaped(&file.display().to_string());
        let cases: Vec<_> = flows.iter().collect();
        writeln!(out, "  <testsuite name=\"{file}\" {}>", counts(&cases))?;
        for case in flows {
            let name = escaped(&case.name);
            write!(
                out,
                "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{}\"",
                case.line
            )?;
            match &case.problem {
                None => out.write_str("/>\n")?,
                Some(problem) => {
                    let element = if case.is_error { "error" } else { "failure" };
                    let (problem, ways) = (escaped(problem), escaped(&case.ways));
                    writeln!(
                        out,
                        ">\n      <{element} message=\"{problem}\">{ways}</{element}>\n    </testcase>"
                    )?;
                }
            }
        }
        out.write_str("  </testsuite>\n")?;
    }
    out.write_str("</testsuites>\n")
}

fn counts(cases: &[&Case]) -> String {
    let errors = cases.iter().filter(|case| case.is_error).count();
    let failures = cases.iter().filter(|case| case.problem.is_some()).count() - errors;
    format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", cases.len())
}

/// Text as it may stand in an element or attribute. What XML cannot hold at all is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}
