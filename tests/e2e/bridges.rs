//! One connection through two bridges of the same appliance.

use std::fs;

use ravelin_tests::{
    netns::Namespace,
    topology::{CLIENT, Lab, Links, SERVER, connect, ping_all},
};
use serde_json::{Value, json};

/// Behind the second bridge.
const FAR: &str = "10.8.0.2";

/// Makes the laboratory's server a router to a host that is behind a second bridge, which packets of the client enter from
/// the inside: `client - outside - inside - server - inside2 - outside2 - far`.
fn behind_a_router(lab: &Lab) -> Namespace {
    let far = Namespace::new("far");
    connect(&lab.server, "eth1", &lab.appliance, "inside2", Links::default());
    connect(&far, "eth0", &lab.appliance, "outside2", Links::default());
    lab.server.ip("address add 10.8.0.1/24 dev eth1");
    lab.server.sysctl("ipv4/ip_forward", "1");
    far.ip(&format!("address add {FAR}/24 dev eth0"));
    far.ip("route add default via 10.8.0.1");
    lab.client.ip(&format!("route add 10.8.0.0/24 via {SERVER}"));
    far
}

#[test]
fn a_connection_through_two_bridges_is_a_flow_of_each() {
    let Some(lab) = Lab::new(&["busybox", "curl", "ping"]) else { return };
    let far = behind_a_router(&lab);
    let path = lab.folder().join("records.jsonl");
    let ravelin = lab.ravelin(&format!(
        "[[bridge]]\nname = \"second\"\nports = [\"outside2\", \"inside2\"]\n\
         [[endpoint]]\nname = \"far\"\naddresses = [\"{FAR}\"]\nprofiles = [\"default-allow\"]\n\
         [[policy]]\nname = \"no-discard\"\n\
         [[policy.ingress]]\naction = \"deny\"\nprotocol = \"udp\"\ndestination = {{ ports = [9] }}\n\
         [[policy.ingress]]\naction = \"allow\"\n[records]\nfile = \"{}\"\n",
        path.display()
    ));
    ping_all(&lab.client, FAR, 50, 56);
    let page = lab.random_file("page", 1_000_000);
    let folder = lab.folder().display();
    let _server = lab.serve(&far, 80, &format!("busybox httpd -f -p 80 -h {folder}"));
    lab.client.run(&format!("curl --silent --fail --output {folder}/copy http://{FAR}/page"));
    assert!(
        fs::read(lab.folder().join("copy")).expect("curl wrote a file") == page,
        "the page arrives whole"
    );
    // Policy is about ends, not about bridges: the first bridge that it comes to drops it.
    let socket = lab.client.inside(|| std::net::UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    for _ in 0..3 {
        socket.send_to(b"to be dropped", (FAR, 9)).expect("the client may send");
    }
    ravelin.wait_for_flow("--port 9", |flow| flow["verdict"] == "deny" && flow["packets"][0] == 3);

    let pair = |filters: &str| -> [Value; 2] {
        let mut flows = ravelin.flows(filters);
        flows.sort_by_key(|flow| flow["in"] != "outside");
        flows.try_into().unwrap_or_else(|flows| panic!("not two flows with {filters}: {flows:#?}"))
    };
    for filters in [format!("--dst {FAR} --port 80"), format!("--dst {FAR} --proto icmp")] {
        let [first, second] = pair(&filters);
        assert_eq!(json!([first["in"], first["out"]]), json!(["outside", "inside"]));
        assert_eq!(json!([second["in"], second["out"]]), json!(["inside2", "outside2"]));
        for what in ["src", "src_port", "dst_port", "packets", "bytes", "state", "tcp", "retransmissions"] {
            assert_eq!(first[what], second[what], "{what}: {first} {second}");
        }
        assert_eq!(first["src"], CLIENT);
    }
    let [echo, _] = pair(&format!("--dst {FAR} --proto icmp"));
    assert_eq!(echo["packets"], json!([50, 50]));
    let counters = ravelin.finish(&["rule_deny"]);
    assert_eq!(counters.dropped("rule_deny"), 3);

    let records = fs::read_to_string(path).expect("there are records");
    let flows: Vec<Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record is JSON"))
        .filter(|record: &Value| record["event_type"] == "flow")
        .collect();
    assert_eq!(flows.len() as u64, counters["flows_created"], "one record for each flow");
    let at = |port: u16| flows.iter().filter(|flow| flow["dest_port"] == port).collect::<Vec<_>>();
    let [a, b] = at(80)[..] else { panic!("not two records of the page: {flows:#?}") };
    assert_eq!(a["community_id"], b["community_id"]);
    assert_ne!(a["flow_id"], b["flow_id"], "each has its own name");
    assert_eq!(a["flow"]["pkts_toserver"], b["flow"]["pkts_toserver"]);
    let [denied] = at(9)[..] else { panic!("not one record of what was denied: {flows:#?}") };
    assert_eq!(denied["ravelin"]["in"], "outside");
}
