/// Bytes that begin at a page in memory, as a disk wants what it writes without a copy. They never need more memory than was taken.
#[derive(Debug)]
pub struct AlignedBytes {
    /// Behind `start` bytes, which have the rest begin at a page. Never grows.
    memory: Vec<u8>,
    start: usize,
}

impl AlignedBytes {
    /// What they, and places in files, are aligned to.
    pub const ALIGN: usize = 4096;

    /// None, with room for `capacity` of them.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut memory = Vec::<u8>::with_capacity(capacity + Self::ALIGN);
        let start = memory.as_ptr().align_offset(Self::ALIGN).min(Self::ALIGN);
        memory.resize(start, 0);
        Self { memory, start }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }

    /// The bytes, to change them.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..).unwrap_or_default()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.memory.len() - self.start
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes, for which there is room.
    pub fn extend(&mut self, bytes: &[u8]) {
        debug_assert!(self.memory.len() + bytes.len() <= self.memory.capacity(), "no room");
        self.memory.extend_from_slice(bytes);
    }

    /// Keeps the first `length` of them; fills up with zeros what is missing.
    pub fn resize(&mut self, length: usize) {
        debug_assert!(self.start + length <= self.memory.capacity(), "no room");
        self.memory.resize(self.start + length, 0);
    }
}
