//! Attaching the comparison's XDP programs.

use std::{ffi::CString, os::fd::AsFd};

use libbpf_rs::{
    MapCore, MapFlags, MapHandle, Object, ObjectBuilder, ProgramInput, TC_INGRESS, TcHook, Xdp, XdpFlags,
};

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

fn load() -> Object {
    let mut builder = ObjectBuilder::default();
    let open = builder.open_memory(OBJECT).expect("the object was compiled with this binary");
    open.load().expect("the kernel takes the program (root?)")
}

impl Attached {
    pub(crate) fn new(program: &str, interface: &str, mode: Mode) -> Self {
        let object = load();
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
}

/// How frames of the source enter an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Entrance {
    /// They leave it, as XDP frames; a veth hands them to its peer's native hook.
    Transmit,
    /// They are received by it, as packets of the kernel's stack, whose generic hook sees them first.
    Receive,
}

/// Which frames a source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pattern {
    /// Some flows, in turn.
    Flows,
    /// The answers to them.
    Answers,
    /// Every frame a flow of its own, to one of the addresses 10.78.128.0/17.
    New,
}

/// The program that sends. It is attached to nothing: the kernel runs it on demand.
pub(crate) struct Source {
    object: Object,
    /// `struct xdp_md` of `linux/bpf.h`, if frames are received.
    context: Option<[u32; 6]>,
}

impl Source {
    /// `BPF_F_TEST_XDP_LIVE_FRAMES` of `linux/bpf.h` (Linux 5.18): what the program says happens to the frame.
    const LIVE_FRAMES: u32 = 1 << 1;

    /// Sends frames like this one, of `flows` flows.
    pub(crate) fn new(
        interface: &str,
        entrance: Entrance,
        pattern: Pattern,
        flows: u16,
        frame: &[u8],
    ) -> Self {
        let object = load();
        let index = ifindex(interface);
        let (leaves, context) = match entrance {
            Entrance::Transmit => (index, None),
            Entrance::Receive => {
                let end = u32::try_from(frame.len()).expect("a frame is short");
                (0, Some([0, end, 0, index, 0, 0]))
            }
        };
        // Where the client's port is, behind Ethernet and an IPv4 header without options.
        let (flows, port) = match pattern {
            Pattern::Flows => (flows, 34_u32),
            Pattern::Answers => (flows, 36),
            Pattern::New => (0, 34),
        };
        let mut value = [0; 56];
        value[..4].copy_from_slice(&leaves.to_ne_bytes());
        value[4..8].copy_from_slice(&u32::from(flows).to_ne_bytes());
        value[16..20].copy_from_slice(&port.to_ne_bytes());
        value[20..].copy_from_slice(&frame[..36]);
        let map = object.maps().find(|map| map.name() == "source").expect("a map of the object");
        map.update(&0_u32.to_ne_bytes(), &value, MapFlags::ANY).expect("slot 0");
        Self { object, context }
    }

    /// Where the program counts.
    pub(crate) fn counter(&self) -> Counter {
        let map = self.object.maps().find(|map| map.name() == "source").expect("a map of the object");
        Counter(MapHandle::try_from(&map).expect("another descriptor"))
    }

    /// Sends a frame `count` times, each of the next flow; the kernel does it all on this CPU.
    pub(crate) fn send(&self, frame: &[u8], count: u32) {
        let mut context = self.context.map(|words| words.map(u32::to_ne_bytes).concat());
        run_on_frames(&self.object, "bench_source", frame, context.as_deref_mut(), count);
    }
}

/// The program that sends frames of a few lengths at a rate.
pub(crate) struct Paced {
    object: Object,
    longest: Vec<u8>,
}

impl Paced {
    /// Bytes of `struct paced` of the program: the shapes' order stands at 52, their lengths at 68, their headers behind these;
    /// how many frames were left out, at 168.
    const SIZE: usize = 176;

    /// Sends frames of at most three kinds, in the order of `order`, which has at most sixteen numbers of these: one each `interval`
    /// nanoseconds, until a time of the monotonic clock. Blocks until long after.
    pub(crate) fn new(
        interface: &str,
        flows: u16,
        frames: &[Vec<u8>],
        order: &[u8],
        interval: u64,
        (begin, until): (u64, u64),
    ) -> Self {
        let object = load();
        let mut value = [0; Self::SIZE];
        value[..4].copy_from_slice(&ifindex(interface).to_ne_bytes());
        value[4..8].copy_from_slice(&u32::from(flows).to_ne_bytes());
        for (place, word) in value[24..48].chunks_exact_mut(8).zip([begin, interval, until]) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        value[48..52].copy_from_slice(&u32::try_from(order.len()).expect("a few").to_ne_bytes());
        value[52..52 + order.len()].copy_from_slice(order);
        for (shape, frame) in frames.iter().enumerate() {
            let length = u32::try_from(frame.len()).expect("a frame is short");
            value[68 + 4 * shape..][..4].copy_from_slice(&length.to_ne_bytes());
            value[80 + 28 * shape..][..28].copy_from_slice(&frame[..28]);
        }
        let map = object.maps().find(|map| map.name() == "paced").expect("a map of the object");
        map.update(&0_u32.to_ne_bytes(), &value, MapFlags::ANY).expect("slot 0");
        let longest = frames.iter().max_by_key(|frame| frame.len()).cloned().unwrap_or_default();
        Self { object, longest }
    }

    /// Has the kernel send, on this CPU, until the process ends.
    pub(crate) fn send(&self) {
        run_on_frames(&self.object, "bench_paced", &self.longest, None, u32::MAX);
    }

    /// Where the program counts.
    pub(crate) fn counter(&self) -> PacedCounter {
        let map = self.object.maps().find(|map| map.name() == "paced").expect("a map of the object");
        PacedCounter(MapHandle::try_from(&map).expect("another descriptor"))
    }
}

/// How many frames and bytes a paced source has sent, and how many frames it left out because it was late.
pub(crate) struct PacedCounter(MapHandle);

impl PacedCounter {
    pub(crate) fn read(&self) -> [u64; 3] {
        let value = self.0.lookup(&0_u32.to_ne_bytes(), MapFlags::ANY).expect("the map is there");
        let value = value.expect("slot 0");
        [8, 16, 168].map(|at| u64::from_ne_bytes(value[at..at + 8].try_into().expect("8 bytes")))
    }
}

/// Runs a program over a frame of the kernel's own, again and again; what it says happens to the frame.
fn run_on_frames(object: &Object, name: &str, frame: &[u8], context: Option<&mut [u8]>, count: u32) {
    let input = ProgramInput {
        context_in: context,
        data_in: Some(frame),
        flags: Source::LIVE_FRAMES,
        repeat: count,
        ..ProgramInput::default()
    };
    let program = object.progs_mut().find(|program| program.name() == name);
    program.expect("a program of the object").test_run(input).expect("Linux 5.18 or later");
}

/// How many frames a source has sent.
pub(crate) struct Counter(MapHandle);

impl Counter {
    pub(crate) fn read(&self) -> u64 {
        let value = self.0.lookup(&0_u32.to_ne_bytes(), MapFlags::ANY).expect("the map is there");
        u64::from_ne_bytes(value.expect("slot 0")[8..16].try_into().expect("8 bytes"))
    }
}

/// The program that counts what an interface receives, and drops it.
pub(crate) struct Sink {
    object: Object,
}

impl Sink {
    pub(crate) fn new(interface: &str) -> Self {
        let object = load();
        let program = object.progs().find(|program| program.name() == "bench_sink");
        let index = i32::try_from(ifindex(interface)).expect("a small number");
        let mut hook = TcHook::new(program.expect("a program of the object").as_fd());
        hook.ifindex(index).attach_point(TC_INGRESS).replace(true).handle(1).priority(1);
        hook.create().and_then(|mut hook| hook.attach()).expect("tc on the interface (root?)");
        Self { object }
    }

    /// Frames counted.
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
