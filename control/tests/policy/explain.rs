use serde_json::{Value, json};

use crate::{
    SHOP,
    support::{self, Scratch, ravelin},
};

fn ask(config: &str, question: &[&str]) -> support::Done {
    ravelin(&[&["explain", "-c", config], question].concat(), b"")
}

fn answer(config: &str, question: &[&str]) -> Value {
    let done = ask(config, &[&["--json"], question].concat());
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    support::json(&done.out)
}

#[test]
fn explain_shows_both_sides_and_what_is_staged() {
    let scratch = Scratch::new();
    let shop = scratch.write("shop.toml", SHOP);
    let done = ask(&shop, &["--from", "shop/web-1", "--to", "shop/db", "--port", "5432"]);
    let expected = "\
allow: shop/web-1 (10.0.0.1) > shop/db (10.0.0.9), tcp port 5432
  egress of shop/web-1: allow
    0|default|shop/default.web|allow|0
      { action = \"allow\", protocol = \"tcp\", destination = { selector = \"app == 'db'\", ports = [5432] } }
  ingress of shop/db: allow
    0|__PROFILE__|__PROFILE__.kns.shop|allow|0
      built in: allow everything
with every staged policy: deny
  egress of shop/web-1: deny
    0|__PROFILE__|__PROFILE__.__NO_MATCH__|deny|-1
      no tier and no profile decides: deny
  ingress: not asked
";
    assert_eq!((done.code, done.err.as_str(), done.out.as_str()), (0, "", expected));

    let done = ask(&shop, &["--from", "192.0.2.1", "--to", "10.0.0.2", "--port", "9090"]);
    let expected = "\
reject: 192.0.2.1 > shop/web-2 (10.0.0.2), tcp port 9090
  egress: the source is no endpoint
  ingress of shop/web-2: reject
    0|security|security.quarantine|log|0
      { action = \"log\" }
    1|security|security.quarantine|reject|1
      { action = \"reject\", source = { nets = [\"192.0.2.0/24\"] } }
";
    assert_eq!((done.code, done.out.as_str()), (0, expected), "what is pending is the same");

    let done = ask(&shop, &["--from", "192.0.2.1", "--to", "203.0.113.1", "--proto", "gre"]);
    let expected = "\
allow: 192.0.2.1 > 203.0.113.1, gre
  neither end is an endpoint: `unknown` of [enforcement] decides
";
    assert_eq!((done.code, done.out.as_str()), (0, expected));

    let done = ask(&shop, &["--from", "192.0.2.1", "--to", "gate", "--port", "22"]);
    assert!(
        done.out.contains(
            "\n    0|__FAILSAFE__|__FAILSAFE__.inbound|allow|0\n      failsafe port tcp:22: allow\n"
        )
    );
    let done = ask(&shop, &["--from", "192.0.2.1", "--to", "10.0.0.1", "--port", "1"]);
    assert!(done.out.contains("\n    0|default|shop/default.web|deny|-1\n      end of tier default: deny\n"));
}

#[test]
fn explain_takes_messages_and_versions_of_ip_as_they_are() {
    let scratch = Scratch::new();
    let shop = scratch.write("shop.toml", SHOP);
    let verdict = |question: &str| {
        let question: Vec<_> = question.split(' ').collect();
        answer(&shop, &question)["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("--from 192.0.2.1 --to shop/web-1 --proto icmp"), "allow", "an echo request");
    assert_eq!(verdict("--from 192.0.2.1 --to shop/web-1 --icmp-type 8 --icmp-code 0"), "allow");
    assert_eq!(verdict("--from 192.0.2.1 --to shop/web-1 --icmp-type 13"), "deny");
    assert_eq!(verdict("--from 192.0.2.1 --to shop/web-1 --proto 1 --icmp-type 8"), "allow");
    assert_eq!(verdict("--from fd00::9 --to shop/web-1 --proto icmp"), "deny", "the rule is about IPv4");
    assert_eq!(verdict("--from fd00::9 --to shop/web-1 --proto TCP --port 8080"), "allow");
    let answer = answer(&shop, &["--from", "fd00::9", "--to", "shop/web-1", "--port", "8080"]);
    assert_eq!((&answer["source"], &answer["destination"]), (&"fd00::9".into(), &"fd00::1".into()));
}

#[test]
fn explain_answers_for_every_endpoint_of_a_service() {
    let scratch = Scratch::new();
    let shop = scratch.write("shop.toml", SHOP);
    let both = answer(&shop, &["--from", "203.0.113.1", "--to", "service:shop/web", "--port", "80"]);
    assert_eq!((&both["verdict"], &both["pending"]["verdict"]), (&"allow".into(), &"allow".into()));
    let ports: Vec<_> = both["answers"].as_array().unwrap().iter().map(|answer| &answer["port"]).collect();
    assert_eq!(ports, [&json!(8080), &json!(9090)], "each has its own number for the name");
    let mixed = answer(&shop, &["--from", "192.0.2.1", "--to", "shop/web"]);
    assert_eq!((&mixed["verdict"], &mixed["answers"][1]["verdict"]), (&"mixed".into(), &"reject".into()));
    let text = ask(&shop, &["--from", "192.0.2.1", "--to", "shop/web"]);
    assert!(
        text.out.starts_with("mixed: shop/web has 2 endpoints\n\nallow: 192.0.2.1 > shop/web-1"),
        "{}",
        text.out
    );
    // IPv6 has one of them only.
    let one = answer(&shop, &["--from", "2001:db8::1", "--to", "shop/web"]);
    assert_eq!((&one["destination"], &one["port"]), (&"fd00::1".into(), &8080.into()));
}

#[test]
fn explain_refuses_what_has_no_answer() {
    let scratch = Scratch::new();
    let shop = scratch.write("shop.toml", SHOP);
    for (question, says) in [
        ("--from web-1 --to 10.0.0.1 --port 1", "did you mean `shop/web-1`?"),
        ("--from service:shop/web --to 10.0.0.1 --port 1", "neither an address nor an endpoint"),
        ("--from fd00::1 --to shop/db --port 1", "`shop/db` has no address of IPv6"),
        ("--from 10.0.0.1 --to shop/db", "which port?"),
        ("--from 10.0.0.1 --to shop/web --port 81", "the service `web` has no port 81/tcp"),
        ("--from 10.0.0.1 --to shop/db --proto smtp", "is not a protocol"),
        ("--from 10.0.0.1 --to shop/db --proto gre --port 1", "gre has no ports"),
        ("--from 10.0.0.1 --to shop/db --proto tcp --icmp-type 8", "tcp has no ICMP types"),
        ("--from 10.0.0.1 --port 1", "--to"),
        ("--from 10.0.0.1 --to shop/db --batch -", "cannot be used with"),
    ] {
        let question: Vec<_> = question.split(' ').collect();
        let done = ask(&shop, &question);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{question:?}");
        assert!(done.err.contains(says), "{question:?}: {}", done.err);
    }
    let wrong = ask("/nonexistent.toml", &["--batch", "-"]);
    assert_eq!(wrong.code, 2);
    let allowed = ["--from", "203.0.113.1", "--to", "shop/web", "--fail-on-deny"];
    assert_eq!(ask(&shop, &allowed).code, 0);
    let denied = ask(&shop, &["--from", "192.0.2.1", "--to", "shop/web", "--fail-on-deny"]);
    assert_eq!((denied.code, denied.err.as_str()), (1, ""), "the answer has said it");
}

#[test]
fn a_batch_answers_line_by_line_and_names_wrong_lines() {
    let scratch = Scratch::new();
    let shop = scratch.write("shop.toml", SHOP);
    let long = format!("{{\"from\": \"{}\"}}", "x".repeat(100_000));
    let questions = [
        r#"{"from": "shop/web-1", "to": "shop/db", "proto": "tcp", "port": 5432}"#,
        "",
        r#"{"from": "shop/web-1", "to": "shop/db", "proto": 1, "icmp_type": 8}"#,
        r#"{"from": "shop/web-1", "to": "shop/db", "colour": "red"}"#,
        &long,
        r#"{"from": "nobody", "to": "shop/db", "port": 1}"#,
        r#"{"from": "192.0.2.1", "to": "shop/web"}"#,
    ];
    let done = ravelin(&["explain", "-c", &shop, "--batch", "-"], questions.join("\n").as_bytes());
    let answers: Vec<_> = done.out.lines().map(support::json).collect();
    assert_eq!((done.code, done.err.as_str(), answers.len()), (1, "", 6));
    assert_eq!(
        (&answers[0]["verdict"], &answers[0]["pending"]["verdict"]),
        (&"allow".into(), &"deny".into())
    );
    assert_eq!(answers[0]["egress"]["trace"], json!(["0|default|shop/default.web|allow|0"]));
    assert_eq!((&answers[1]["verdict"], &answers[1]["ingress"]), (&"deny".into(), &Value::Null));
    for (answer, line, says) in
        [(&answers[2], 4, "unknown field `colour`"), (&answers[3], 5, "longer"), (&answers[4], 6, "`nobody`")]
    {
        assert_eq!(answer["line"], line);
        assert!(answer["error"].as_str().unwrap().contains(says), "{answer}");
    }
    assert_eq!(answers[5]["verdict"], "mixed");

    let file = scratch.write("questions.json", questions[0]);
    let done = ravelin(&["explain", "-c", &shop, "--batch", &file, "--fail-on-deny"], b"");
    assert_eq!((done.code, done.out.lines().count()), (0, 1));
    let file = scratch.write("questions.json", questions[2]);
    assert_eq!(ravelin(&["explain", "-c", &shop, "--batch", &file], b"").code, 0);
    assert_eq!(ravelin(&["explain", "-c", &shop, "--batch", &file, "--fail-on-deny"], b"").code, 1);
}

/// Somebody who asks one question after the other, waiting for each answer, gets it.
#[test]
fn a_batch_answers_when_its_input_pauses() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    let scratch = Scratch::new();
    let shop = scratch.write("shop.toml", SHOP);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ravelin"))
        .args(["explain", "-c", &shop, "--batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut questions = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    for port in [5432, 1] {
        let question = json!({ "from": "shop/web-1", "to": "shop/db", "port": port });
        // The second half comes when the first has been read.
        let text = format!("{question}\n{{\"from\"");
        let text = if port == 5432 { &text[..] } else { &text[7..text.len() - 7] };
        questions.write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let verdict = if port == 5432 { "allow" } else { "deny" };
        assert_eq!(support::json(&line)["verdict"], verdict);
    }
    drop(questions);
    assert!(child.wait().unwrap().success());
}
