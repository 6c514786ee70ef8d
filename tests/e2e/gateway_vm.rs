//! A gateway as an operator has it: a Debian with its own kernel and virtual network cards, the package installed, administered over SSH
//! through an interface that routes as well. Whoever is no endpoint is denied, and nothing passes while the process is away: what
//! keeps SSH alive is what must.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
};

use ravelin_tests::{
    counters::Counters,
    gateway::{CLIENT, OUTSIDE, SERVER, give_hosts, guard, routes},
    process::{Process, run, wait_for, wait_until},
    topology::{Lab, ping_all, pings},
    vm::{self, Vm},
};
use serde_json::Value;

use crate::{
    package::package,
    routing::{fetch, is_shut, web},
};

const INTERFACES: [&str; 3] = ["eth0", "eth1", "eth2"];
const CONFIG: &str = "/etc/ravelin/ravelin.toml";
const DENY_81: &str = "action = \"deny\"\nprotocol = \"tcp\"\ndestination = { ports = [81] }";
const ANYTHING: &str = "action = \"allow\"";
/// What the server sends to the client's network is the gateway's there, and the server's port 80 is published at 8080.
const NAT: &str = r#"
[[nat.source]]
out = ["eth1"]
sources = ["10.8.2.0/24"]

[[nat.destination]]
address = "eth1"
protocol = "tcp"
ports = 8080
to = "10.8.2.2"
to_port = 80
"#;

#[test]
fn a_debian_becomes_a_gateway_that_is_never_out_of_reach() {
    let programs = [&vm::PROGRAMS[..], &["busybox", "cargo-deb", "curl", "ping", "tcpdump"]].concat();
    let Some(lab) = Lab::without_links(&programs) else { return };
    let package = package();
    let mut gateway = Gateway::boot(lab);
    gateway.install(&package);
    gateway.start();
    gateway.judges();
    gateway.translates();
    gateway.captures();
    gateway.refuses_what_is_broken();
    gateway.comes_back_after("KILL", 1);
    // It says no more that it is alive, until systemd's patience is over.
    gateway.comes_back_after("STOP", 2);
    gateway.reboots();
    gateway.translates();
    gateway.complained_of_nothing_else();
    gateway.remove();
}

fn config() -> String {
    let interfaces = INTERFACES.map(|name| routes(name, "fail = \"closed\"")).concat();
    let rules = guard("server", &[DENY_81, ANYTHING]);
    // There is no Internet to fetch the list from.
    let feed = "[[feed]]\nname = \"feodo\"\nmode = \"disabled\"\n";
    format!("{interfaces}[enforcement]\nunknown = \"deny\"\n{feed}{NAT}{rules}")
}

/// The laboratory with a virtual machine as the gateway. It is administered from where `lab` would have the appliance.
struct Gateway {
    vm: Vm,
    /// Somebody who is logged in.
    session: Process,
    page: Vec<u8>,
    _servers: [Process; 2],
    lab: Lab,
}

impl Gateway {
    /// Boots the machine, and makes it the router that any Debian can be.
    fn boot(lab: Lab) -> Self {
        let vm = Vm::boot(&lab, &lab.appliance, &[(&lab.client, "eth0"), (&lab.server, "eth0")]);
        give_hosts(&lab);
        for number in 1..=2 {
            let addresses = format!("Address=10.8.{number}.1/24\nAddress=fd08:{number}::1/64");
            let network = format!("[Match]\nName=eth{number}\n[Network]\n{addresses}");
            vm.write(&format!("/etc/systemd/network/eth{number}.network"), &network);
        }
        vm.write("/etc/sysctl.d/router.conf", "net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1");
        vm.run("sysctl --quiet --system && networkctl reload");
        let page = lab.random_file("page", 1_000_000);
        let servers = [80, 81].map(|port| web(&lab, &lab.server, port));
        let session = log_in(&lab, &vm);
        let gateway = Self { vm, session, page, _servers: servers, lab };
        for address in SERVER.into_iter().chain(OUTSIDE) {
            wait_for("Debian to route", || pings(&gateway.lab.client, address));
        }
        gateway
    }

    fn install(&self, package: &Path) {
        let before = self.vm.run("ip -details link");
        self.vm.send(package, "/tmp/ravelin.deb");
        self.vm.run("dpkg --install /tmp/ravelin.deb");
        assert_eq!(self.vm.run("ip -details link"), before);
        let (_, enabled, _) = self.vm.attempt("systemctl is-enabled ravelin");
        assert_eq!(enabled, "disabled\n");
    }

    fn start(&mut self) {
        self.vm.write(CONFIG, &config());
        self.vm.run("ravelin check");
        assert_eq!(self.json("doctor")["problems"], 0);
        self.vm.run("systemctl enable --now ravelin");
        assert_eq!(self.json("doctor")["problems"], 0);
        let interfaces = self.json("show interfaces");
        for (interface, name) in interfaces.as_array().expect("a list").iter().zip(INTERFACES) {
            let found = ["name", "driver", "mode"].map(|key| interface[key].as_str().unwrap_or_default());
            assert_eq!(found, [name, "virtio_net", "native"]);
        }
        // The unit's sandbox is in force: it is in it that everything else here works.
        let status = self.vm.run("cat /proc/$(systemctl show --property MainPID --value ravelin)/status");
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.contains(line), "{status}");
        }
    }

    /// What is allowed passes, what is denied does not, and both are to be seen; the host is reached as far as it must be.
    fn judges(&mut self) {
        let before = self.counters();
        let Lab { client, appliance, .. } = &self.lab;
        for address in SERVER {
            ping_all(client, address, 10, 1400);
            fetch(&self.lab, client, address, 80, &self.page);
            assert!(is_shut(client, address, 81), "{address}");
        }
        for address in OUTSIDE {
            ping_all(client, address, 5, 56);
        }
        assert!(!pings(appliance, vm::ADDRESS), "whoever is no endpoint is denied");
        self.is_logged_in();

        let expected = [(80, "allow"), (81, "deny")];
        for (address, (port, verdict)) in SERVER.into_iter().flat_map(|it| expected.map(|way| (it, way))) {
            let answer = self.json(&format!("show flows --dst {address} --port {port}"));
            let flows = answer["flows"].as_array().expect("a list");
            let is_right = |flow: &Value| flow["verdict"] == verdict && flow["policy"] == "default.guard";
            assert!(!flows.is_empty() && flows.iter().all(is_right), "{answer:#}");
        }
        let counters = wait_until("a moment without packets", || {
            let [one, other] = [self.counters(), self.counters()];
            one.has_same_packets(&other).then_some(other)
        });
        counters.assert_balanced();
        counters.assert_drops_only(&["rule_deny", "unknown_deny"]);
        // At least one request to connect in each version of IP, and two pings.
        for reason in ["rule_deny", "unknown_deny"] {
            assert!(counters.dropped(reason) >= before.dropped(reason) + 2, "{counters:?}");
        }
        // Two pages, and each ping both ways.
        let packets = 2 * self.page.len() as u64 / 1448 + 4 * 10;
        assert!(counters["forwarded"] > before["forwarded"] + packets, "{counters:?}");
        assert!(counters["local"] >= before["local"] + 10, "{counters:?}");
    }

    /// The server is known as the gateway, and its published service is reached there.
    fn translates(&self) {
        let Lab { client, server, .. } = &self.lab;
        let at = client.inside(|| TcpListener::bind((CLIENT[0], 0))).expect("a port is free");
        let to = at.local_addr().expect("it is bound");
        let connection = server.inside(|| TcpStream::connect(to)).expect("it is let through");
        let (_, peer) = at.accept().expect("somebody came");
        assert_eq!(peer.ip().to_string(), OUTSIDE[0]);
        drop(connection);
        fetch(&self.lab, client, OUTSIDE[0], 8080, &self.page);
        let nat = self.json("show nat");
        assert_eq!(nat["addresses"][0]["address"], OUTSIDE[0], "{nat:#}");
        assert!(nat["published"][0]["flows"].as_u64() > Some(0), "{nat:#}");
    }

    /// A capture is taken on the gateway, and read elsewhere.
    fn captures(&self) {
        self.vm.run("ravelin capture start web --filter 'tcp port 80'");
        fetch(&self.lab, &self.lab.client, SERVER[0], 80, &self.page);
        self.vm.run("ravelin capture stop web && ravelin capture get web --output /tmp/web.pcapng");
        let file = self.lab.folder().join("web.pcapng");
        self.vm.fetch("/tmp/web.pcapng", &file);
        let capture = self.json("capture show web");
        let count = |filter: &str| {
            let mut command = Command::new("tcpdump");
            run(command.args(["-nn", "-r"]).arg(&file).arg(filter)).lines().count()
        };
        assert_eq!(count("tcp[tcpflags] & tcp-syn != 0"), 2);
        assert_eq!((&capture["packets"], &capture["lost"]), (&count("tcp port 80").into(), &0.into()));
        assert!(fs::metadata(&file).expect("it was fetched").len() > self.page.len() as u64);
    }

    /// A configuration with a mistake is not taken over by a reload. A restart is not possible, then.
    fn refuses_what_is_broken(&mut self) {
        self.vm.write(CONFIG, &format!("{}\n[polcy]", config()));
        for (command, where_it_says) in
            [("ravelin reload", "true"), ("systemctl reload ravelin", "journalctl --unit ravelin")]
        {
            let (status, _, error) = self.vm.attempt(command);
            let said = error + &self.vm.run(where_it_says);
            assert!(!status.success() && said.contains("there is no section `polcy`"), "{command}: {said}");
            assert!(said.contains("the old configuration stays in force"), "{command}: {said}");
        }
        self.judges();

        let (status, ..) = self.vm.attempt("systemctl restart ravelin");
        assert!(!status.success());
        let (_, state, _) = self.vm.attempt("systemctl is-active ravelin");
        assert_eq!(state, "failed\n", "systemd does not try what cannot succeed");
        self.is_logged_in();
        // It was stopped in order, so the machine is what it was before.
        for address in SERVER {
            ping_all(&self.lab.client, address, 5, 56);
        }
        self.vm.write(CONFIG, &config());
        self.vm.run("systemctl restart ravelin");
        self.judges();
    }

    /// A signal ends the process sooner or later, and systemd begins it anew, for so many times by now.
    fn comes_back_after(&mut self, signal: &str, restarts: u32) {
        self.vm.run(&format!("systemctl kill --signal {signal} --kill-who main ravelin"));
        self.is_logged_in();
        self.wait_for_service(restarts);
        self.judges();
    }

    /// The service is there after a boot, without a hand or a second attempt.
    fn reboots(&mut self) {
        self.vm.reboot();
        self.session = log_in(&self.lab, &self.vm);
        self.wait_for_service(0);
        self.judges();
    }

    fn wait_for_service(&self, restarts: u32) {
        wait_for("the service to run", || {
            let state = self.vm.run("systemctl show --property ActiveState,NRestarts ravelin");
            state.contains("ActiveState=active") && state.contains(&format!("NRestarts={restarts}\n"))
        });
    }

    /// Of all that was logged, no error is one that this test did not make, and none is the kernel's.
    fn complained_of_nothing_else(&self) {
        let log = self.vm.run("journalctl --unit ravelin");
        let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
        assert_eq!(errors.len(), 2, "{errors:#?}");
        assert!(errors.iter().all(|line| line.contains("reload refused")), "{errors:#?}");
        assert_eq!(log.matches("Watchdog timeout").count(), 1, "{log}");
        let kernel = self.vm.run("journalctl _TRANSPORT=kernel");
        assert!(kernel.contains("Linux version 6.1."), "{kernel}");
        for fault in ["BUG:", "WARNING:", "Oops", "Call Trace"] {
            assert!(!kernel.contains(fault), "{kernel}");
        }
    }

    /// Without the package the machine is what it was.
    fn remove(&mut self) {
        self.vm.run("dpkg --remove ravelin");
        let links = self.vm.run("ip -details link");
        assert!(!links.contains("xdp") && !links.contains("rvln"), "{links}");
        for port in [80, 81] {
            fetch(&self.lab, &self.lab.client, SERVER[0], port, &self.page);
        }
        self.is_logged_in();
    }

    /// Panics if the session that was there from the beginning does not go on, or nobody else can log in.
    fn is_logged_in(&mut self) {
        let seen = self.session.output().len();
        wait_for("the SSH session to go on", || {
            assert!(!self.session.has_ended(), "the SSH session ended");
            self.session.output().len() > seen + 10
        });
        run(&mut self.vm.session("true"));
    }

    fn counters(&self) -> Counters {
        Counters::new(&self.json("show counters"), &self.json("show drops"))
    }

    fn json(&self, words: &str) -> Value {
        let answer = self.vm.run(&format!("ravelin {words} --json"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{words}: {error}\n{answer}"))
    }
}

/// Logs in for as long as it goes.
fn log_in(lab: &Lab, vm: &Vm) -> Process {
    Process::start("session", vm.session("while sleep 0.2; do echo here; done"), lab.folder())
}
