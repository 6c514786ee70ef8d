mod flows;
mod handlers;
mod policy;
mod query;
mod routes;
mod socket;
mod wireguard;

use std::path::PathBuf;

use crate::{
    api::{self, socket::Claim},
    testing::Running,
};

/// Serves a running appliance on a socket in its directory.
fn serve(running: &Running) -> (PathBuf, Claim) {
    let path = running.directory.file("control.sock");
    let mut claim = Claim::new(&path).unwrap();
    let listener = claim.listen().unwrap();
    tokio::spawn(api::socket::serve(listener, api::router(std::sync::Arc::clone(&running.appliance))));
    (path, claim)
}
