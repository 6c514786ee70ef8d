use crate::schema::{
    parser::{choice, duration, power_of_two, word},
    section,
    word::words,
};
use std::time::Duration;

words! {
    /// Where in the kernel the XDP program runs.
    pub enum IoMode {
        /// In the driver where it can, otherwise in the kernel's generic code.
        Auto = "auto",
        /// In the driver, or not at all.
        Native = "native",
        /// In the kernel's generic code.
        Generic = "generic",
    }
}

words! {
    /// Whether the network card writes into our memory directly.
    pub enum ZeroCopy {
        /// Where the driver can.
        Auto = "auto",
        /// Never: the kernel copies.
        Off = "off",
    }
}

words! {
    /// Whether the kernel does its receive work in threads, away from the workers.
    pub enum NapiThreads {
        /// Where it helps and a core is left for them.
        Auto = "auto",
        /// On every interface.
        On = "on",
        /// As it is.
        Off = "off",
    }
}

section! {
    /// How packets come in and go out: AF_XDP sockets.
    pub struct Io in "io" {
        /// Where the XDP program runs: in the driver (`native`), in the kernel's generic code (`generic`), or
        /// in the driver where it can (`auto`).
        mode: IoMode = IoMode::Auto => word(), Restart;
        /// Whether the network card may write into our memory directly, where its driver can.
        zero_copy: ZeroCopy = ZeroCopy::Auto => word(), Restart;
        /// How long the kernel polls the card on behalf of a worker that waits. Zero: not at all.
        #[serde(serialize_with = "crate::duration::serialize")]
        busy_poll: Duration = Duration::ZERO => duration(Duration::ZERO..=Duration::from_millis(100)), Restart;
        /// Whether the kernel does its receive work (NAPI) in threads with real-time priority, on the cores that have no
        /// worker: more throughput, at the price of waking a thread for a packet that comes alone. `auto`: on a veth in
        /// native mode, if there is such a core and `busy_poll` is zero. `on`: on every interface.
        napi_threads: NapiThreads = NapiThreads::Off => word(), Restart;
        /// Descriptors in each ring of a socket. Three times as many frames are set aside for it.
        ring_size: u32 = 2048 => power_of_two(64..=32768), Restart;
        /// Bytes of a frame. A packet must fit into one, less the headroom that the kernel takes.
        frame_size: u32 = 4096 => choice(&[2048, 4096]), Restart;
    }
}
