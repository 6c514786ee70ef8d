//! The commands that need no running appliance, as a shell sees them: output, errors, exit codes.

mod support;

use etherparse::PacketBuilder;
use serde_json::Value;
use support::{Scratch, json, ravelin};

/// A pcap file of two DNS packets: question and answer.
fn capture() -> Vec<u8> {
    let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    file.extend_from_slice(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
    let (client, server) = (([10, 0, 0, 2], 5_000), ([192, 0, 2, 7], 53));
    for (index, (from, to)) in [(client, server), (server, client)].into_iter().enumerate() {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64).udp(from.1, to.1);
        builder.write(&mut packet, &[0; 30]).unwrap();
        let length = u32::try_from(packet.len()).unwrap();
        for field in [1_711_447_200, u32::try_from(index).unwrap() * 1_000, length, length] {
            file.extend_from_slice(&field.to_le_bytes());
        }
        file.extend_from_slice(&packet);
    }
    file
}

const RIGHT: &str = "[[bridge]]\nname = \"b\"\nports = [\"eth0\", \"eth1\"]\n";
const DOUBTFUL: &str = "[[endpoint]]\nname = \"e\"\naddresses = [\"10.1.2.3/8\"]\n";
const WRONG: &str = "[flow]\ncapacitty = 5\nfull = \"maybe\"\n";

#[test]
fn check_says_all_and_its_exit_code_says_whether_it_is_usable() {
    let scratch = Scratch::new();
    let right = ravelin(&["check", "-c", &scratch.write("right.toml", RIGHT)], b"");
    assert_eq!((right.code, right.err.as_str()), (0, ""));
    assert!(right.out.ends_with("no errors, no warnings\n"), "{}", right.out);

    let doubtful = ravelin(&["check", "-c", &scratch.write("doubtful.toml", DOUBTFUL)], b"");
    assert_eq!(doubtful.code, 0);
    assert!(doubtful.out.contains("C101") && doubtful.out.contains("1 warning"), "{}", doubtful.out);

    let wrong = ravelin(&["check", "-c", &scratch.write("wrong.toml", WRONG)], b"");
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""));
    for part in ["2 errors", "C003", "did you mean", "C006", "wrong.toml:3:8"] {
        assert!(wrong.err.contains(part), "{part}: {}", wrong.err);
    }

    let offline =
        ravelin(&["check", &scratch.write("offline.toml", "[enforcement]\nunknown = \"deny\"\n")], b"");
    assert_eq!(offline.code, 0);
    let note =
        "note: no interface is configured: `ravelin replay` needs none, `ravelin run` would refuse it\n";
    assert!(offline.out.starts_with(note), "{}", offline.out);

    let long =
        format!("[[endpoint]]\nname = \"e\"\n\naddresses = [{}\"nowhere\"]\n", "\"10.1.2.3\", ".repeat(50));
    let long = ravelin(&["check", &scratch.write("long.toml", long)], b"");
    assert!(
        long.err.contains("4 | …") && long.err.lines().all(|line| line.chars().count() <= 100),
        "{}",
        long.err
    );

    let missing = ravelin(&["check", "-c", "/nonexistent/ravelin.toml"], b"");
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("/nonexistent/ravelin.toml"), "{}", missing.err);
}

#[test]
fn check_in_json() {
    let scratch = Scratch::new();
    let wrong = ravelin(&["check", "--json", "-c", &scratch.write("wrong.toml", WRONG)], b"");
    let answer = json(&wrong.out);
    assert_eq!((wrong.code, &answer["valid"], &answer["errors"]), (2, &false.into(), &2.into()));
    assert_eq!(answer["diagnostics"][0]["span"]["line"], 2);
    assert_eq!(wrong.err, "", "one answer, one document");
    let right = ravelin(&["check", "--json", "-c", &scratch.write("right.toml", RIGHT)], b"");
    let answer = json(&right.out);
    assert_eq!(
        (right.code, &answer["valid"], &answer["notes"]),
        (0, &true.into(), &Value::Array(Vec::new()))
    );
    let offline = ravelin(&["check", "--json", &scratch.write("offline.toml", DOUBTFUL)], b"");
    let answer = json(&offline.out);
    assert_eq!((offline.code, &answer["warnings"]), (0, &1.into()));
    assert!(answer["notes"][0].as_str().unwrap().starts_with("no interface is configured"), "{answer}");
}

/// What is right in itself but too large is told in the same form.
#[test]
fn check_of_a_configuration_that_is_too_large() {
    let scratch = Scratch::new();
    let bridge =
        |number: u32| format!("[[bridge]]\nname = \"b{number}\"\nports = [\"o{number}\", \"i{number}\"]\n");
    let file = scratch.write("large.toml", (0..40).map(bridge).collect::<String>() + DOUBTFUL);
    let message = "the configuration has 80 interfaces, at most 63 are possible";
    let large = ravelin(&["check", "--json", &file], b"");
    let answer = json(&large.out);
    assert_eq!((large.code, large.err.as_str()), (2, ""), "one answer, one document");
    assert_eq!(
        (&answer["valid"], &answer["errors"], &answer["warnings"]),
        (&false.into(), &1.into(), &1.into())
    );
    let found = &answer["diagnostics"][1];
    assert_eq!((&found["code"], &found["message"]), (&"C019".into(), &message.into()));
    assert_eq!((&found["severity"], &found["span"]), (&"error".into(), &Value::Null));
    let large = ravelin(&["check", &file], b"");
    assert_eq!((large.code, large.out.as_str()), (2, ""));
    assert!(large.err.contains("1 error, 1 warning") && large.err.contains(message), "{}", large.err);
}

#[test]
fn replay_from_a_pipe_into_a_pipe() {
    let replayed = ravelin(&["replay", "-", "--records", "-"], &capture());
    assert_eq!(replayed.code, 0, "{}", replayed.err);
    let records: Vec<_> = replayed.out.lines().map(json).collect();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&record["event_type"], &record["dest_port"]), (&"flow".into(), &53.into()));
    assert_eq!(record["flow"]["pkts_toclient"], 1);
    assert!(replayed.err.contains("1 allowed, 0 denied"), "{}", replayed.err);

    let forwarded = ravelin(&["replay", "-", "--write", "-"], &capture());
    let again = ravelin(&["replay", "-", "--json"], &forwarded.bytes);
    assert_eq!((again.code, &json(&again.out)["packets"]), (0, &2.into()));
}

/// On standard output stand records or the summary, never both.
#[test]
fn the_summary_in_json_gives_way_to_records() {
    let scratch = Scratch::new();
    let file = scratch.write("capture.pcap", capture());
    let summary = ravelin(&["replay", &file, "--json"], b"");
    let answer = json(&summary.out);
    assert_eq!((&answer["packets"], &answer["flows"]["allow"]), (&2.into(), &1.into()));
    assert_eq!((&answer["failure"], summary.err.as_str()), (&Value::Null, ""));
    let records = ravelin(&["replay", &file, "--json", "-r", "-"], b"");
    assert_eq!(json(&records.out)["event_type"], "flow");
    assert_eq!(json(&records.err)["records"], 1);
}

#[test]
fn replay_says_what_is_wrong_with_its_input() {
    let scratch = Scratch::new();
    let whole = capture();
    let cut = ravelin(&["replay", &scratch.write("cut.pcap", &whole[..whole.len() - 3])], b"");
    assert_eq!(cut.code, 0);
    assert!(cut.err.contains("cut.pcap is cut off"), "{}", cut.err);

    let mut malformed = whole;
    malformed[24 + 16 + 14] = 0x4f; // options that reach beyond the packet
    let dropped = ravelin(&["replay", &scratch.write("malformed.pcap", malformed), "--json"], b"");
    assert_eq!((dropped.code, &json(&dropped.out)["malformed"]), (0, &1.into()));

    let text = scratch.write("text.pcap", "no capture");
    for (arguments, code, says) in [
        (["replay", "/nonexistent.pcap"].as_slice(), 1, "/nonexistent.pcap"),
        (&["replay", &text], 1, "not a capture"),
        (&["replay", "-", "--inside=10.0.0.0/33"], 2, "prefix such as"),
        (&["replay", "-", "--fault=drop=2"], 2, "probability"),
        (&["replay", "-", "--batch=0"], 2, "1..=256"),
        (&["replay"], 2, "CAPTURE"),
    ] {
        let failed = ravelin(arguments, b"");
        assert_eq!(failed.code, code, "{arguments:?}");
        assert!(failed.err.contains(says), "{arguments:?}: {}", failed.err);
    }
}

#[test]
fn version_and_completions() {
    let version = ravelin(&["version"], b"");
    assert!(version.out.starts_with(concat!("ravelin ", env!("CARGO_PKG_VERSION"))), "{}", version.out);
    let version = ravelin(&["version", "--json"], b"");
    assert_eq!(json(&version.out)["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        let script = ravelin(&["completions", shell], b"");
        assert_eq!(script.code, 0);
        assert!(script.out.contains("ravelin") && script.out.contains("replay"), "{shell}");
    }
    assert_eq!(ravelin(&["completions", "cmd"], b"").code, 2);
}

const PEOPLE: &str = r#"
[[namespace]]
name = "shop"
labels = { team = "red" }

[[endpoint]]
name = "web-2"
namespace = "shop"
addresses = ["10.0.0.2"]
labels = { app = "web" }

[[endpoint]]
name = "web-1"
namespace = "shop"
addresses = ["10.0.0.1"]
labels = { app = "web" }

[[endpoint]]
name = "router"
kind = "host"
addresses = ["10.0.0.254"]

[[network_set]]
name = "partners"
nets = ["192.0.2.0/24"]
labels = { app = "web" }
"#;

#[test]
fn select_shows_what_a_selector_matches() {
    let scratch = Scratch::new();
    let config = scratch.write("people.toml", PEOPLE);
    let alone = ravelin(&["select", "app=='web'||!has( team )"], b"");
    assert_eq!((alone.code, &*alone.out, &*alone.err), (0, "app == 'web' || !has(team)\n", ""));
    let done = ravelin(&["select", "app=='web' || team=='red'", "-c", &config], b"");
    assert_eq!(done.err, "");
    assert_eq!(
        done.out,
        "app == 'web' || team == 'red'\nendpoints: 2\n  shop/web-1\n  shop/web-2\nnetwork sets: 1\n  partners\n\
         namespaces: 1\n  shop\n"
    );
    let done = ravelin(&["select", "pcns.team == 'red' || !has(app)", "-c", &config, "--json"], b"");
    assert_eq!(
        json(&done.out),
        serde_json::json!({
            "selector": "pcns.team == 'red' || !has(app)",
            "endpoints": [
                { "name": "router" },
                { "namespace": "shop", "name": "web-1" },
                { "namespace": "shop", "name": "web-2" },
            ],
            // The feed that is always there.
            "network_sets": [{ "name": "feodo" }],
            "namespaces": ["shop"],
        })
    );
    assert_eq!(ravelin(&["select", "all()", "-c", "/nowhere.toml"], b"").code, 2);
}

#[test]
fn select_judges_labels_line_by_line() {
    let select =
        |input: &str| ravelin(&["select", "a == '1' && b != '2'", "--labels", "-"], input.as_bytes());
    let done = select("{\"a\":\"1\"}\n{}\n{\"a\":\"1\",\"b\":\"2\"}\n {\"b\":\"3\", \"a\":\"1\"}");
    assert_eq!((done.code, &*done.out, &*done.err), (0, "true\nfalse\nfalse\ntrue\n", ""));
    assert_eq!(select("").out, "");
    for (wrong, what) in [
        ("[]", "invalid type: sequence, expected a map at column 0"),
        ("{\"a\": 1}", "invalid type: integer `1`, expected a string at column 7"),
        ("{\"a\": \"1\"", "EOF while parsing an object at column 9"),
        ("{} {}", "trailing characters at column 4"),
        ("", "EOF while parsing a value at column 0"),
    ] {
        let done = select(&format!("{{}}\n{wrong}\n{{}}\n"));
        assert_eq!((done.code, &*done.out), (1, "false\n"), "{wrong}");
        assert_eq!(done.err, format!("ravelin: line 2 is not a JSON object of strings: {what}\n"));
    }
    let scratch = Scratch::new();
    let many = scratch.write("many.jsonl", "{\"a\":\"1\"}\n{\"a\":\"2\"}\n".repeat(5_000));
    let done = ravelin(&["select", "a == '1'", "--json", "--labels", &many], b"");
    assert_eq!(done.out, "true\nfalse\n".repeat(5_000));
    let done = ravelin(&["select", "a == '1'", "--labels", "/nowhere.jsonl"], b"");
    assert_eq!(done.code, 1);
    assert!(done.err.starts_with("ravelin: /nowhere.jsonl: "), "{}", done.err);
}

#[test]
fn select_points_at_a_mistake() {
    let wrong = |text: &str| {
        let done = ravelin(&["select", text], b"");
        assert_eq!((done.code, &*done.out), (2, ""));
        done.err
    };
    assert_eq!(
        wrong("a\t= 'b'"),
        "ravelin: not a selector: expected an operator: ==, !=, contains, starts with, ends with, in or not in at character 3, \
         found `= 'b'`\n  | a = 'b'\n  |   ^\n"
    );
    let expected = "expected `&&` at character 10, found `& !b`";
    let ours = "a == '日' & !b";
    assert_eq!(wrong(ours), format!("ravelin: not a selector: {expected}\n  | {ours}\n  |           ^\n"));
    let long = wrong(&format!("{}?{}", "all() && ".repeat(20), " all()".repeat(20)));
    let [_, text, caret] = long.lines().collect::<Vec<_>>()[..] else { panic!("{long}") };
    assert!(text.starts_with("  | …") && text.chars().count() <= 102, "{text}");
    assert_eq!(text.chars().nth(caret.chars().count() - 1), Some('?'), "{long}");
    let end = wrong("-a == ");
    assert!(end.ends_with("found the end\n  | -a == \n  |       ^\n"), "{end}");
    let done = ravelin(&["select", "a = 'b'", "--json"], b"");
    let error = json(&done.err)["error"].as_str().unwrap().to_owned();
    assert_eq!((done.code, error.lines().count()), (2, 1), "{error}");
}
