use super::{Diagnostic, Report, Span};
use std::fmt;
use unicode_width::UnicodeWidthChar;

/// Columns that a tab is drawn as.
const TAB: usize = 4;

impl fmt::Display for Report {
    /// Every finding as rustc would print it, then how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.diagnostics {
            writeln!(f, "{diagnostic}\n")?;
        }
        match (self.errors(), self.warnings()) {
            (0, warnings) => f.write_str(&counted(warnings, "warning")),
            (errors, 0) => f.write_str(&counted(errors, "error")),
            (errors, warnings) => write!(f, "{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        }
    }
}

fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Diagnostic {
    /// The finding without a newline at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.severity, self.code, Printable(&self.message))?;
        let mut gutter = 0;
        if let Some(span) = &self.span {
            gutter = span.line.to_string().len();
            let Drawn { line, before, marked } = draw(span);
            write!(f, "\n{:gutter$}--> {}:{}:{}", "", Printable(&span.file), span.line, span.column)?;
            write!(f, "\n{:gutter$} |", "")?;
            write!(f, "\n{} |{}{line}", span.line, if line.is_empty() { "" } else { " " })?;
            write!(f, "\n{:gutter$} | {:before$}{:^<marked$}", "", "", "")?;
            if let Some(label) = &self.label {
                write!(f, " {}", Printable(label))?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {}", "", Printable(help))?;
        }
        Ok(())
    }
}

/// A line as a terminal shows it, and where on it the carets stand, in terminal columns.
struct Drawn {
    line: String,
    before: usize,
    marked: usize,
}

fn draw(span: &Span) -> Drawn {
    let mut drawn = Drawn { line: String::new(), before: 0, marked: 0 };
    for (index, character) in span.text.chars().enumerate() {
        let width = match character {
            '\t' => {
                drawn.line.extend(std::iter::repeat_n(' ', TAB));
                TAB
            }
            other => {
                let shown = printable(other);
                drawn.line.push(shown);
                shown.width().unwrap_or(0)
            }
        };
        match index + 1 {
            column if column < span.column => drawn.before += width,
            column if column < span.end => drawn.marked += width,
            _ => {}
        }
    }
    drawn.marked = drawn.marked.max(1);
    drawn.line.truncate(drawn.line.trim_end().len());
    drawn
}

/// Text of a stranger, made harmless: a terminal obeys control characters, and direction overrides hide what
/// a line says.
struct Printable<'t>(&'t str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| fmt::Write::write_char(f, printable(character)))
    }
}

fn printable(character: char) -> char {
    let hides =
        matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    if character.is_control() || hides { char::REPLACEMENT_CHARACTER } else { character }
}
