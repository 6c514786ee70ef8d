//! Tunnels: shown, and their peers changed.

use std::{num::NonZeroU16, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    routing::{get, post},
};
use ravelin_config::{
    types::IfName,
    wireguard::change::{PeerChange, PeerFate, PeersChange, Setting},
};

use super::{
    handlers::{Refused, Shared, refuse},
    view::{WireguardChange, WireguardChanged, WireguardInterface, WireguardPeerChange},
};
use crate::{appliance::Appliance, reload::PeersError};

/// The longest request: as many peers as there may be have room in it.
const LONGEST: usize = 64 << 20;

/// What can be asked about tunnels.
pub(super) fn routes() -> Router<Arc<Appliance>> {
    Router::new()
        .route("/wireguard", get(list))
        .route("/wireguard/{name}/peers", post(change).layer(DefaultBodyLimit::max(LONGEST)))
}

async fn list(State(appliance): Shared) -> Json<Vec<WireguardInterface>> {
    Json(appliance.wireguard().await)
}

async fn change(
    State(appliance): Shared,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<WireguardChanged>, Refused> {
    // What it does not understand it does not repeat: there may be a key in it.
    let asked: WireguardChange = serde_json::from_slice(&body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        refuse(StatusCode::BAD_REQUEST, &format!("this is not a change of peers, from {place} on"))
    })?;
    let interface: IfName = name.parse().map_err(|_| PeersError::Unknown(name))?;
    let changed = appliance.change_peers(&interface, &read(&asked)?).await?;
    Ok(Json(WireguardChanged {
        generation: changed.generation,
        changes: changed.changes.into_iter().map(|change| change.field).collect(),
        config: appliance.in_force().path,
        behind: changed.behind.iter().map(|worker| worker.0).collect(),
    }))
}

fn read(asked: &WireguardChange) -> Result<PeersChange, Refused> {
    let peers = asked.peers.iter().zip(1..).map(|(peer, number)| {
        read_peer(peer).map_err(|(what, error)| {
            refuse(StatusCode::BAD_REQUEST, &format!("peer {number}: {what}: {error}"))
        })
    });
    Ok(PeersChange { replaces: asked.replace_peers, peers: peers.collect::<Result<_, _>>()? })
}

/// What is wrong with a part of a change, by the part's name.
type Wrong = (&'static str, String);

fn wrong<E: ToString>(what: &'static str) -> impl Fn(E) -> Wrong {
    move |error| (what, error.to_string())
}

fn read_peer(asked: &WireguardPeerChange) -> Result<PeerChange, Wrong> {
    let public_key = asked.public_key.parse().map_err(wrong("public_key"))?;
    let preshared_key = match asked.preshared_key.as_ref().map(|key| key.0.as_str()) {
        None => Setting::Stays,
        Some("") => Setting::Ends,
        Some(key) => Setting::Is(key.parse().map_err(wrong("preshared_key"))?),
    };
    let persistent_keepalive = match asked.persistent_keepalive_seconds.map(NonZeroU16::new) {
        None => Setting::Stays,
        Some(None) => Setting::Ends,
        Some(Some(seconds)) => Setting::Is(seconds),
    };
    let endpoint = asked.endpoint.as_ref().map(|text| text.parse().map_err(wrong("endpoint")));
    let list =
        |nets: &Vec<String>| nets.iter().map(|net| net.parse().map_err(wrong("allowed_ips"))).collect();
    let fate = match (asked.remove, asked.update_only) {
        (true, _) => PeerFate::Gone,
        (false, true) => PeerFate::ThereIfItWas,
        (false, false) => PeerFate::There,
    };
    Ok(PeerChange {
        public_key,
        fate,
        preshared_key,
        endpoint: endpoint.transpose()?,
        persistent_keepalive,
        allowed_ips: asked.allowed_ips.as_ref().map(list).transpose()?,
    })
}

impl From<PeersError> for Refused {
    fn from(error: PeersError) -> Self {
        let status = match &error {
            PeersError::Unknown(_) => StatusCode::NOT_FOUND,
            PeersError::OnBridge(_) | PeersError::TooMany(_) | PeersError::Compile(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        refuse(status, &error).help("nothing has changed")
    }
}
