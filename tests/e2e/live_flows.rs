//! A change of policy and the connections that are open: those that it denies go on, stall or are reset, as the policy says,
//! and nobody else notices.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
};

use ravelin_tests::{
    echo::Echo,
    process::{Process, wait_for},
    ravelin::Ravelin,
    topology::{Lab, SERVER, bridge, guard},
};
use serde_json::Value;

const NO_IPERF: &str = "action = \"deny\"\nprotocol = \"tcp\"\ndestination = { ports = [5201, 2222] }";
const ANYTHING: &str = "action = \"allow\"";

/// Everything is allowed, and something is under way: a transfer, a connection that nobody uses, and traffic of others.
struct Scene {
    transfer: Process,
    server: Process,
    idle: Idle,
    echo: Echo,
    ravelin: Ravelin,
    lab: Lab,
}

/// Both ends of a connection on which nothing happens, as on an ssh session at night.
struct Idle {
    client: TcpStream,
    server: TcpStream,
}

impl Idle {
    fn new(lab: &Lab) -> Self {
        let listener = lab.server.inside(|| TcpListener::bind("0.0.0.0:2222")).expect("the port is free");
        let mut client = lab.client.inside(|| TcpStream::connect((SERVER, 2222))).expect("all is allowed");
        let (mut server, _) = listener.accept().expect("a connection");
        client.write_all(b"hello").expect("the connection is open");
        server.read_exact(&mut [0; 5]).expect("the greeting arrives");
        for end in [&client, &server] {
            end.set_nonblocking(true).expect("sockets can");
        }
        Self { client, server }
    }
}

impl Scene {
    fn new(seconds: u32) -> Option<Self> {
        let lab = Lab::new(&["iperf3", "nc"])?;
        let ravelin = lab.ravelin(&Self::config(&guard("", &[ANYTHING]), &lab));
        let echo = Echo::start(&lab, SERVER, 4, 300);
        let server = lab.serve(&lab.server, 5201, "iperf3 --server --one-off");
        // Slow enough for the machine, so that what is lost is not lost for lack of room.
        let line = format!("iperf3 --client {SERVER} --time {seconds} --bitrate 50M --forceflush");
        let mut transfer = lab.spawn(&lab.client, &line);
        transfer.wait_for_output("bits/sec");
        let idle = Idle::new(&lab);
        Some(Self { transfer, server, idle, echo, ravelin, lab })
    }

    /// The records are not in the way of the bridge.
    fn config(more: &str, lab: &Lab) -> String {
        format!("[records]\nfile = \"{}\"\n{more}", lab.folder().join("records.jsonl").display())
    }

    /// Denies the transfer and the idle connection.
    fn deny(&self, on_change: &str) {
        let policy = guard(&format!("on_change = \"{on_change}\""), &[NO_IPERF, ANYTHING]);
        self.take(&policy);
    }

    fn take(&self, policy: &str) {
        self.ravelin.rewrite(&format!("{}{}", bridge("open"), Self::config(policy, &self.lab)));
        self.ravelin.reload().expect("a good configuration is taken");
    }

    /// Something goes through after the change, and nothing was lost. Ends everything; returns the records of the port.
    fn finish(self, drops: &[&str]) -> (ravelin_tests::counters::Counters, Vec<Value>) {
        let before = self.echo.returned();
        wait_for("others' traffic after the change", || self.echo.returned() > before);
        self.echo.finish().assert_lossless();
        drop((self.transfer, self.server, self.idle));
        let counters = self.ravelin.finish(drops);
        let text = fs::read_to_string(self.lab.folder().join("records.jsonl")).expect("there are records");
        let records = text.lines().map(|line| serde_json::from_str(line).expect("a record is JSON"));
        (
            counters,
            records
                .filter(|record: &Value| [5201, 2222].map(Value::from).contains(&record["dest_port"]))
                .collect(),
        )
    }
}

/// The records of flows that were allowed until a change.
fn cut(records: &[Value]) -> Vec<&Value> {
    let is_cut =
        |record: &&Value| record["flow"]["reason"] == "policy" && record["ravelin"]["verdict"] == "allow";
    records.iter().filter(is_cut).collect()
}

#[test]
fn kept_connections_go_on_and_new_ones_are_denied() {
    let Some(mut scene) = Scene::new(4) else { return };
    scene.deny("keep");
    let Scene { idle: Idle { client, server }, .. } = &mut scene;
    client.write_all(b"still here").expect("the connection is open");
    let mut heard = [0; 10];
    wait_for("the idle connection to carry on", || server.peek(&mut heard).is_ok_and(|length| length == 10));
    assert!(!scene.lab.client.succeeds(&format!("nc -z -w 2 {SERVER} 2222")), "a new connection is denied");
    scene.transfer.finish();
    scene.server.finish();
    let (counters, records) = scene.finish(&["rule_deny"]);
    assert_eq!(counters["flows_cut"], 0);
    assert!(counters.dropped("rule_deny") > 0);
    assert!(cut(&records).is_empty());
}

#[test]
fn dropped_connections_stall_until_they_are_allowed_again() {
    let Some(mut scene) = Scene::new(3) else { return };
    scene.deny("drop");
    scene.idle.client.write_all(b"anybody there?").expect("the kernel takes it");
    let counters = scene.ravelin.wait_for_counters("both to be cut", |counters| {
        counters["flows_cut"] >= 2 && counters.dropped("flow_cut") >= 5
    });
    assert_eq!(counters["injected"], 0, "nobody is told");
    assert_eq!(
        scene.idle.server.peek(&mut [0; 16]).expect_err("nothing comes").kind(),
        ErrorKind::WouldBlock
    );
    for port in [5201, 2222] {
        let flow = scene.ravelin.wait_for_flow(&format!("--port {port} --verdict deny"), |_| true);
        assert_eq!((&flow["drop_reason"], &flow["policy"]), (&"flow_cut".into(), &"default.guard".into()));
    }
    // TCP has patience.
    scene.take(&guard("", &[ANYTHING]));
    wait_for("the idle connection to carry on", || scene.idle.server.peek(&mut [0; 16]).is_ok());
    scene.transfer.finish();
    scene.server.finish();
    let (counters, records) = scene.finish(&["flow_cut"]);
    let ended = cut(&records);
    let ports: Vec<&Value> = ended.iter().map(|record| &record["dest_port"]).collect();
    assert!(ports.contains(&&5201.into()) && ports.contains(&&2222.into()), "{ports:?}");
    let denied = records.iter().filter(|record| record["ravelin"]["drop_reason"] == "flow_cut").count();
    assert_eq!(denied as u64, counters["flows_cut"], "what came after the change is recorded too");
}

#[test]
fn both_ends_of_a_reset_connection_notice() {
    let Some(mut scene) = Scene::new(60) else { return };
    scene.deny("reset");
    // The transfer is busy: it ends by itself, on both sides.
    assert!(!scene.transfer.wait().success());
    for process in [&mut scene.transfer, &mut scene.server] {
        process.wait();
        let output = process.output();
        assert!(output.contains("reset by peer") || output.contains("Broken pipe"), "{output}");
    }
    // The idle one learns of it when somebody speaks.
    let Idle { client, server } = &mut scene.idle;
    client.write_all(b"anybody there?").expect("the kernel takes it");
    for (name, end) in [("client", client), ("server", server)] {
        let mut error = None;
        wait_for(&format!("the {name} to notice"), || {
            error = end
                .read(&mut [0; 16])
                .err()
                .map(|error| error.kind())
                .filter(|kind| *kind != ErrorKind::WouldBlock);
            error.is_some()
        });
        assert_eq!(error, Some(ErrorKind::ConnectionReset), "{name}");
    }
    let (counters, records) = scene.finish(&["flow_reset"]);
    assert!(counters["flows_cut"] >= 2);
    let told = counters.dropped("flow_reset") - counters["rejects_silent"];
    assert!(told >= 2);
    assert_eq!(counters["injected"], 2 * told, "one for each end");
    let ended = cut(&records);
    assert_eq!(ended.len() as u64, counters["flows_cut"]);
    let denied = records.iter().filter(|record| record["ravelin"]["drop_reason"] == "flow_reset").count();
    assert_eq!(denied, ended.len(), "what came after the change is recorded too");
}
