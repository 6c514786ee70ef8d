//! The gateway and the WireGuard of the Linux kernel, both as a file for wg-quick(8) says it. The kernel is that of a virtual machine, and
//! the client the router before it:
//!
//! ```text
//!  virtual machine         client               appliance               server
//!  eth0 ------ tap ------ vm0   eth0 --- veth --- outside   inside --- veth --- eth0
//!  10.8.0.1       10.8.0.2   10.8.1.2     10.8.1.1       10.8.2.1       10.8.2.2
//!  wg0, 10.9.0.2                          wg0, 10.9.0.1
//! ```

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use ravelin_tests::{
    gateway::{CLIENT, OUTSIDE, SERVER, forward, gateway, start},
    process::{Process, run, wait_for, wait_until},
    ravelin::Ravelin,
    topology::{Lab, ping_all, pings, wait_for_port},
    vm::{self, Vm},
    wireguard::{Keys, Shown, preshared_key, shown},
};

use crate::routing::web;

/// What the gateway has in the tunnel, and the virtual machine.
const OURS: [&str; 2] = ["10.9.0.1", "fd09::1"];
const THEIRS: [&str; 2] = ["10.9.0.2", "fd09::2"];
/// Where the virtual machine is, and the client for it.
const MACHINE: [&str; 2] = [vm::ADDRESS, "fd08::1"];
const ROUTER: [&str; 2] = ["10.8.0.2", "fd08::2"];
const PORT: u16 = 51_820;
const BYTES: usize = 4_000_000;

#[test]
fn the_kernel_of_linux_is_a_peer() {
    let Some(mut tunnel) = Tunnel::new() else { return };
    for endpoint in OUTSIDE {
        tunnel.kernel_begins(endpoint);
    }
    tunnel.kernel_begins_anew();
    for (endpoint, seen_at) in MACHINE.into_iter().zip(OUTSIDE) {
        tunnel.gateway_begins(endpoint, seen_at);
    }
    tunnel.gateway_begins_anew();
    tunnel.endpoint_moves();
    tunnel.finish();
}

/// A gateway, and a virtual machine with a kernel that is its peer.
struct Tunnel {
    ours: Keys,
    theirs: Keys,
    preshared: String,
    page: Vec<u8>,
    ravelin: Option<Ravelin>,
    _web: Process,
    vm: Vm,
    lab: Lab,
}

impl Tunnel {
    fn new() -> Option<Self> {
        let lab = gateway(&[&vm::PROGRAMS[..], &["wg", "ping", "busybox", "sha256sum"]].concat())?;
        forward(&lab.client);
        let vm = Vm::boot(&lab, &lab.client, &[]);
        vm.run(&format!("ip route add default via {}; ip route add default via {}", ROUTER[0], ROUTER[1]));
        lab.appliance.ip(&format!("route add {}/32 via {}", MACHINE[0], CLIENT[0]));
        lab.appliance.ip(&format!("route add {}/128 via {}", MACHINE[1], CLIENT[1]));
        let page = lab.random_file("page", BYTES);
        let web = web(&lab, &lab.server, 80);
        let [ours, theirs] = [Keys::new(), Keys::new()];
        Some(Self { ours, theirs, preshared: preshared_key(), page, ravelin: None, _web: web, vm, lab })
    }

    /// The kernel knows where the gateway is, which does not know where the kernel is.
    fn kernel_begins(&mut self, endpoint: &str) {
        self.restart(None, Some(endpoint));
        self.reach_gateway();
        self.use_it();
        self.agree(endpoint);
    }

    /// The gateway knows where the kernel is, which does not know where the gateway is.
    fn gateway_begins(&mut self, endpoint: &str, seen_at: &str) {
        self.restart(Some(endpoint), None);
        self.reach_kernel();
        self.use_it();
        let (ours, _) = self.agree(seen_at);
        assert_eq!(ours.endpoint, Some(socket(endpoint)));
    }

    /// The kernel forgets its peer and begins with it as with a new one, then its interface goes down and comes back.
    fn kernel_begins_anew(&self) {
        let before = self.both();
        self.forget();
        self.reach_gateway();
        self.use_it();
        let between = self.both();
        self.vm.run("ip link set wg0 down && ip link set wg0 up");
        self.vm.run(&ping(OURS[0], 56));
        let after = self.both();
        for (before, after) in [(&before, &between), (&between, &after)] {
            assert!(before.0.latest_handshake < after.0.latest_handshake, "{before:?} {after:?}");
            assert!(before.1.latest_handshake < after.1.latest_handshake, "{before:?} {after:?}");
        }
    }

    /// The kernel forgets its peer, and does not know where that is: it is the gateway that has to see that nobody answers.
    fn gateway_begins_anew(&self) {
        let before = self.both();
        self.forget();
        wait_for("a new session", || pings(&self.lab.server, THEIRS[0]));
        self.use_it();
        let after = self.both();
        assert!(before.0.latest_handshake < after.0.latest_handshake, "{before:?} {after:?}");
    }

    /// The gateway is told while it runs that the kernel is somewhere else, and the kernel sees from where it is spoken to.
    fn endpoint_moves(&self) {
        self.write_ours(Some(MACHINE[0]));
        self.ravelin().reload().expect("it is right");
        // The worker hears of it at its next turn of the clock; what came from the old place after that would be believed more.
        wait_for("the worker to know", || self.both().0.endpoint == Some(socket(MACHINE[0])));
        wait_for("the other way", || pings(&self.lab.server, THEIRS[1]));
        self.use_it();
        let (ours, theirs) = self.both();
        assert_eq!((ours.endpoint, theirs.endpoint), (Some(socket(MACHINE[0])), Some(socket(OUTSIDE[0]))));
    }

    /// Stops both ends, and starts them with what they know of where the other is.
    fn restart(&mut self, at_ours: Option<&str>, at_theirs: Option<&str>) {
        self.finish();
        if self.vm.attempt("ip link show wg0").0.success() {
            self.vm.run("wg-quick down wg0");
        }
        let allowed = "10.9.0.0/24, 10.8.2.0/24, fd09::/64, fd08:2::/64";
        let text = self.file(&self.theirs, THEIRS, &self.ours, allowed, at_theirs);
        self.vm.write("/etc/wireguard/wg0.conf", &text);
        self.vm.run("chmod 600 /etc/wireguard/wg0.conf && wg-quick up wg0");
        self.write_ours(at_ours);
        self.ravelin = Some(start(&self.lab, "[[wireguard]]\nname = \"wg0\"\nconf = \"wg0.conf\"\n"));
    }

    fn write_ours(&self, endpoint: Option<&str>) {
        let path = self.lab.folder().join("wg0.conf");
        let text = self.file(&self.ours, OURS, &self.theirs, "10.9.0.2/32, fd09::2/128", endpoint);
        fs::write(&path, text).expect("the folder is writable");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }

    /// What wg-quick(8) reads at one end.
    fn file(&self, own: &Keys, [v4, v6]: [&str; 2], peer: &Keys, allowed: &str, at: Option<&str>) -> String {
        let endpoint = at.map(|address| format!("Endpoint = {}\n", socket(address))).unwrap_or_default();
        format!(
            "[Interface]\nPrivateKey = {}\nAddress = {v4}/24, {v6}/64\nListenPort = {PORT}\n\n\
             [Peer]\nPublicKey = {}\nPresharedKey = {}\nAllowedIPs = {allowed}\n{endpoint}",
            own.private, peer.public, self.preshared
        )
    }

    /// Stops the gateway.
    fn finish(&mut self) {
        let Some(ravelin) = self.ravelin.take() else { return };
        let counters = ravelin.finish(&[]);
        let packets = self.page.len() as u64 / 1400;
        for name in ["wireguard_opened", "wireguard_sealed"] {
            assert!(counters[name] > 2 * packets, "{counters:?}");
        }
    }

    /// Has the kernel remove its peer, and read it from the file again.
    fn forget(&self) {
        self.vm.run(&format!("wg set wg0 peer {} remove", self.ours.public));
        self.vm.run("bash -c 'wg addconf wg0 <(wg-quick strip wg0)'");
    }

    fn reach_gateway(&self) {
        for address in [OURS, SERVER].concat() {
            self.vm.run(&format!("{} && {}", ping(address, 56), ping(address, 1300)));
        }
    }

    fn reach_kernel(&self) {
        for address in THEIRS {
            ping_all(&self.lab.server, address, 3, 56);
            ping_all(&self.lab.appliance, address, 3, 1300);
        }
    }

    /// Traffic of all kinds, both ways.
    fn use_it(&self) {
        self.reach_gateway();
        self.reach_kernel();
        let sum = run(Command::new("sha256sum").arg(self.lab.folder().join("page")));
        let sum = sum.split_whitespace().next().expect("a checksum");
        for address in SERVER {
            let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            self.vm.run(&format!("curl --silent --show-error --fail --output page http://{host}/page"));
            assert!(self.vm.run("sha256sum page").starts_with(sum), "the page differs");
            self.send_back(address);
        }
    }

    /// Has the machine send its copy of the page to the server.
    fn send_back(&self, address: &str) {
        let server = &self.lab.server;
        let mut receiver = self.lab.shell(server, "exec busybox nc -l -p 9000 >back");
        wait_for_port(server, 9000);
        self.vm.run(&format!("bash -c 'cat page >/dev/tcp/{address}/9000'"));
        receiver.finish();
        assert!(fs::read(self.lab.folder().join("back")).expect("it came") == self.page, "the page differs");
    }

    /// Panics unless both ends say the same of their sessions. Returns what they say: the gateway, then the kernel.
    fn agree(&self, seen_at: &str) -> (Shown, Shown) {
        let (ours, theirs) = wait_until("both to have counted the same", || {
            let (ours, theirs) = self.both();
            let same = ours.sent == theirs.received && ours.received == theirs.sent;
            same.then_some((ours, theirs))
        });
        assert_eq!((&ours.public_key, &theirs.public_key), (&self.theirs.public, &self.ours.public));
        assert_eq!(ours.allowed_ips, ["10.9.0.2/32", "fd09::2/128"]);
        assert_eq!(theirs.endpoint, Some(socket(seen_at)));
        assert!(ours.sent.min(ours.received) > 2 * self.page.len() as u64, "{ours:?}");
        assert!(ours.latest_handshake > 0 && theirs.latest_handshake > 0, "{ours:?} {theirs:?}");
        let said = [self.ravelin().ask(&["wg", "show"]).expect("an answer"), self.vm.run("wg show")];
        for words in ["latest handshake: ", "transfer: ", "preshared key: (hidden)"] {
            assert!(said.iter().all(|text| text.contains(words)), "{said:#?}");
        }
        (ours, theirs)
    }

    /// What the gateway says of the kernel, and the kernel of the gateway.
    fn both(&self) -> (Shown, Shown) {
        let dumps = [
            self.ravelin().ask(&["wg", "show", "wg0", "dump"]).expect("an answer"),
            self.vm.run("wg show wg0 dump"),
        ];
        let [ours, theirs] = dumps.map(|dump| shown(&dump).pop().expect("a peer"));
        (ours, theirs)
    }

    fn ravelin(&self) -> &Ravelin {
        self.ravelin.as_ref().expect("it was started")
    }
}

/// A command that succeeds when a packet has gone to an address and back three times. However late: ping waits so long for the only one.
fn ping(address: &str, size: u32) -> String {
    let one = format!("ping -n -q -c 1 -W 60 -s {size} {address}");
    format!("{one} && {one} && {one}")
}

/// An address and the port, as wg(8) says it.
fn socket(address: &str) -> String {
    if address.contains(':') { format!("[{address}]:{PORT}") } else { format!("{address}:{PORT}") }
}
