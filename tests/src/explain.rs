//! `ravelin explain --batch`: what the program says of many flows, in the words of flow records.

use crate::{
    binary,
    oracle::{Flow, Settings},
    process::run,
    topology::Folder,
    wire::{Seen, config, lines, verdict},
};
use ravelin_config::{resources::Resources, types::Protocol};
use serde_json::{Value, json};
use std::{fs, process::Command};

/// Whether a flow can be asked about: `explain` means the ICMP that goes with the addresses.
pub fn can_be_asked(flow: &Flow) -> bool {
    match flow.protocol {
        Protocol::ICMP => flow.source.is_ipv4(),
        Protocol::ICMPV6 => flow.source.is_ipv6(),
        _ => true,
    }
}

/// A question about a flow; `from` and `to` are its addresses or their names.
fn question((from, to, flow): &(String, String, Flow)) -> Value {
    let mut question = json!({ "from": from, "to": to, "proto": flow.protocol.to_string() });
    for (key, zone) in ["from_zone", "to_zone"].into_iter().zip(flow.zones) {
        if let Some(zone) = zone {
            question[key] = zone.into();
        }
    }
    if flow.protocol.has_ports() {
        question["port"] = flow.destination_port.into();
        question["source_port"] = flow.source_port.into();
    } else if [Protocol::ICMP, Protocol::ICMPV6].contains(&flow.protocol) {
        question["icmp_type"] = flow.icmp.0.into();
        question["icmp_code"] = flow.icmp.1.into();
    }
    question
}

/// What the program says of each flow, whose ends are named as it is asked about them.
///
/// # Panics
/// If it does not answer each question.
pub fn batch(resources: &Resources, settings: &Settings, flows: &[(String, String, Flow)]) -> Vec<Seen> {
    let folder = Folder::new();
    let file = |name: &str| folder.0.join(name);
    let questions: String = flows.iter().map(|flow| format!("{}\n", question(flow))).collect();
    fs::write(file("questions.jsonl"), questions).expect("the folder is writable");
    fs::write(file("config.toml"), config(resources, settings)).expect("the folder is writable");
    let mut command = Command::new(binary::ravelin());
    command.arg("explain").arg("--batch").arg(file("questions.jsonl")).arg("-c").arg(file("config.toml"));
    let answers = run(&mut command);
    let seen: Vec<Seen> = answers.lines().map(|line| seen(line, flows.len())).collect();
    assert_eq!(seen.len(), flows.len(), "{answers}");
    seen
}

fn seen(line: &str, questions: usize) -> Seen {
    let answer: Value = serde_json::from_str(line).expect("answers are JSON");
    assert!(answer["error"].is_null(), "{answer}, of {questions}");
    let way = |judged: &Value| {
        let sides = ["egress", "ingress"].map(|side| &judged[side]);
        sides.into_iter().filter(|side| !side.is_null()).flat_map(|side| lines(&side["trace"])).collect()
    };
    Seen {
        verdict: verdict(&answer["verdict"]),
        enforced: way(&answer),
        pending_verdict: verdict(&answer["pending"]["verdict"]),
        pending: way(&answer["pending"]),
    }
}
