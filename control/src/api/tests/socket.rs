use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use crate::{
    api::socket::{Claim, SocketError},
    testing::Directory,
};

#[test]
fn only_the_owner_may_connect_and_the_directory_is_made() {
    let directory = Directory::new();
    let path = directory.file("run/control.sock");
    let mut claim = Claim::new(&path).unwrap();
    let _listener = claim.listen().unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(path.as_path()), 0o600);
    assert_eq!(mode(path.parent().unwrap()) & 0o022, 0, "nobody else may put a socket in its place");
    UnixStream::connect(&path).unwrap();
    drop(claim);
    assert!(!path.exists());
}

#[test]
fn a_live_socket_is_refused_and_goes_on() {
    let directory = Directory::new();
    let path = directory.file("control.sock");
    let mut claim = Claim::new(&path).unwrap();
    let _listener = claim.listen().unwrap();
    let error = Claim::new(&path).unwrap_err();
    let process = format!("(process {})", std::process::id());
    assert!(matches!(error, SocketError::Taken { .. }), "{error}");
    assert!(error.to_string().contains(&process), "{error}");
    UnixStream::connect(&path).unwrap();
}

#[test]
fn the_socket_of_a_dead_process_is_replaced() {
    let directory = Directory::new();
    let path = directory.file("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    directory.write("control.sock.lock", "4711\n");
    directory.write("control.sock.new", "");
    assert!(UnixStream::connect(&path).is_err(), "nobody listens");
    let mut claim = Claim::new(&path).unwrap();
    let _listener = claim.listen().unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let directory = Directory::new();
    let path = directory.write("control.sock", "precious");
    let error = Claim::new(&path).unwrap().listen().unwrap_err();
    assert!(matches!(error, SocketError::NotASocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}
