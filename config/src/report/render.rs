use super::{Diagnostic, Report, Span};
use std::fmt;
use unicode_width::UnicodeWidthChar;

/// Columns that a tab is drawn as.
const TAB: usize = 4;
/// Columns that there are if nobody says how many.
const COLUMNS: usize = 100;
/// Columns of a line that are shown at least, however narrow the terminal is.
const LEAST: usize = 16;
/// What stands where a line is cut.
const CUT: char = '…';

impl fmt::Display for Report {
    /// Every finding as rustc would print it, then how many there are. Of lines that are longer than the formatter's width,
    /// or else 100 columns, the piece around the carets is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = f.width().unwrap_or(COLUMNS);
        for diagnostic in &self.diagnostics {
            writeln!(f, "{diagnostic:columns$}\n")?;
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
    /// The finding without a newline at its end. The formatter's width is that of the terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.severity, self.code, Printable(&self.message))?;
        let mut gutter = 0;
        if let Some(span) = &self.span {
            gutter = span.line.to_string().len();
            let room = f.width().unwrap_or(COLUMNS).saturating_sub(gutter + " | ".len());
            let label = self.label.as_ref().map_or(0, |label| 1 + label.chars().map(width).sum::<usize>());
            let Drawn { line, before, marked } = draw(span, label, room.max(LEAST));
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

/// Draws the line of a span; of a line that needs more than `room` columns the piece around the carets. `label` is what
/// stands behind them, in columns.
fn draw(span: &Span, label: usize, room: usize) -> Drawn {
    let text = span.text.trim_end();
    let columns = |text: &mut dyn Iterator<Item = char>| text.map(width).sum::<usize>();
    let total = columns(&mut text.chars());
    let before = columns(&mut span.text.chars().take(span.column - 1));
    let marked = columns(&mut span.text.chars().skip(span.column - 1).take(span.end - span.column)).max(1);

    // The first column that is shown. Carets far to the right have a third of the room before them, and the label behind.
    let end = total.max(before + marked + label.min(room / 3));
    let start = match before.saturating_sub(room / 3).min(end.saturating_sub(room)) {
        _ if total <= room || before + marked <= 2 * room / 3 => 0,
        start => start,
    };
    let (cut_before, cut_after) = (start > 0, total > start + room);
    let inside = start + usize::from(cut_before)..start + room - usize::from(cut_after);

    let mut line = String::new();
    line.extend(cut_before.then_some(CUT));
    let mut column = 0;
    for character in text.chars() {
        let place = column..column + width(character);
        column = place.end;
        let whole = inside.start <= place.start && place.end <= inside.end;
        if whole && character != '\t' {
            line.push(printable(character));
        } else {
            // Of what is cut in two, spaces remain.
            let part = place.end.min(inside.end).saturating_sub(place.start.max(inside.start));
            line.extend(std::iter::repeat_n(' ', part));
        }
    }
    line.extend(cut_after.then_some(CUT));
    Drawn { line, before: before - start, marked: marked.min(inside.end.saturating_sub(before).max(1)) }
}

/// Columns that a character takes.
fn width(character: char) -> usize {
    match character {
        '\t' => TAB,
        other => printable(other).width().unwrap_or(0),
    }
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
