//! [`XdpFrame`]: the right to use one buffer of the packet memory.
//!
//! Promises: while a token exists, nobody else, kernel included, touches its buffer. xsk-rs describes buffers by
//! `FrameDesc`, which is `Copy`; the token is neither `Copy` nor `Clone`, and only this backend can make one.
//! Refuses: to return itself to a pool when dropped, because only a worker knows its pool; a dropped token is a buffer lost,
//! hence `must_use`.

use std::slice;

use xsk_rs::{FrameDesc, Umem};

use crate::io::Frame;

/// A buffer of the packet memory that all interfaces and workers share.
#[derive(Debug)]
#[must_use = "a frame that is not transmitted or released is lost to the pool"]
pub struct XdpFrame {
    desc: FrameDesc,
    // The memory is never unmapped (see `memory.rs`), so a frame can travel to any thread and outlive sockets and workers
    // without counting references per packet.
    umem: &'static Umem,
}

impl XdpFrame {
    /// Turns a descriptor into the token for its buffer.
    ///
    /// # Safety
    /// `desc` must describe a buffer of `umem` that neither the kernel nor another token owns: it came from
    /// `Umem::new`, or from a receive or completion ring, and was not used since.
    pub(super) unsafe fn claim(desc: FrameDesc, umem: &'static Umem) -> Self {
        Self { desc, umem }
    }

    /// Gives the token up for its descriptor, to hand the buffer to the kernel.
    pub(super) fn into_desc(self) -> FrameDesc {
        self.desc
    }
}

impl XdpFrame {
    /// Puts `bytes` into the buffer in the place of what it held; `false` if they do not fit.
    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        // SAFETY: as in `bytes_mut`.
        let mut data = unsafe { self.umem.data_mut(&mut self.desc) };
        let mut cursor = data.cursor();
        if cursor.buf_len() < bytes.len() {
            return false;
        }
        cursor.set_pos(0);
        std::io::Write::write_all(&mut cursor, bytes).is_ok()
    }
}

impl Frame for XdpFrame {
    fn bytes(&self) -> &[u8] {
        // SAFETY: `claim` made sure that the buffer is of this UMEM and exclusively ours; `&self` keeps it unchanged. The
        // kernel wrote the length and checked it against the buffer's size.
        unsafe { self.umem.data(&self.desc) }.contents()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` excludes every other reference to the buffer.
        let mut data = unsafe { self.umem.data_mut(&mut self.desc) };
        let bytes = data.contents_mut();
        let (start, length) = (bytes.as_mut_ptr(), bytes.len());
        // SAFETY: the same slice as `bytes`, whose lifetime xsk-rs ties to the short-lived `data` rather than to the
        // descriptor. The memory lives for ever and `&mut self` is borrowed for as long as the result.
        unsafe { slice::from_raw_parts_mut(start, length) }
    }

    fn set_len(&mut self, length: usize) -> bool {
        // SAFETY: as in `bytes_mut`.
        let mut data = unsafe { self.umem.data_mut(&mut self.desc) };
        let mut cursor = data.cursor();
        if cursor.buf_len() < length {
            return false;
        }
        cursor.set_pos(length);
        true
    }
}
