use super::{
    Code, Diagnostic, Report, Severity, Span,
    source::{Place, Range, Sources, Spot},
};
use std::{path::PathBuf, sync::Arc};

/// Collects what is found while files are read; bytes become lines and columns at the end.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    sources: Sources,
    all: Vec<Finding>,
}

/// A finding that still speaks of bytes.
#[derive(Debug)]
pub(crate) struct Finding {
    code: Code,
    place: Place,
    /// A place in a file that is no source, which is shown instead of `place`.
    elsewhere: Option<Span>,
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

    /// Shows a place in a file that is no source.
    pub(crate) fn elsewhere(&mut self, span: Span) -> &mut Self {
        self.elsewhere = Some(span);
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl Findings {
    /// Turns to the text of another file: from now on, ranges speak of it.
    pub(crate) fn read(&mut self, text: Arc<str>, file: PathBuf) {
        self.sources.add(text, file);
    }

    /// Keeps a piece of the file that is being read out of all that is shown.
    pub(crate) fn hide(&mut self, range: Range) {
        self.sources.hide(range);
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Where something stands, for good.
    pub(crate) fn place(&self, spot: impl Spot) -> Place {
        spot.place(self.sources.current())
    }

    /// Records a finding. Label and help can be added to what is returned.
    pub(crate) fn add(&mut self, code: Code, spot: impl Spot, message: impl Into<String>) -> &mut Finding {
        let (place, message) = (self.place(spot), message.into());
        self.all.push_mut(Finding { code, place, elsewhere: None, message, label: None, help: None })
    }

    /// A place as text, `edge.toml:12:8`, to speak of it elsewhere.
    pub(crate) fn position(&self, place: &Place) -> String {
        let span = self.sources.span(place);
        span.map_or_else(String::new, |span| format!("{}:{}:{}", span.file, span.line, span.column))
    }

    /// Where a place is, for those who have only that.
    pub(crate) fn span(&self, place: &Place) -> Option<Span> {
        self.sources.span(place)
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.all.iter().any(|finding| finding.code.severity() == Severity::Error)
    }

    /// Forgets what `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Sources, &Finding) -> bool) {
        self.all.retain(|finding| keep(&self.sources, finding));
    }

    /// The report, in the order of the text.
    pub(crate) fn into_report(self) -> Report {
        let Self { sources, mut all } = self;
        all.sort_by(|a, b| {
            let line = |finding: &Finding| finding.elsewhere.as_ref().map(|span| span.line);
            (&a.place, line(a), a.code, &a.message).cmp(&(&b.place, line(b), b.code, &b.message))
        });
        let diagnostics = all.into_iter().map(|finding| Diagnostic {
            severity: finding.code.severity(),
            code: finding.code,
            message: finding.message,
            span: finding.elsewhere.or_else(|| sources.span(&finding.place)),
            label: finding.label,
            help: finding.help,
        });
        Report { diagnostics: diagnostics.collect() }
    }
}
