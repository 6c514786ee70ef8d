//! Interfaces that route: the appliance as a gateway between two networks.

mod changes;
mod failure;
mod forwarding;
mod host;
mod neighbours;
mod ways;
mod workers;

use std::{fs, net::UdpSocket};

use ravelin_tests::{
    netns::Namespace,
    process::{Process, attempt},
    topology::Lab,
};

/// Has a host give away the files of the laboratory's folder.
fn web(lab: &Lab, host: &Namespace, port: u16) -> Process {
    let folder = lab.folder().display();
    lab.serve(host, port, &format!("busybox httpd -f -p [::]:{port} -h {folder}"))
}

/// Fetches the page `page` from a host, and compares it.
fn fetch(lab: &Lab, from: &Namespace, address: &str, port: u16, page: &[u8]) {
    let copy = lab.folder().join("copy");
    let _not_there = fs::remove_file(&copy);
    from.run(&format!("curl --silent --fail --output {} {}", copy.display(), url(address, port)));
    assert!(fs::read(copy).expect("curl wrote it") == page, "the page differs");
}

/// Whether a host's web server cannot be reached.
fn is_shut(from: &Namespace, address: &str, port: u16) -> bool {
    !from.succeeds(&format!("curl --silent --connect-timeout 1 --output /dev/null {}", url(address, port)))
}

fn url(address: &str, port: u16) -> String {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    format!("http://{host}:{port}/page")
}

/// What one ping that cannot succeed says.
fn ping_says(host: &Namespace, line: &str) -> String {
    let (_, out, error) = attempt(&mut host.split(&format!("ping -n -c 1 -W 5 {line}")));
    out + &error
}

/// Takes the datagrams that have come to a socket.
fn received(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).expect("sockets can");
    std::iter::from_fn(|| socket.recv(&mut [0; 2048]).ok()).count()
}
