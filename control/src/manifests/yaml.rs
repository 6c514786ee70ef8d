//! YAML and JSON, read into a tree that knows its lines.
//!
//! The reader is `granit-parser`, the event parser under `serde-saphyr`: safe Rust under Apache-2.0 or MIT, with limits of
//! its own on nesting. `serde_yaml` is not maintained, and its forks keep its C library turned into unsafe Rust. We take the
//! events and not the serde layer above them, because a manifest needs what serde loses: the line of a value, the keys that
//! nobody asked for, and whether a text stood in quotes. The other parser with such events, `saphyr-parser` 0.3.3, does not read
//! the surrogate pairs of JSON, and took 5.1 s for 8 MiB of `[a,a,…` where this one took 0.7 s. Of 34 kinds of hostile input
//! none took this one more than linear time, and 400,000 damaged documents made neither panic.
//!
//! Promises: memory is bounded by [`MAX_MEMORY`] for each document, and by [`MAX_COPIED`] for what its aliases stand for,
//! because an alias is paid for as the copy that it is; a tree is never deeper than [`MAX_DEPTH`]; a document that cannot be read does not hurt the others.
//! Refuses: two equal keys in one mapping, since no two readers agree on which of them counts.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

/// How deep lists and mappings may stand in one another. The deepest that Kubernetes itself writes is about thirty.
const MAX_DEPTH: usize = 100;
/// About what the tree of one document may take, in bytes: enough for any honest file of the greatest size.
const MAX_MEMORY: usize = 1 << 30;
/// About what its anchors and aliases may take beside that.
const MAX_COPIED: usize = 64 << 20;
/// About what a value takes beside its text: itself, its key, and what the allocator adds.
const NODE: usize = 96;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// The line in its file, from 1.
    pub(super) line: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A text, number, truth value or nothing at all; `plain` if it stood without quotes.
    Scalar {
        text: Box<str>,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Entries),
}

/// Keys and values in the order of the file.
pub(super) type Entries = Vec<(Box<str>, Node)>;

impl Node {
    /// Whether this is `null`, which means the same as absence.
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain } => {
                *plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL")
            }
            Value::List(_) | Value::Map(_) => false,
        }
    }

    /// How deep lists and mappings stand in one another, itself included.
    fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|(_, node)| node.depth()).max().unwrap_or(0),
        }
    }

    /// What it takes, as [`MAX_MEMORY`] counts.
    fn size(&self) -> usize {
        NODE + match &self.value {
            Value::Scalar { text, .. } => text.len(),
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|(key, node)| key.len() + node.size()).sum(),
        }
    }
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(super) struct YamlError {
    /// The line in its file, from 1.
    pub(super) line: u32,
    pub(super) what: String,
}

impl YamlError {
    fn new(line: u32, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

/// The documents of a file, one after the other; those without any value are left out.
///
/// They are told apart by their `---` and `...` lines, which can be nothing else in YAML, so that each stands for itself.
pub(super) fn documents(text: &str) -> impl Iterator<Item = Result<Node, YamlError>> {
    let marks = |line: &str, mark: &str| {
        line.strip_prefix(mark)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let mut line = 0;
    let mut lines = text.split_inclusive('\n').peekable();
    let mut at = 0;
    std::iter::from_fn(move || {
        let (start, first) = (at, line);
        let mut content = false;
        // A start mark belongs to what follows it, an end mark to nothing.
        while let Some(next) = lines.next_if(|next| at == start || !marks(next, "---")) {
            at += next.len();
            line += 1;
            if marks(next, "...") {
                return Some((text.get(start..at - next.len()).unwrap_or_default(), first, content));
            }
            let bare = next.strip_prefix("---").filter(|_| marks(next, "---")).unwrap_or(next).trim_start();
            content |= !bare.is_empty() && !bare.starts_with('#') && !next.starts_with('%');
        }
        (at > start).then(|| (text.get(start..at).unwrap_or_default(), first, content))
    })
    .filter(|(_, _, content)| *content)
    .map(|(document, before, _)| read(document, before))
}

/// Reads one document, before which its file has that many lines.
fn read(text: &str, before: u32) -> Result<Node, YamlError> {
    let options = granit_parser::options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let broken = |error: &ScanError| {
        YamlError::new(number(error.marker().line()).saturating_add(before), error.info())
    };
    let mut tree = Tree {
        open: Vec::new(),
        anchors: HashMap::new(),
        left: MAX_MEMORY,
        copies_left: MAX_COPIED,
        root: None,
    };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| broken(&error))?;
        let line = number(span.start.line()).saturating_add(before);
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err(YamlError::new(line, "a second document begins here without a line `---`"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                tree.pay(NODE + text.len(), line)?;
                tree.put(Node { value: Value::Scalar { text: text.into(), plain }, line }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => tree.open(Open::list(), anchor, line)?,
            Event::MappingStart(_, anchor, _) => tree.open(Open::map(), anchor, line)?,
            Event::SequenceEnd | Event::MappingEnd => tree.close()?,
            Event::Alias(anchor) => tree.alias(anchor, line)?,
            Event::UnresolvedAlias(_) => return Err(YamlError::new(line, "an alias of nothing")),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => {}
            _ => return Err(YamlError::new(line, "this YAML is not understood")),
        }
    }
    tree.root.ok_or_else(|| YamlError::new(before.saturating_add(1), "there is no value"))
}

fn number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// A list or mapping whose end has not been seen.
enum Open {
    List(Vec<Node>),
    /// And the key whose value comes next, with whether it is the merge key.
    Map(Entries, Vec<Node>, Option<Key>),
}

enum Key {
    Plain(Box<str>),
    /// `<<`: the value's entries are added to the mapping, behind its own.
    Merge,
}

impl Open {
    const fn list() -> Self {
        Self::List(Vec::new())
    }

    const fn map() -> Self {
        Self::Map(Vec::new(), Vec::new(), None)
    }
}

struct Tree {
    open: Vec<(Open, usize, u32)>,
    anchors: HashMap<usize, Node>,
    /// What is left of [`MAX_MEMORY`].
    left: usize,
    /// What is left of [`MAX_COPIED`].
    copies_left: usize,
    root: Option<Node>,
}

impl Tree {
    fn pay(&mut self, size: usize, line: u32) -> Result<(), YamlError> {
        self.left = self
            .left
            .checked_sub(size)
            .ok_or_else(|| YamlError::new(line, "the document takes too much memory; split it"))?;
        Ok(())
    }

    fn pay_copy(&mut self, size: usize, line: u32) -> Result<(), YamlError> {
        self.copies_left = self
            .copies_left
            .checked_sub(size)
            .ok_or_else(|| YamlError::new(line, "aliases stand for too much; write out what they mean"))?;
        Ok(())
    }

    fn open(&mut self, open: Open, anchor: usize, line: u32) -> Result<(), YamlError> {
        self.pay(NODE, line)?;
        self.go_down(1, line)?;
        self.open.push((open, anchor, line));
        Ok(())
    }

    /// That it may go so much deeper here.
    fn go_down(&self, depth: usize, line: u32) -> Result<(), YamlError> {
        if self.open.len() + depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(YamlError::new(line, format!("values are nested more than {MAX_DEPTH} deep")))
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some((open, anchor, line)) = self.open.pop() else { return Ok(()) };
        let value = match open {
            Open::List(items) => Value::List(items),
            Open::Map(mut entries, merged, _) => {
                merge(&mut entries, merged)?;
                Value::Map(entries)
            }
        };
        self.put(Node { value, line }, anchor)
    }

    fn alias(&mut self, anchor: usize, line: u32) -> Result<(), YamlError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(YamlError::new(line, "an alias within what it stands for"));
        };
        self.go_down(node.depth(), line)?;
        let size = node.size();
        self.pay_copy(size, line)?;
        // Paid for, so that it may be copied.
        let copy = self.anchors.get(&anchor).cloned();
        copy.map_or(Ok(()), |node| self.put(node, 0))
    }

    /// Puts a finished value where it belongs.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            self.pay_copy(node.size(), node.line)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((Open::List(items), ..)) => items.push(node),
            Some((Open::Map(entries, merged, key), ..)) => match key.take() {
                Some(Key::Plain(key)) => entries.push((key, node)),
                Some(Key::Merge) => merged.push(node),
                None => {
                    let line = node.line;
                    let Value::Scalar { text, plain } = node.value else {
                        return Err(YamlError::new(line, "a key must be a text"));
                    };
                    *key = Some(if plain && &*text == "<<" { Key::Merge } else { Key::Plain(text) });
                }
            },
        }
        Ok(())
    }
}

/// Adds to a mapping what it merges from others. Its own entries win, then those of the first.
fn merge(entries: &mut Entries, merged: Vec<Node>) -> Result<(), YamlError> {
    let mut known = HashSet::new();
    for (key, node) in entries.iter() {
        if !known.insert(key.clone()) {
            return Err(YamlError::new(node.line, format!("`{}` is there twice", key.escape_debug())));
        }
    }
    let mut waiting: Vec<Node> = merged;
    waiting.reverse();
    while let Some(Node { value, line }) = waiting.pop() {
        match value {
            Value::Map(more) => {
                entries.extend(more.into_iter().filter(|(key, _)| known.insert(key.clone())));
            }
            Value::List(maps) => waiting.extend(maps.into_iter().rev()),
            Value::Scalar { .. } => return Err(YamlError::new(line, "`<<` merges mappings only")),
        }
    }
    Ok(())
}
