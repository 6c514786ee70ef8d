//! One function for each request.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use ravelin_config::{Config, InterfaceMode, types::IfName};
use ravelin_dataplane::{
    counters::{COUNTERS, CounterKind, PortCounters},
    verdict::DropReason,
};

use super::{
    captures, feeds, flows, nat, policy,
    query::{FlowQuery, LimitQuery, QueryError, RouteQuery, TraceQuery, UsageQuery},
    rotation, routes, trace, view, wireguard,
};
use crate::{
    appliance::{Appliance, InForce, whole_seconds},
    reload::ReloadError,
    stats,
};

/// How long a trace waits for the one before it, whose reader may just have gone.
const TURN: Duration = Duration::from_millis(500);

pub(super) type Shared = State<Arc<Appliance>>;
type Pairs = Query<Vec<(String, String)>>;

/// Everything that can be asked.
pub fn router(appliance: Arc<Appliance>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/interfaces", get(interfaces))
        .route("/workers", get(workers))
        .route("/counters", get(counters))
        .route("/drops", get(drops))
        .route("/flows", get(list_flows))
        .route("/nat", get(translated))
        .route("/policy", get(used))
        .route("/staged", get(staged))
        .route("/cut", get(cut))
        .route("/feeds", get(list_feeds))
        .route("/feeds/update", post(update_feeds))
        .route("/alerts", get(list_alerts))
        .route("/routes", get(list_routes))
        .route("/neighbours", get(list_neighbours))
        .route("/trace", get(start_trace))
        .merge(captures::routes())
        .merge(wireguard::routes())
        .merge(rotation::routes())
        .route("/reload", post(reload))
        .fallback(async || {
            refuse(StatusCode::NOT_FOUND, "there is no such thing to ask for")
                .help("see `ravelin show --help`")
        })
        .with_state(appliance)
}

async fn status(State(appliance): Shared) -> Json<view::Status> {
    let totals = appliance.totals();
    let InForce { config, generation, path, last_reload, .. } = appliance.in_force();
    let uptime = Timestamp::now().duration_since(appliance.started);
    let (records, writer) = appliance.records().unzip();
    let writer = writer.unwrap_or_default();
    let mode = |(interface, link): (_, view::Link)| view::InterfaceMode {
        name: name_of(interface).to_string(),
        state: link.state,
        mode: link.mode,
        why: link.why,
    };
    Json(view::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: whole_seconds(appliance.started),
        uptime_seconds: u64::try_from(uptime.as_secs()).unwrap_or_default(),
        config: path,
        generation,
        last_reload,
        interfaces: config.interfaces.iter().zip(appliance.interfaces.links()).map(mode).collect(),
        workers: appliance.roster.members().len(),
        stalled: appliance.stalled().iter().map(|worker| worker.0).collect(),
        flows: totals.flows_active,
        flow_capacity: config.flow.capacity,
        records,
        records_written: writer.written,
        records_lost: totals.records_lost + writer.unwritten,
        records_failing: writer.failing,
        received_packets: totals.received,
        forwarded_packets: totals.forwarded,
        dropped_packets: totals.drops.total(),
    })
}

fn name_of(interface: &ravelin_config::Interface) -> &IfName {
    &interface.name
}

async fn interfaces(State(appliance): Shared) -> Json<Vec<view::Interface>> {
    let totals = appliance.totals();
    let config = appliance.in_force().config;
    let counts = totals.ports.into_iter().chain(std::iter::repeat(PortCounters::default()));
    let all = config.interfaces.iter().zip(appliance.interfaces.links()).zip(counts);
    let view =
        |((interface, link), counts): ((&ravelin_config::Interface, _), PortCounters)| view::Interface {
            name: interface.name.to_string(),
            role: role(&config, interface),
            link,
            received_packets: counts.received,
            received_bytes: counts.received_bytes,
            sent_packets: counts.sent,
            sent_bytes: counts.sent_bytes,
            dropped_packets: counts.dropped,
        };
    Json(all.map(view).collect())
}

fn role(config: &Config, interface: &ravelin_config::Interface) -> String {
    let bridge = interface.bridge.and_then(|bridge| config.bridges.get(bridge));
    match (interface.mode, bridge) {
        (InterfaceMode::Bridge, Some(bridge)) => {
            let [outside, _] = &bridge.ports;
            let side = if *outside == interface.name { "outside" } else { "inside" };
            format!("bridge {}, {side}", bridge.name)
        }
        (InterfaceMode::Route, _) => "route".to_owned(),
        (InterfaceMode::Bridge, None) | (InterfaceMode::Monitor, _) => "monitor".to_owned(),
    }
}

async fn workers(State(appliance): Shared) -> Json<Vec<view::Worker>> {
    let worker = |member: &crate::supervisor::crew::Member| {
        let counters = member.counters();
        view::Worker {
            id: member.id.0,
            core: member.core,
            stalled: member.is_stalled(),
            pulse: member.pulse(),
            batches: counters.batches,
            idle_turns: counters.idle_turns,
            sleeps: counters.sleeps,
            received_packets: counters.received,
            handed_in_packets: counters.handed_in,
            handed_off_packets: counters.handed_off,
            forwarded_packets: counters.forwarded,
            dropped_packets: counters.drops.total(),
            flows: counters.flows_active,
        }
    };
    Json(appliance.roster.members().iter().map(worker).collect())
}

async fn counters(State(appliance): Shared) -> Json<Vec<view::Counter>> {
    let kernel = appliance.dropped_by_kernel().values();
    let values: Vec<_> = appliance.roster.members().iter().map(|member| member.counters().values()).collect();
    let counter = |(index, info): (usize, &ravelin_dataplane::counters::CounterInfo)| {
        let workers: Vec<u64> = values.iter().filter_map(|values| values.get(index).copied()).collect();
        view::Counter {
            name: info.name.to_owned(),
            metric: stats::metric(info),
            unit: info.unit.to_owned(),
            gauge: info.kind == CounterKind::Gauge,
            // What the kernel drops in the place of workers is none of theirs.
            total: workers.iter().chain(kernel.get(index)).sum(),
            workers,
            help: info.help.to_owned(),
        }
    };
    Json(COUNTERS.iter().enumerate().map(counter).collect())
}

async fn drops(State(appliance): Shared) -> Json<Vec<view::Drop>> {
    let totals = appliance.totals();
    let drop = |reason: &DropReason| view::Drop {
        reason: reason.name().to_owned(),
        group: reason.group().name().to_owned(),
        packets: totals.drops.count(*reason),
        help: reason.help().to_owned(),
    };
    Json(DropReason::ALL.iter().map(drop).collect())
}

async fn list_flows(State(appliance): Shared, Query(pairs): Pairs) -> Result<Json<view::Flows>, Refused> {
    let query = FlowQuery::parse(&pairs)?;
    Ok(Json(flows::collect(&appliance, &query).await))
}

async fn used(State(appliance): Shared, Query(pairs): Pairs) -> Result<Json<view::Used>, Refused> {
    let query = UsageQuery::parse(&pairs)?;
    Ok(Json(policy::usage(&appliance, query.unused).await))
}

async fn staged(State(appliance): Shared, Query(pairs): Pairs) -> Result<Json<view::StagedFlows>, Refused> {
    let query = LimitQuery::parse(&pairs)?;
    Ok(Json(policy::staged(&appliance, query.limit).await))
}

async fn cut(State(appliance): Shared, Query(pairs): Pairs) -> Result<Json<view::CutFlows>, Refused> {
    let query = LimitQuery::parse(&pairs)?;
    Ok(Json(policy::cut(&appliance, query.limit).await))
}

async fn list_feeds(State(appliance): Shared) -> Json<Vec<view::Feed>> {
    Json(feeds::list(&appliance))
}

async fn list_alerts(State(appliance): Shared, Query(pairs): Pairs) -> Result<Json<view::Alerts>, Refused> {
    Ok(Json(feeds::alerts(&appliance, LimitQuery::parse(&pairs)?.limit)))
}

async fn translated(State(appliance): Shared, Query(pairs): Pairs) -> Result<Json<view::Nat>, Refused> {
    Ok(Json(nat::collect(&appliance, LimitQuery::parse(&pairs)?).await))
}

async fn list_routes(State(appliance): Shared, Query(pairs): Pairs) -> Result<Json<view::Routes>, Refused> {
    let query = RouteQuery::parse(&pairs)?;
    routes::list(&appliance, &query).map(Json)
}

async fn list_neighbours(
    State(appliance): Shared,
    Query(pairs): Pairs,
) -> Result<Json<view::Neighbours>, Refused> {
    let query = LimitQuery::parse(&pairs)?;
    routes::neighbours(&appliance, query.limit).map(Json)
}

async fn update_feeds(
    State(appliance): Shared,
    Query(pairs): Pairs,
) -> Result<Json<view::FeedsAsked>, Refused> {
    let names: Vec<_> = pairs.into_iter().filter(|(key, _)| key == "name").map(|(_, name)| name).collect();
    let asked = appliance.ask_feeds(&names);
    match names.iter().find(|name| !asked.contains(name)) {
        Some(name) => Err(refuse(StatusCode::NOT_FOUND, &format!("there is no feed `{name}` in use"))),
        None => Ok(Json(view::FeedsAsked { feeds: asked })),
    }
}

async fn start_trace(State(appliance): Shared, Query(pairs): Pairs) -> Result<Response, Refused> {
    let query = TraceQuery::parse(&pairs)?;
    let turn =
        tokio::time::timeout(TURN, Arc::clone(&appliance.tracing).lock_owned()).await.map_err(|_| {
            refuse(StatusCode::CONFLICT, "another trace is running")
                .help("end that one first, or wait for it")
        })?;
    let body: Body = trace::start(appliance, query, turn);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

async fn reload(State(appliance): Shared) -> Result<Json<view::Reload>, Refused> {
    let reloaded = appliance.reload().await?;
    Ok(Json(view::Reload {
        generation: reloaded.generation,
        changes: reloaded.changes.into_iter().map(|change| change.field).collect(),
        warnings: (!reloaded.warnings.is_empty()).then(|| reloaded.warnings.to_string()),
        behind: reloaded.behind.iter().map(|worker| worker.0).collect(),
    }))
}

/// An answer that is not a success.
pub(super) struct Refused {
    status: StatusCode,
    refusal: view::Refusal,
}

pub(super) fn refuse(status: StatusCode, error: &(impl ToString + ?Sized)) -> Refused {
    Refused { status, refusal: view::Refusal { error: error.to_string(), ..view::Refusal::default() } }
}

impl Refused {
    pub(super) fn help(mut self, help: &str) -> Self {
        self.refusal.help = Some(help.to_owned());
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.refusal)).into_response()
    }
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        refuse(StatusCode::BAD_REQUEST, &error)
    }
}

impl From<ReloadError> for Refused {
    fn from(error: ReloadError) -> Self {
        let kept = "the old configuration stays in force";
        match &error {
            ReloadError::Config(report) => {
                let mut refused = refuse(StatusCode::UNPROCESSABLE_ENTITY, &error)
                    .help(&format!("{kept}; correct the file and reload again"));
                refused.refusal.diagnostics = Some(serde_json::json!(report.diagnostics()));
                refused
            }
            ReloadError::Restart(fields) => {
                let mut refused = refuse(StatusCode::CONFLICT, &error)
                    .help(&format!("{kept}; restart the process, or take these changes back"));
                refused.refusal.fields.clone_from(fields);
                refused
            }
            ReloadError::Compile(_) => refuse(StatusCode::UNPROCESSABLE_ENTITY, &error).help(kept),
        }
    }
}
