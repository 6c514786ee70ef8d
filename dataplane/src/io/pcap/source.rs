use std::{
    fmt,
    io::{ErrorKind, Read},
};

use super::PcapError;

/// The bytes of a capture, through one buffer that is filled by large reads.
pub(super) struct Source {
    file: String,
    input: Box<dyn Read + Send>,
    /// `start..end` holds what was read and not yet consumed.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where in the file `start` is.
    offset: u64,
    /// Bytes to throw away before anything else.
    skip: u64,
    may_read: bool,
    ended: bool,
}

/// What came of [`Source::fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// As many bytes as wanted are there.
    Ready,
    /// The file ends before that.
    Ended,
    /// The bytes would have to be read first, and reading is not allowed now.
    Later,
}

impl Source {
    /// Bytes read at once. Half of a usual second-level cache, so that what was read is still there when it is copied.
    const CHUNK: usize = 512 << 10;

    pub(super) fn new(file: String, input: Box<dyn Read + Send>) -> Self {
        Self {
            file,
            input,
            buffer: vec![0; Self::CHUNK],
            start: 0,
            end: 0,
            offset: 0,
            skip: 0,
            may_read: true,
            ended: false,
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Where in the file the first byte of [`Source::available`] is.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether [`Source::fill`] may read, and so wait.
    pub(super) fn allow_reading(&mut self, may_read: bool) {
        self.may_read = may_read;
    }

    /// What was read and not yet consumed.
    pub(super) fn available(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether the file ended cleanly, once [`Source::fill`] has said that it ended.
    pub(super) fn is_consumed(&self) -> bool {
        self.start == self.end && self.skip == 0
    }

    /// Makes `wanted` bytes available if the file has as many. The caller bounds `wanted`: the buffer grows to hold them.
    pub(super) fn fill(&mut self, wanted: usize) -> Result<Filled, PcapError> {
        if self.skip == 0 && self.end - self.start >= wanted {
            return Ok(Filled::Ready);
        }
        self.refill(wanted)
    }

    /// Goes on behind the next `bytes` available ones.
    pub(super) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.end - self.start);
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Goes on behind the next `bytes`, which may not have been read yet and will not be kept.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.skip += bytes;
    }

    pub(super) fn malformed(&self, field: &'static str, found: u64, expected: &'static str) -> PcapError {
        PcapError::Malformed { file: self.file.clone(), offset: self.offset, field, found, expected }
    }

    #[cold]
    fn refill(&mut self, wanted: usize) -> Result<Filled, PcapError> {
        loop {
            let held = self.end - self.start;
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(held);
            self.consume(skipped);
            self.skip -= skipped as u64;
            if self.skip == 0 && self.end - self.start >= wanted {
                return Ok(Filled::Ready);
            }
            if self.ended {
                return Ok(Filled::Ended);
            }
            if !self.may_read {
                return Ok(Filled::Later);
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.input.read(room) {
                Ok(0) => self.ended = true,
                Ok(bytes) => self.end += bytes.min(room.len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    let offset = self.offset + (self.end - self.start) as u64;
                    return Err(PcapError::Read { file: self.file.clone(), offset, source });
                }
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
