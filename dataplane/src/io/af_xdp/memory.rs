//! The packet memory: one UMEM for all interfaces and all workers, so that a frame goes from one to another without a copy.
//!
//! It is leaked on purpose. Frames hold `&'static Umem`; an owner that could unmap the memory would have to know that
//! no frame is left in any ring, batch or handoff queue, and that is only certain when the process ends. The price: a
//! process can open an interface once, because libxdp keeps the first socket open as long as the memory exists.

use std::num::NonZeroU32;

use xsk_rs::{
    FrameDesc, Umem,
    config::{FrameSize, QueueSize, UmemConfig},
};

use super::{AfXdpError, error::chain, frame::XdpFrame};

pub(super) struct Memory {
    pub umem: &'static Umem,
    /// Every frame there is.
    pub frames: Vec<XdpFrame>,
    /// Bytes of the largest packet that fits into a frame.
    pub max_frame: u32,
}

/// How the packet memory and the rings between us and the kernel are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Bytes in a frame, of which the kernel keeps 256.
    pub frame_size: u32,
    pub frames: u32,
    /// Entries in each ring.
    pub ring: u32,
    pub huge_pages: bool,
}

impl Shape {
    pub(super) fn umem_config(&self) -> Result<UmemConfig, AfXdpError> {
        let size = FrameSize::new(self.frame_size).map_err(|error| self.refused(&error))?;
        let ring = QueueSize::new(self.ring).map_err(|error| self.refused(&error))?;
        UmemConfig::builder()
            .frame_size(size)
            .fill_queue_size(ring)
            .comp_queue_size(ring)
            .build()
            .map_err(|error| self.refused(&error))
    }

    /// Memory and its frames, not leaked yet.
    pub(super) fn allocate(&self) -> Result<(Umem, Vec<FrameDesc>), AfXdpError> {
        let frames = NonZeroU32::new(self.frames).ok_or(AfXdpError::Settings("there must be frames"))?;
        Umem::new(self.umem_config()?, frames, self.huge_pages).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &dyn std::error::Error) -> AfXdpError {
        AfXdpError::Memory { frames: self.frames, frame_size: self.frame_size, reason: chain(error) }
    }
}

impl Memory {
    pub(super) fn new(shape: Shape) -> Result<Self, AfXdpError> {
        let max_frame = shape.umem_config()?.mtu();
        let (umem, frames) = shape.allocate()?;
        let umem: &'static Umem = Box::leak(Box::new(umem));
        // SAFETY: each descriptor comes from `Umem::new` and becomes one token; no socket has seen them.
        let frames = frames.into_iter().map(|desc| unsafe { XdpFrame::claim(desc, umem) }).collect();
        Ok(Self { umem, frames, max_frame })
    }
}
