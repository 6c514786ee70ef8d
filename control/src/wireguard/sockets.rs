use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use rustix::net::{AddressFamily, SocketType, bind as bind_to, socket, sockopt::set_ipv6_v6only};

/// The sockets of an interface, of IPv4 and IPv6.
pub(super) type Sockets = [Option<Arc<UdpSocket>>; 2];

/// Takes a UDP port at all addresses, any if none is given, of both versions as far as the system has them; says which.
///
/// # Errors
/// The port is in use, or the system has neither version.
pub(super) fn bind(port: Option<u16>) -> io::Result<(u16, Sockets)> {
    let v4 = open((Ipv4Addr::UNSPECIFIED, port.unwrap_or_default()).into());
    let chosen = match &v4 {
        Ok(socket) => socket.local_addr()?.port(),
        Err(_) => port.unwrap_or_default(),
    };
    let v6 = open((Ipv6Addr::UNSPECIFIED, chosen).into());
    let sockets = match (v4, v6) {
        (Ok(v4), Ok(v6)) => [Some(Arc::new(v4)), Some(Arc::new(v6))],
        (Ok(v4), Err(error)) if is_missing(&error) => [Some(Arc::new(v4)), None],
        (Err(error), Ok(v6)) if is_missing(&error) => [None, Some(Arc::new(v6))],
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    let port = sockets
        .iter()
        .flatten()
        .next()
        .map_or(Ok(0), |socket| Ok::<_, io::Error>(socket.local_addr()?.port()))?;
    Ok((port, sockets))
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::DGRAM, None)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    bind_to(&socket, &address)?;
    let socket = UdpSocket::from(socket);
    // Workers send through it, and wait for nobody.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether the system has no such addresses at all.
fn is_missing(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL]
        .into_iter()
        .any(|missing| code == Some(missing.raw_os_error()))
}
