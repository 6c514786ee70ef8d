use std::{collections::HashMap, sync::Arc};

use ravelin_dataplane::{
    counters::{COUNTERS, CounterKind},
    verdict::DropReason,
};

use super::*;
use crate::testing::{BRIDGE, Directory, Running, dns, syn};

/// A Prometheus text page: types by family, values by series.
#[derive(Default)]
struct Page {
    types: HashMap<String, String>,
    help: HashMap<String, String>,
    values: HashMap<String, f64>,
}

/// Reads the text format as its specification has it, and refuses what it does not know.
fn parse(text: &str) -> Page {
    let mut page = Page::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(page.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            page.help.insert(name.to_owned(), help.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(page.types.contains_key(name), "{name} has no type before its first value");
            let value = value.parse().unwrap();
            assert!(page.values.insert(series.to_owned(), value).is_none(), "{series} twice");
        }
    }
    page
}

#[tokio::test]
async fn metrics_say_what_the_workers_counted() {
    let running = Running::start(BRIDGE, 2);
    running.receive(0, 0, &dns(b"one"));
    running.receive(1, 1, &dns(b"two"));
    running.receive(0, 0, &[0; 5]);
    running.settled(3).await;
    let metrics = Metrics::new(Arc::clone(&running.appliance));
    let page = parse(&metrics.render());
    let sum = |prefix: &str| -> f64 {
        let series = page.values.iter().filter(|(series, _)| series.starts_with(prefix));
        series.map(|(_, value)| value).sum()
    };
    assert_eq!(sum("ravelin_worker_received_packets_total{"), 3.0);
    assert_eq!(sum("ravelin_interface_received_packets_total{interface=\"out0\"}"), 2.0);
    assert_eq!(sum("ravelin_interface_received_packets_total{interface=\"in0\"}"), 1.0);
    let reason = format!("reason=\"{}\"", DropReason::EthernetTruncated.name());
    let drops = page.values.iter().filter(|(series, value)| {
        series.starts_with("ravelin_worker_dropped_packets_total{")
            && **value > 0.0
            && series.contains(&reason)
    });
    assert_eq!(drops.count(), 1);
    assert_eq!(page.values["ravelin_config_generation"], 1.0);
    assert_eq!(page.values["ravelin_config_last_reload_success"], 1.0);
    assert!(page.values["ravelin_config_last_reload_timestamp_seconds"] > 1e9);
    assert_eq!(page.values["ravelin_interface_test_frames_total{interface=\"in0\"}"], 7.0);
    assert_eq!(page.values[&format!("ravelin_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))], 1.0);

    running.receive(0, 0, &syn(1, 80));
    running.settled(4).await;
    let later = parse(&metrics.render());
    let received = later
        .values
        .iter()
        .filter(|(series, _)| series.starts_with("ravelin_worker_received_packets_total{"));
    assert_eq!(received.map(|(_, value)| value).sum::<f64>(), 4.0);
}

#[tokio::test]
async fn every_declared_counter_is_there_under_a_regular_name() {
    let running = Running::start(BRIDGE, 1);
    let page = parse(&Metrics::new(Arc::clone(&running.appliance)).render());
    for info in COUNTERS {
        let name = metric(info);
        let kind = match info.kind {
            CounterKind::Counter => "counter",
            CounterKind::Gauge => "gauge",
        };
        assert_eq!(page.types[&name], kind);
        assert!(page.help.contains_key(&name), "{name} is not explained");
        assert!(page.values.contains_key(&format!("{name}{{worker=\"0\"}}")), "{name} has no value");
    }
    for (name, kind) in &page.types {
        assert!(name.starts_with("ravelin_"));
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
    }
    let reasons =
        page.values.keys().filter(|series| series.starts_with("ravelin_worker_dropped_packets_total{"));
    assert_eq!(reasons.count(), DropReason::COUNT);
    let labels = ["worker", "interface", "reason", "version"];
    for series in page.values.keys().filter_map(|series| series.split_once('{')).map(|(_, labels)| labels) {
        for label in series.trim_end_matches('}').split(',') {
            assert!(labels.contains(&label.split('=').next().unwrap()), "{label} is not a bounded label");
        }
    }
}

/// Whoever adds up what workers received and dropped adds up all packets.
#[tokio::test]
async fn what_the_kernel_drops_is_counted_as_if_by_a_worker() {
    let running = Running::start(BRIDGE, 1);
    running.receive(0, 0, &syn(1, 80));
    running.settled(1).await;
    *running.interfaces.blocked.lock() = vec![[1000, 64_000], [0, 0]];
    assert_eq!(running.appliance.totals().balance(), Ok(()));
    let page = parse(&Metrics::new(Arc::clone(&running.appliance)).render());
    let reason = "ravelin_worker_dropped_packets_total{worker=\"kernel\",reason=\"threat_kernel\"}";
    assert_eq!(page.values[reason], 1000.0);
    assert_eq!(page.values["ravelin_worker_received_packets_total{worker=\"kernel\"}"], 1000.0);
    assert_eq!(page.values["ravelin_worker_received_packets_total{worker=\"0\"}"], 1.0);
    assert_eq!(page.values["ravelin_interface_received_packets_total{interface=\"out0\"}"], 1001.0);
    assert_eq!(page.values["ravelin_interface_dropped_packets_total{interface=\"out0\"}"], 1000.0);
    let sum = |family: &str| -> f64 {
        page.values.iter().filter(|(name, _)| name.starts_with(family)).map(|(_, value)| value).sum()
    };
    let settled = sum("ravelin_worker_forwarded_packets_total") + sum("ravelin_worker_dropped_packets_total");
    assert_eq!(sum("ravelin_worker_received_packets_total"), settled);
}

#[tokio::test]
async fn every_feed_in_use_has_its_figures_until_it_is_gone() {
    let directory = Directory::new();
    let list = |name: &str, text: &str| directory.write(name, text).display().to_string();
    let (own, gone) = (list("own", "203.0.113.0/29\n10.0.0.1\nbad.example\nwhat is this\n"), "/nowhere/list");
    let text = format!(
        "{BRIDGE}\n[[threat.allow]]\naddress = \"203.0.113.3\"\nreason = \"r\"\n[[feed]]\nname = \"feodo\"\nmode = \"disabled\"\n\
         [[feed]]\nname = \"own\"\nfile = \"{own}\"\nformat = \"lines\"\n"
    );
    let more = format!("[[feed]]\nname = \"gone\"\nfile = \"{gone}\"\n");
    let running = Running::start(&(text.clone() + &more), 1);
    let metrics = Metrics::new(Arc::clone(&running.appliance));
    let failed = "ravelin_feed_fetches_total{feed=\"gone\",result=\"unreachable\"}";
    let page = loop {
        let page = parse(&metrics.render());
        if page.values[failed] > 0.0 {
            break page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let of =
        |name: &str, feed: &str| page.values.get(&format!("ravelin_feed_{name}{{feed=\"{feed}\"}}")).copied();
    let expected = [
        // What is left of the prefix.
        ("entries", 2.0),
        ("other_entries", 1.0),
        ("guarded_entries", 1.0),
        ("allowed_entries", 1.0),
        ("problems", 1.0),
        ("failures", 0.0),
        ("stale", 0.0),
        ("hits_total", 0.0),
        ("blocked_total", 0.0),
    ];
    for (name, value) in expected {
        assert_eq!(of(name, "own"), Some(value), "{name}");
    }
    assert!(of("age_seconds", "own").is_some_and(|age| age >= 0.0));
    assert!(of("last_success_timestamp_seconds", "own").is_some_and(|time| time > 1e9));
    assert_eq!(
        (of("entries", "gone"), of("failures", "gone"), of("age_seconds", "gone")),
        (Some(0.0), Some(1.0), None)
    );
    let results =
        page.values.keys().filter(|series| series.starts_with("ravelin_feed_fetches_total{feed=\"own\""));
    assert_eq!(results.count(), 11);
    assert!(page.values.keys().all(|series| !series.contains("feodo")), "it is disabled");

    std::fs::write(&running.config, &text).unwrap();
    running.appliance.reload().await.unwrap();
    let later = parse(&metrics.render());
    assert!(later.values.keys().all(|series| !series.contains("feed=\"gone\"")));
    assert_eq!(later.values["ravelin_feed_entries{feed=\"own\"}"], 2.0);
}

#[tokio::test]
async fn metrics_are_served_over_http() {
    let running = Running::start(BRIDGE, 1);
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let taken = bind(address).unwrap_err();
    assert!(taken.to_string().contains(&address.to_string()), "{taken}");
    tokio::spawn(serve(listener, Metrics::new(Arc::clone(&running.appliance))));

    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = axum::http::Request::get("/metrics")
        .header("host", "localhost")
        .body(http_body_util::Empty::<axum::body::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(parse(str::from_utf8(&body).unwrap()).values["ravelin_config_generation"], 1.0);
}

#[test]
fn the_page_of_counters_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/counters.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == reference(),
        "docs/counters.md is not current: cargo run -p ravelin-control --example counters > docs/counters.md"
    );
}
