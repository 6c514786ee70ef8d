//! A place in a frame. Reading is by whole headers of fixed size, so that one bounds check covers all of a header's
//! fields.

/// What is left of a packet, and where in the frame that starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame, offset: 0 }
    }

    /// The next `N` bytes; `None`, and no step, if fewer are left.
    #[inline(always)]
    pub(super) const fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        match self.rest.split_first_chunk() {
            Some((chunk, rest)) => {
                self.rest = rest;
                self.offset += N;
                Some(chunk)
            }
            None => None,
        }
    }

    /// The next `count` bytes; `None`, and no step, if fewer are left.
    #[inline(always)]
    pub(super) const fn take_slice(&mut self, count: usize) -> Option<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((slice, rest)) => {
                self.rest = rest;
                self.offset += count;
                Some(slice)
            }
            None => None,
        }
    }

    /// Ends the packet after `count` more bytes; `None`, and no change, if fewer are left.
    #[inline(always)]
    pub(super) fn truncate(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(..count)?;
        Some(())
    }

    /// How many bytes are left.
    #[inline(always)]
    pub(super) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Where in the frame the next byte stands.
    ///
    /// Headers end far below 64 KiB (the longest chain: two tags, IPv6, eight extension headers of 2048 bytes, UDP, Geneve
    /// with all options, and inside it the same again up to TCP with all options), so nothing is ever cut off here.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "headers end below 34 KiB, see above")]
    pub(super) const fn offset(&self) -> u16 {
        self.offset as u16
    }

    /// Where in the frame the packet ends; 65535 if beyond, which takes a capture of a segmentation offload.
    #[inline(always)]
    pub(super) fn end(&self) -> u16 {
        u16::try_from(self.offset + self.rest.len()).unwrap_or(u16::MAX)
    }
}
