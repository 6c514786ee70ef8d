use super::{Code, Diagnostic, Report, Severity, Span};

/// A piece of the text, in bytes.
pub(crate) type Range = std::ops::Range<usize>;

/// A text with its name, and where its lines start.
#[derive(Debug)]
pub(crate) struct Source<'t> {
    pub(crate) text: &'t str,
    file: &'t str,
    /// Where the first line starts: behind the byte order mark, which is no column.
    start: usize,
    /// Byte offset behind every newline.
    breaks: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(text: &'t str, file: &'t str) -> Self {
        let breaks =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, file, start, breaks }
    }

    /// The bytes of the line that `at` is on, without its line end.
    pub(crate) fn line(&self, at: usize) -> Range {
        let (start, end) = self.bounds(self.index(at));
        let line = self.text.get(start..end).unwrap_or_default();
        start..start + line.trim_end_matches(['\n', '\r']).len()
    }

    fn index(&self, at: usize) -> usize {
        self.breaks.partition_point(|start| *start <= at)
    }

    fn bounds(&self, index: usize) -> (usize, usize) {
        let start =
            index.checked_sub(1).and_then(|before| self.breaks.get(before)).copied().unwrap_or(self.start);
        (start, self.breaks.get(index).copied().unwrap_or(self.text.len()))
    }

    fn span(&self, range: &Range) -> Span {
        let line = self.line(range.start);
        let characters =
            |to: usize| self.text.get(line.start..to.clamp(line.start, line.end)).map_or(0, count);
        let column = characters(range.start) + 1;
        Span {
            file: self.file.to_owned(),
            line: self.index(range.start) + 1,
            column,
            end: (characters(range.end) + 1).max(column),
            text: self.text.get(line).unwrap_or_default().to_owned(),
        }
    }
}

fn count(text: &str) -> usize {
    text.chars().count()
}

/// Collects what is found while a text is read; bytes become lines and columns at the end.
#[derive(Debug)]
pub(crate) struct Findings<'t> {
    source: Source<'t>,
    all: Vec<Finding>,
}

/// A finding that still speaks of bytes.
#[derive(Debug)]
pub(crate) struct Finding {
    code: Code,
    range: Range,
    message: String,
    label: Option<String>,
    help: Option<String>,
}

impl Finding {
    /// Puts a remark behind the caret.
    pub(crate) fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.label = Some(text.into());
        self
    }

    /// Says what to do.
    pub(crate) fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn range(&self) -> &Range {
        &self.range
    }
}

impl<'t> Findings<'t> {
    pub(crate) fn new(source: Source<'t>) -> Self {
        Self { source, all: Vec::new() }
    }

    pub(crate) fn source(&self) -> &Source<'t> {
        &self.source
    }

    /// Records a finding. Label and help can be added to what is returned.
    pub(crate) fn add(&mut self, code: Code, range: Range, message: impl Into<String>) -> &mut Finding {
        self.all.push_mut(Finding { code, range, message: message.into(), label: None, help: None })
    }

    /// The position of `range` as text, `edge.toml:12:8`, to speak of another place.
    pub(crate) fn place(&self, range: &Range) -> String {
        let span = self.source.span(range);
        format!("{}:{}:{}", span.file, span.line, span.column)
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.all.iter().any(|finding| finding.code.severity() == Severity::Error)
    }

    /// Forgets what `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Finding) -> bool) {
        self.all.retain(keep);
    }

    /// The report, in the order of the text.
    pub(crate) fn into_report(self) -> Report {
        let Self { source, mut all } = self;
        all.sort_by(|a, b| (a.range.start, a.code, &a.message).cmp(&(b.range.start, b.code, &b.message)));
        let diagnostics = all.into_iter().map(|finding| Diagnostic {
            severity: finding.code.severity(),
            code: finding.code,
            message: finding.message,
            span: Some(source.span(&finding.range)),
            label: finding.label,
            help: finding.help,
        });
        Report { diagnostics: diagnostics.collect() }
    }
}
