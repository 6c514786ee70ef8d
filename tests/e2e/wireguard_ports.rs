//! Where the program in the kernel has packets go that peers send to the port of a tunnel. There is no worker: what a socket of ours is given
//! is counted, and ends there.

use std::{fs, net::UdpSocket, path::PathBuf, time::Duration};

use ravelin_config::types::Protocol;
use ravelin_control::wireguard::device;
use ravelin_dataplane::io::af_xdp::{
    self, AfXdpControl, AfXdpIo, AttachChoice, FailsafePort, InterfaceSettings, NapiThreads, Own, Role,
    Settings, WithoutProcess, ZeroCopy,
};
use ravelin_tests::{netns::Namespace, process::wait_for, requirements};

const TUNNEL: u16 = 51820;

/// A gateway that has been taken over, and a peer on its only link.
struct World {
    host: Namespace,
    peer: Namespace,
    control: AfXdpControl,
    /// Nobody asks them for packets.
    _backends: Vec<AfXdpIo>,
    own: Own,
}

/// The addresses of host and peer.
const ENDS: [[&str; 2]; 2] = [["10.8.1.1", "10.8.1.2"], ["fd08:1::1", "fd08:1::2"]];

fn state(host: &Namespace) -> PathBuf {
    std::env::temp_dir().join(format!("{}.interfaces", host.name()))
}

fn take_over(host: &Namespace, name: &str, role: Role) -> (Vec<AfXdpIo>, AfXdpControl) {
    let settings = Settings {
        interfaces: vec![InterfaceSettings {
            name: name.to_owned(),
            attach: AttachChoice::Native,
            without_process: WithoutProcess::OpenKernel,
            role,
        }],
        workers: 1,
        batch: 64,
        handoff: 64,
        ring: 256,
        frame_size: 4096,
        huge_pages: false,
        zero_copy: ZeroCopy::Off,
        busy_poll: None,
        napi_threads: NapiThreads::Off,
        spare_cores: Vec::new(),
        state_file: state(host),
    };
    host.inside(|| af_xdp::open(&settings)).expect("it is ours")
}

impl World {
    fn new() -> Option<Self> {
        if !requirements::met(&["ip"]) {
            return None;
        }
        let (host, peer) = (Namespace::new("host"), Namespace::new("peer"));
        host.ip(&format!("link add outside type veth peer name eth0 netns {}", peer.name()));
        for ([ours, theirs], length) in ENDS.into_iter().zip([24, 64]) {
            let nodad = if length == 64 { " nodad" } else { "" };
            host.ip(&format!("address add {ours}/{length} dev outside{nodad}"));
            peer.ip(&format!("address add {theirs}/{length} dev eth0{nodad}"));
        }
        host.ip("link set outside up");
        peer.ip("link set eth0 up");
        let (backends, control) = take_over(&host, "outside", Role::Router);
        let mut own = control.own().expect("the kernel has the list").expect("it routes");
        own.set_addresses(ENDS.map(|[ours, _]| ours.parse().unwrap())).expect("there is room");
        own.set_tunnels([TUNNEL]).expect("there is room");
        Some(Self { host, peer, control, _backends: backends, own })
    }

    /// How many packets a worker would have received.
    fn redirected(&self) -> u64 {
        self.control.report()[0].kernel.redirected
    }

    fn send(&self, (from, to, length): Packet<'_>) -> u64 {
        let before = self.redirected();
        from.send_to(&vec![1; length], to).expect("it is sent");
        before
    }

    /// Makes sure that a worker would receive a packet, and that the kernel with this socket does not.
    fn is_workers(&self, packet: Packet<'_>, socket: &UdpSocket, what: &str) {
        let before = self.send(packet);
        wait_for(what, || self.redirected() > before);
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(socket.recv(&mut [0; 4096]).is_err(), "{what}: the kernel has it");
        assert_eq!(self.redirected(), before + 1, "{what}");
    }

    /// Makes sure that the kernel receives a packet whole with this socket, and that no worker would.
    fn is_kernels(&self, packet: Packet<'_>, socket: &UdpSocket, what: &str) {
        let before = self.send(packet);
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let received = socket.recv(&mut [0; 4096]).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((received, self.redirected()), (packet.2, before), "{what}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _not_there = fs::remove_file(state(&self.host));
    }
}

/// What the peer sends: through which socket, where to, how many bytes.
type Packet<'a> = (&'a UdpSocket, (&'a str, u16), usize);

fn socket(host: &Namespace, address: &str, port: u16) -> UdpSocket {
    host.inside(|| UdpSocket::bind((address, port))).expect("the port is free")
}

#[test]
fn whole_packets_are_the_workers_whatever_the_kernel_sends() {
    let Some(mut world) = World::new() else { return };
    for [ours, theirs] in ENDS {
        let (here, other) = (socket(&world.host, ours, TUNNEL), socket(&world.host, ours, 40_000));
        let there = socket(&world.peer, theirs, 7);
        there.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let called = socket(&world.peer, theirs, 8);
        here.send_to(&[2; 10], (theirs, 8)).expect("it is sent");
        let call = |from: &UdpSocket| {
            from.send_to(&[2; 10], (theirs, 7)).expect("it is sent");
            assert_eq!(there.recv(&mut [0; 100]).expect("it arrives"), 10);
        };
        let packet = (&there, (ours, TUNNEL), 148);
        world.is_workers(packet, &here, "a packet of a tunnel");
        // Another port becomes the kernel's own conversation, that of a tunnel does not.
        call(&other);
        world.is_kernels((&there, (ours, 40_000), 148), &other, "an answer to the kernel");
        call(&here);
        world.is_workers(packet, &here, "a packet after the kernel sent one");
        for length in [3000, 1600] {
            world.is_kernels((&there, (ours, TUNNEL), length), &here, "fragments");
        }
        world.is_workers((&there, (ours, TUNNEL), 1400), &here, "a whole packet after fragments");

        let failsafe = FailsafePort { protocol: Protocol::UDP, port: TUNNEL };
        world.own.set_failsafes([failsafe]).expect("there is room");
        world.is_workers(packet, &here, "a failsafe port");
        world.own.set_tunnels([TUNNEL + 1]).expect("there is room");
        world.is_kernels(packet, &here, "a failsafe port where no tunnel ends");
        world.own.set_failsafes([]).expect("there is room");
        // Nothing was noted of what went before, in either direction: what the kernel sent was no beginning, and it may begin now.
        world.is_workers((&called, (ours, TUNNEL), 148), &here, "no answer where no tunnel ends");
        call(&here);
        world.is_kernels(packet, &here, "the answer where no tunnel ends");
        world.own.set_tunnels([TUNNEL]).expect("there is room");
        world.is_workers(packet, &here, "a conversation that becomes a tunnel");
    }
}

#[test]
fn there_is_room_for_sixteen_tunnels() {
    let Some(mut world) = World::new() else { return };
    let error = world.own.set_tunnels(1..=17).unwrap_err().to_string();
    assert!(error.contains("16"), "{error}");
    world.own.set_tunnels(21..=36).expect("there is room");
    world.own.set_tunnels([]).expect("there is room");
}

/// The kernel does so itself where the program runs natively.
#[test]
fn at_the_kernels_end_of_a_tunnel_nothing_is_left_to_segment() {
    if !requirements::met(&["ip", "ethtool"]) {
        return;
    }
    let host = Namespace::new("host");
    host.inside(|| device::make("wg0", 2)).expect("the kernel makes it");
    let features = || host.run("ethtool --show-features wg0");
    assert!(features().contains("tcp-segmentation-offload: on"));
    let (_backends, control) = take_over(&host, "rvln-wg0", Role::Whole);
    let now = features();
    for feature in ["tcp-segmentation-offload", "tx-tcp6-segmentation", "tx-udp-segmentation"] {
        assert!(now.contains(&format!("{feature}: off")), "{feature}: {now}");
    }
    host.inside(|| control.close()).expect("it is given back");
}
