//! Attaching the comparison's XDP programs.

use std::{ffi::CString, os::fd::AsFd};

use libbpf_rs::{MapCore, MapFlags, Object, ObjectBuilder, Xdp, XdpFlags};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bench.bpf.o"));

/// An XDP program on an interface. It stays attached when this is dropped; the namespace is deleted after the run.
pub(crate) struct Attached {
    object: Object,
}

/// How XDP is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// By the driver.
    Native,
    /// By the kernel's generic hook.
    Generic,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

pub(crate) fn ifindex(interface: &str) -> u32 {
    let path = format!("/sys/class/net/{interface}/ifindex");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.trim().parse().expect("the kernel writes a number")
}

impl Attached {
    pub(crate) fn new(program: &str, interface: &str, mode: Mode) -> Self {
        let mut builder = ObjectBuilder::default();
        let open = builder.open_memory(OBJECT).expect("the object was compiled with this binary");
        let object = open.load().expect("the kernel takes the program (root?)");
        let flags = match mode {
            Mode::Native => XdpFlags::DRV_MODE,
            Mode::Generic => XdpFlags::SKB_MODE,
        };
        let found =
            object.progs().find(|candidate| candidate.name() == program).expect("a program of the object");
        let index = i32::try_from(ifindex(interface)).expect("a small number");
        Xdp::new(found.as_fd())
            .attach(index, flags)
            .unwrap_or_else(|error| panic!("XDP on {interface} in {} mode: {error}", mode.name()));
        Self { object }
    }

    /// Lets the program hand the frames of queue 0 to a socket.
    pub(crate) fn set_socket(&self, fd: i32) {
        let map = self.object.maps().find(|map| map.name() == "sockets").expect("a map of the object");
        map.update(&0_u32.to_ne_bytes(), &fd.to_ne_bytes(), MapFlags::ANY).expect("the socket is bound");
    }

    /// Frames counted by the sink.
    pub(crate) fn received(&self) -> u64 {
        let map = self.object.maps().find(|map| map.name() == "received").expect("a map of the object");
        let values = map
            .lookup_percpu(&0_u32.to_ne_bytes(), MapFlags::ANY)
            .expect("the map is there")
            .expect("slot 0");
        values.iter().map(|value| u64::from_ne_bytes(value[..8].try_into().expect("a u64 per CPU"))).sum()
    }
}

/// The interface's name in the form that xsk-rs takes.
pub(crate) fn interface(name: &str) -> xsk_rs::config::Interface {
    xsk_rs::config::Interface::new(CString::new(name).expect("no NUL in an interface name"))
}
