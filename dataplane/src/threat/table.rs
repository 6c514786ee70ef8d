use super::{
    lines::{self, Lines, Node, Part, Said},
    record::{Kind, Record},
};

/// Class of a number of 32 bits, such as an IPv4 address: a table over the upper half, and a node of lines below it.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The node of each upper half.
    root: Option<Box<[Node; UPPERS]>>,
    lines: Lines,
}

const UPPERS: usize = 1 << 16;

/// A table that is asked many times.
#[derive(Clone, Copy)]
pub(super) struct Ready<'t> {
    root: Option<&'t [Node; UPPERS]>,
    lines: &'t Lines,
}

impl Table {
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    #[inline]
    pub(super) fn ready(&self) -> Ready<'_> {
        Ready { root: self.root.as_deref(), lines: &self.lines }
    }

    pub(super) fn class(&self, number: u32) -> u32 {
        let ready = self.ready();
        ready.finish(ready.begin(number), number)
    }

    /// Numbers at which the class may become another, in order.
    pub(super) fn begins(&self) -> impl Iterator<Item = u32> {
        let root = self.root.as_deref().map_or(&[][..], |root| root);
        // An upper half that shares its node with the one before is of the same class altogether.
        let mut before = None;
        let uppers = (0u32..).zip(root).filter(move |(_, node)| before.replace(**node) != Some(**node));
        uppers.flat_map(|(upper, node)| {
            let mut words = Vec::new();
            self.lines.words(*node, |word, _| words.push(word));
            words.sort_unstable();
            words.dedup();
            words.into_iter().map(move |word| upper << 16 | u32::from(word))
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.root.as_deref().map_or(0, size_of_val) + self.lines.bytes()
    }
}

impl Ready<'_> {
    /// Begins to look for a number, and asks for the memory that [`Ready::finish`] reads.
    #[inline]
    pub(super) fn begin(self, number: u32) -> u32 {
        let node =
            self.root.and_then(|root| root.get((number >> 16) as usize).copied()).unwrap_or(Node::NONE);
        let line = node.line(number as u16);
        self.lines.fetch(line);
        line
    }

    /// The class.
    #[inline]
    pub(super) fn finish(self, line: u32, number: u32) -> u32 {
        let said = self.lines.find(line, number as u16);
        if said.is_record() { self.large(said) } else { said.0 }
    }

    /// A class that a line has no room for.
    #[inline(never)]
    fn large(self, said: Said) -> u32 {
        match self.lines.record(said).map(Kind::read) {
            Some(Kind::Class(class)) => class,
            Some(Kind::Prefix { .. } | Kind::Node(_) | Kind::Ranges { .. }) | None => 0,
        }
    }
}

/// Makes a table of stretches that come in order.
#[derive(Debug)]
pub(super) struct Builder {
    root: Vec<Node>,
    lines: lines::Builder,
    /// What is known of the upper half that is being made, without gaps.
    parts: Vec<Part>,
    /// Where the next stretch begins, if there is room for any.
    next: Option<u32>,
    /// The node of upper halves that are of one class altogether.
    plain: Option<(Record, Node)>,
}

impl Builder {
    /// For about so many entries.
    pub(super) fn new(entries: usize) -> Self {
        let lines = lines::Builder::new(entries);
        Self { root: Vec::new(), lines, parts: Vec::new(), next: Some(0), plain: None }
    }

    /// The next stretch, behind all before.
    pub(super) fn push(&mut self, first: u32, last: u32, class: u32) {
        if let Some(next) = self.next
            && let Some(before) = first.checked_sub(1)
            && next <= before
        {
            self.cover(next, before, 0);
        }
        self.cover(first, last, class);
        self.next = last.checked_add(1);
    }

    pub(super) fn finish(mut self) -> Table {
        if self.next == Some(0) {
            return Table::default();
        }
        if let Some(next) = self.next {
            self.cover(next, u32::MAX, 0);
        }
        // There is a node for each upper half now.
        Table { root: self.root.into_boxed_slice().try_into().ok(), lines: self.lines.finish() }
    }

    fn cover(&mut self, first: u32, last: u32, class: u32) {
        let record = Record::of_class(class);
        for upper in first >> 16..=last >> 16 {
            let from = if upper == first >> 16 { first as u16 } else { 0 };
            let to = if upper == last >> 16 { last as u16 } else { u16::MAX };
            match self.parts.last_mut() {
                Some((_, before, same)) if *same == record => *before = to,
                _ => self.parts.push((from, to, record)),
            }
            if to == u16::MAX {
                let node = self.node();
                self.root.push(node);
                self.parts.clear();
            }
        }
    }

    /// The node of the upper half that is complete.
    fn node(&mut self) -> Node {
        let plain = if let [(.., record)] = *self.parts { Some(record) } else { None };
        if let (Some(record), Some((same, node))) = (plain, self.plain)
            && record == same
        {
            return node;
        }
        let node = self.lines.node(&self.parts);
        self.plain = plain.map(|record| (record, node)).or(self.plain);
        node
    }
}
