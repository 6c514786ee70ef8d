//! Keys of WireGuard that are taken over from their files.

use std::sync::Arc;

use axum::{Json, Router, body::Bytes, extract::State, http::StatusCode, routing::post};

use super::{
    handlers::{Refused, Shared, refuse},
    view,
};
use crate::{appliance::Appliance, reload::RotationError};

/// What can be asked about keys.
pub(super) fn routes() -> Router<Arc<Appliance>> {
    Router::new().route("/wireguard/keys", post(take_keys))
}

async fn take_keys(State(appliance): Shared, body: Bytes) -> Result<Json<view::WireguardInterface>, Refused> {
    let asked: view::WireguardKeys =
        serde_json::from_slice(&body).map_err(|error| refuse(StatusCode::BAD_REQUEST, &error))?;
    Ok(Json(appliance.take_keys(&asked.interface).await?))
}

impl From<RotationError> for Refused {
    fn from(error: RotationError) -> Self {
        let status = match &error {
            RotationError::Unknown(_) => StatusCode::NOT_FOUND,
            RotationError::NoFile(_) => StatusCode::BAD_REQUEST,
            RotationError::Keys(_) | RotationError::Compile(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        refuse(status, &error).help("the keys before stay in force")
    }
}
