//! The laboratory with a gateway: the appliance routes between the networks of client and server.
//!
//! ```text
//!  client               appliance               server
//!  eth0 ----- veth ----- outside   inside ----- veth ----- eth0
//!  10.8.1.2       10.8.1.1               10.8.2.1       10.8.2.2
//!  fd08:1::2     fd08:1::1               fd08:2::1     fd08:2::2
//! ```

use std::{io::Write as _, process::Stdio};

use crate::{
    netns::Namespace,
    process::wait_for,
    ravelin::Ravelin,
    topology::{Lab, Links},
};

/// The client's addresses.
pub const CLIENT: [&str; 2] = ["10.8.1.2", "fd08:1::2"];
/// The server's addresses.
pub const SERVER: [&str; 2] = ["10.8.2.2", "fd08:2::2"];
/// The appliance's addresses on the client's side.
pub const OUTSIDE: [&str; 2] = ["10.8.1.1", "fd08:1::1"];
/// The appliance's addresses on the server's side.
pub const INSIDE: [&str; 2] = ["10.8.2.1", "fd08:2::1"];

/// All three as endpoints. What no policy governs may pass.
pub const ENDPOINTS: &str = r#"
[[endpoint]]
name = "client"
addresses = ["10.8.1.2", "fd08:1::2"]
profiles = ["default-allow"]

[[endpoint]]
name = "server"
addresses = ["10.8.2.2", "fd08:2::2"]
labels = { role = "server" }
profiles = ["default-allow"]

[[endpoint]]
name = "gateway"
kind = "host"
addresses = ["10.8.1.1", "fd08:1::1", "10.8.2.1", "fd08:2::1"]
labels = { role = "gateway" }
profiles = ["default-allow"]
"#;

/// The endpoints, and a policy `guard` of those with this role with these rules about flows to them.
pub fn guard(role: &str, rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("[[policy.ingress]]\n{rule}\n")).collect();
    let policy =
        format!("[[policy]]\nname = \"guard\"\nselector = \"role == '{role}'\"\ntypes = [\"ingress\"]\n");
    format!("{ENDPOINTS}{policy}{rules}")
}

/// The configuration of an interface that routes; `keys` are lines that say more about it.
pub fn routes(interface: &str, keys: &str) -> String {
    format!("[[interface]]\nname = \"{interface}\"\nmode = \"route\"\n{keys}\n")
}

/// A laboratory with a gateway; `None` if the test has to be skipped, and may be.
pub fn gateway(programs: &[&str]) -> Option<Lab> {
    gateway_with(Links::default(), programs)
}

/// The same with links as asked for.
pub fn gateway_with(links: Links, programs: &[&str]) -> Option<Lab> {
    let lab = Lab::without_addresses(links, programs)?;
    forward(&lab.appliance);
    give(&lab.appliance, "outside", OUTSIDE);
    give(&lab.appliance, "inside", INSIDE);
    for (host, addresses, [via, via6]) in [(&lab.client, CLIENT, OUTSIDE), (&lab.server, SERVER, INSIDE)] {
        give(host, "eth0", addresses);
        host.ip(&format!("route add default via {via}"));
        host.ip(&format!("-6 route add default via {via6}"));
    }
    // Until its addresses of a link are known to be nobody else's, a router does not ask who is there.
    wait_for("addresses of links", || lab.appliance.ip("-6 address show tentative").is_empty());
    Some(lab)
}

/// Makes a host a router.
pub fn forward(host: &Namespace) {
    host.sysctl("ipv4/ip_forward", "1");
    host.sysctl("ipv6/conf/all/forwarding", "1");
}

/// Gives an interface its addresses, usable at once.
pub fn give(host: &Namespace, interface: &str, [v4, v6]: [&str; 2]) {
    host.ip(&format!("address add {v4}/24 dev {interface}"));
    host.ip(&format!("address add {v6}/64 dev {interface} nodad"));
}

/// Starts `ravelin run` on both interfaces of a gateway, and with what `more` adds to the configuration.
pub fn start(lab: &Lab, more: &str) -> Ravelin {
    start_with(lab, "", more)
}

/// The same, with `keys` for each interface.
pub fn start_with(lab: &Lab, keys: &str, more: &str) -> Ravelin {
    let interfaces = ["outside", "inside"].map(|name| routes(name, keys)).concat();
    Ravelin::start(&lab.appliance, lab.folder(), &format!("{interfaces}{more}"))
}

/// Has `ip` do all of this as fast as it can.
pub fn batch(host: &Namespace, lines: impl Iterator<Item = String>) {
    let mut child = host.split("ip -batch -").stdin(Stdio::piped()).spawn().expect("ip starts");
    let text: String = lines.map(|line| line + "\n").collect();
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("ip reads");
    assert!(child.wait().expect("ip ends").success(), "ip -batch failed");
}
