use super::Span;
use std::{
    ops,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A piece of the file that is being read, in bytes.
pub(crate) type Range = ops::Range<usize>;

/// A piece of any file that was read. Small, because every value has one; bytes behind 4 GiB are taken for the last before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The number of the file, in the order of reading.
    file: u32,
    start: u32,
    end: u32,
}

impl Place {
    fn new(file: usize, range: &Range) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { file: small(file), start: small(range.start), end: small(range.end) }
    }

    fn file(&self) -> usize {
        self.file as usize
    }

    fn range(&self) -> Range {
        self.start as usize..self.end as usize
    }
}

/// What can say where something stands: a [`Place`], or a [`Range`] of the file that is being read.
pub(crate) trait Spot {
    /// The place, if the file with the number `current` is being read.
    fn place(self, current: usize) -> Place;
}

impl Spot for Range {
    fn place(self, current: usize) -> Place {
        Place::new(current, &self)
    }
}

impl Spot for Place {
    fn place(self, _: usize) -> Place {
        self
    }
}

impl Spot for &Place {
    fn place(self, _: usize) -> Place {
        self.clone()
    }
}

/// All texts that were read. The last one is the one that is being read.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// Turns to another text.
    pub(super) fn add(&mut self, text: Arc<str>, file: PathBuf) {
        self.0.push(Source::new(text, file));
    }

    /// Keeps a piece of the file that is being read out of all that is shown.
    pub(super) fn hide(&mut self, range: Range) {
        if let Some(source) = self.0.last_mut() {
            source.hidden.push(range);
        }
    }

    /// The number of the file that is being read.
    pub(super) fn current(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    /// A piece of the file that is being read.
    pub(crate) fn text(&self, range: Range) -> &str {
        self.0.last().and_then(|source| source.text.get(range)).unwrap_or_default()
    }

    /// The length of the file that is being read.
    pub(crate) fn len(&self) -> usize {
        self.0.last().map_or(0, |source| source.text.len())
    }

    /// The bytes of the line that `at` is on, in the file that is being read, without its line end.
    pub(crate) fn line(&self, at: usize) -> Range {
        self.0.last().map_or(0..0, |source| source.line(at))
    }

    /// The bytes of a place, if it is in the file that is being read.
    pub(crate) fn range(&self, place: &Place) -> Option<Range> {
        (place.file() == self.current()).then(|| place.range())
    }

    /// The directory of the file that a place is in. Empty for the working directory.
    pub(crate) fn directory(&self, place: &Place) -> &Path {
        self.0.get(place.file()).and_then(|source| source.file.parent()).unwrap_or(Path::new(""))
    }

    pub(super) fn span(&self, place: &Place) -> Option<Span> {
        Some(self.0.get(place.file())?.span(&place.range()))
    }
}

/// A text with its name, and where its lines start.
#[derive(Debug)]
struct Source {
    text: Arc<str>,
    file: PathBuf,
    /// Where the first line starts: behind the byte order mark, which is no column.
    start: usize,
    /// Byte offset behind every newline.
    breaks: Vec<usize>,
    /// What is not for everyone to see.
    hidden: Vec<Range>,
}

impl Source {
    fn new(text: Arc<str>, file: PathBuf) -> Self {
        let breaks =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, file, start, breaks, hidden: Vec::new() }
    }

    fn line(&self, at: usize) -> Range {
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
            file: self.file.display().to_string(),
            line: self.index(range.start) + 1,
            column,
            end: (characters(range.end) + 1).max(column),
            text: self.shown(line),
        }
    }

    /// A piece of the text, with an asterisk for each character that is hidden.
    fn shown(&self, range: Range) -> String {
        let start = range.start;
        let text = self.text.get(range.clone()).unwrap_or_default();
        let here = self.hidden.iter().filter(|hidden| hidden.start < range.end && range.start < hidden.end);
        let here: Vec<_> = here.collect();
        let show = |(at, character)| {
            let is_hidden = here.iter().any(|hidden| hidden.contains(&(start + at)));
            if is_hidden { '*' } else { character }
        };
        text.char_indices().map(show).collect()
    }
}

fn count(text: &str) -> usize {
    text.chars().count()
}
