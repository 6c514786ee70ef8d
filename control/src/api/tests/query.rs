use ravelin_config::types::Protocol;

use crate::api::query::{FlowQuery, Judged, RouteQuery, Top, TraceQuery};

fn pairs(query: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    query.split('&').filter_map(pair).collect()
}

#[test]
fn a_query_survives_the_way_to_the_process() {
    let query = FlowQuery {
        src: Some("2001:db8::/32".parse().unwrap()),
        dst: Some("10.1.2.3".parse().unwrap()),
        port: Some(443),
        proto: Some(Protocol::TCP),
        verdict: Some(Judged::Deny),
        top: Some(Top::Retransmissions),
        limit: 7,
    };
    let text = query.to_query();
    assert_eq!(
        text,
        "src=2001:db8::/32&dst=10.1.2.3/32&port=443&proto=tcp&verdict=deny&top=retransmissions&limit=7"
    );
    assert_eq!(FlowQuery::parse(&pairs(&text)).unwrap(), query);
    assert_eq!(FlowQuery::parse(&[]).unwrap(), FlowQuery::default());

    for (to, text) in
        [("10.1.2.3", "10.1.2.3"), ("10.1.2.3/8", "10.0.0.0/8"), ("2001:db8::/32", "2001:db8::/32")]
    {
        let query = RouteQuery {
            to: Some(to.parse().unwrap()),
            vrf: Some("red".parse().unwrap()),
            after: Some("10.2.0.0/16".parse().unwrap()),
            limit: 7,
        };
        assert_eq!(query.to_query(), format!("to={text}&vrf=red&after=10.2.0.0/16&limit=7"));
        assert_eq!(RouteQuery::parse(&pairs(&query.to_query())).unwrap(), query);
    }
    assert_eq!(RouteQuery::parse(&[]).unwrap(), RouteQuery::default());

    let query = TraceQuery {
        count: 3,
        host: Some("10.0.0.0/8".parse().unwrap()),
        port: Some(53),
        proto: Some(Protocol(200)),
        dropped: true,
    };
    assert_eq!(TraceQuery::parse(&pairs(&query.to_query())).unwrap(), query);
    assert!(!query.takes_all());
    assert!(TraceQuery { count: 5, ..TraceQuery::default() }.takes_all());
}

#[test]
fn what_cannot_be_asked_is_named() {
    let error = |query: &str| FlowQuery::parse(&pairs(query)).unwrap_err().to_string();
    assert_eq!(error("src=nowhere"), "src: `nowhere` is neither an address nor a prefix such as 10.0.0.0/8");
    assert_eq!(error("verdict=maybe"), "verdict: `maybe` is not one of allow, deny");
    assert_eq!(error("top=noise"), "top: `noise` is not one of bytes, packets, age, rtt, retransmissions");
    assert!(error("port=70000").starts_with("port: "));
    assert!(error("proto=smtp").starts_with("proto: `smtp` is not a protocol"));
    assert_eq!(
        error("color=red"),
        "`color` cannot be asked for, only src, dst, port, proto, verdict, top, limit"
    );
    assert!(TraceQuery::parse(&pairs("count=-1")).is_err());
}

#[test]
fn an_answer_has_a_largest_size() {
    let query = FlowQuery::parse(&pairs("limit=18446744073709551615")).unwrap();
    assert_eq!(query.limit, FlowQuery::MOST);
}
