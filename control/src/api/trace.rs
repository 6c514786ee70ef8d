//! Streams traced packets, one JSON object a line, as the workers see them.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use http_body_util::channel::{Channel, Sender};
use ravelin_dataplane::command::{Command, TraceRing};
use serde::Serialize;
use tokio::sync::OwnedMutexGuard;

use super::{
    describe,
    query::TraceQuery,
    view::{TraceEnd, TraceLine},
};
use crate::appliance::Appliance;

/// How often the ring is looked at.
const POLL: Duration = Duration::from_millis(2);
/// Looks that find nothing before the reader is asked whether it is still there.
const SILENCE: u32 = 100;

/// Starts a trace. `turn` is the right to trace; the trace ends when its reader goes away or has what it asked for.
pub(super) fn start(appliance: Arc<Appliance>, query: TraceQuery, turn: OwnedMutexGuard<()>) -> Body {
    let (sender, body) = Channel::<Bytes>::new(64);
    tokio::spawn(async move {
        // Whoever reads has gone: there is nobody to tell.
        let _gone = stream(&appliance, &query, sender).await;
        drop(turn);
    });
    Body::new(body)
}

/// The reader has gone.
struct Gone;

async fn stream(appliance: &Appliance, query: &TraceQuery, mut reader: Sender<Bytes>) -> Result<(), Gone> {
    // With a filter nobody knows how many packets must be looked at to show so many.
    let ring = Arc::new(TraceRing::new(if query.takes_all() { query.count } else { u32::MAX }));
    let _stop = Close(&ring);
    for member in appliance.roster.members() {
        if !appliance.roster.ask(member, Command::Trace(Arc::clone(&ring))) {
            tracing::warn!(worker = %member.id, "too many requests wait for the worker: it is not traced");
        }
    }
    let mut end = TraceEnd { shown: 0, skipped: 0, lost: 0 };
    let mut silent: u32 = 0;
    while end.shown < u64::from(query.count) {
        let Some(entry) = ring.pop() else {
            silent += 1;
            if silent.is_multiple_of(SILENCE) {
                // An empty piece is not sent, but fails if nobody is there to read.
                send(&mut reader, Bytes::new()).await?;
            }
            tokio::time::sleep(POLL).await;
            continue;
        };
        if !query.matches(&entry) {
            end.skipped += 1;
            if end.skipped.is_multiple_of(256) {
                tokio::task::yield_now().await;
            }
            continue;
        }
        end.shown += 1;
        let packet = describe::packet(appliance, &entry);
        send(&mut reader, line(&TraceLine::Packet(Box::new(packet)))).await?;
    }
    end.lost = ring.lost();
    send(&mut reader, line(&TraceLine::End(end))).await
}

/// Tells the workers to stop, however the trace ends.
struct Close<'r>(&'r TraceRing);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn send(reader: &mut Sender<Bytes>, bytes: Bytes) -> Result<(), Gone> {
    reader.send_data(bytes).await.map_err(|_| Gone)
}

fn line(value: &impl Serialize) -> Bytes {
    Bytes::from(format!("{}\n", serde_json::json!(value)))
}
