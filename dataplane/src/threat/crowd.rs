use super::{
    Feeds,
    sweep::{Address, Items, Range, sweep},
};

/// Entries with a port, where one address has so many that no class can hold them all. Sorted by port, then address.
#[derive(Debug)]
pub(super) struct Crowd<A> {
    /// Where other feeds begin to name the addresses on a port, and what they are from there.
    begins: Vec<(u16, A)>,
    feeds: Vec<Feeds>,
}

impl<A: Address> Crowd<A> {
    /// From those of `entries` that have a port and touch any of `stretches`, which are in order.
    pub(super) fn new(mut entries: Vec<Range<A>>, stretches: &[(A, A)]) -> Self {
        entries.retain(|(first, last, tag)| {
            let at = stretches.partition_point(|(_, end)| end < first);
            tag.port().is_some() && stretches.get(at).is_some_and(|(begin, _)| begin <= last)
        });
        entries.sort_unstable_by_key(|(.., tag)| tag.port());
        let mut crowd = Self { begins: Vec::new(), feeds: Vec::new() };
        for of_port in entries.chunk_by(|(.., one), (.., two)| one.port() == two.port()) {
            let Some(port) = of_port.first().and_then(|(.., tag)| tag.port()) else { continue };
            let mut items = Items::new();
            of_port.iter().for_each(|(first, last, tag)| items.push((*first, *last, tag.without_port())));
            sweep(items, |first, last, active| crowd.push(port, first, last, active.feeds()));
        }
        crowd.begins.shrink_to_fit();
        crowd.feeds.shrink_to_fit();
        crowd
    }

    fn push(&mut self, port: u16, first: A, last: A, feeds: Feeds) {
        // The end of the stretch before is the beginning of this one if they touch.
        if self.begins.last() == Some(&(port, first)) {
            self.begins.pop();
            self.feeds.pop();
        }
        self.begins.push((port, first));
        self.feeds.push(feeds);
        if let Some(behind) = last.next() {
            self.begins.push((port, behind));
            self.feeds.push(Feeds::EMPTY);
        }
    }

    #[inline(never)]
    pub(super) fn feeds(&self, address: A, port: u16) -> Feeds {
        let behind = self.begins.partition_point(|begin| *begin <= (port, address));
        let Some(at) = behind.checked_sub(1) else { return Feeds::EMPTY };
        let of_port = self.begins.get(at).is_some_and(|(of, _)| *of == port);
        if of_port { self.feeds.get(at).copied().unwrap_or_default() } else { Feeds::EMPTY }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.begins) + size_of_val(&*self.feeds)
    }
}
