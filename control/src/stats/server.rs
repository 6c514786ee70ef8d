//! `GET /metrics` over HTTP.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{Router, http::header, routing::get};

use super::Metrics;

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be served at {address}: {source}")]
pub struct MetricsError {
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Listens at `address`.
///
/// # Errors
/// If the address is not ours or in use.
pub fn bind(address: SocketAddr) -> Result<TcpListener, MetricsError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| MetricsError { address, source })
}

/// Answers requests until the process ends.
///
/// # Errors
/// If the listener cannot be handed to the runtime.
pub async fn serve(listener: TcpListener, metrics: Metrics) -> io::Result<()> {
    let metrics = Arc::new(metrics);
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let router = Router::new().route("/metrics", get(async move || (text, metrics.render())));
    axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
}
