//! Rules about zones, as the commands that ask a configuration tell of them.

use crate::support::{self, Scratch, ravelin};

/// A gateway: what is routed is governed by an endpoint that is everybody.
const GATEWAY: &str = r#"
[[interface]]
name = "lan"
mode = "route"
zone = "inside"

[[interface]]
name = "wan"
mode = "route"
zone = "outside"

[[interface]]
name = "servers"
mode = "route"
zone = "dmz"

[[endpoint]]
name = "everybody"
addresses = ["0.0.0.0/0", "::/0"]
profiles = ["default-allow"]

[[policy]]
name = "routed"
types = ["ingress"]

[[policy.ingress]]
action = "allow"
source.zones = ["inside"]
destination.zones = ["outside"]

[[policy.ingress]]
action = "allow"
protocol = "tcp"
source.not_zones = ["dmz"]
destination = { zones = ["dmz"], ports = [443] }
"#;

#[test]
fn explain_takes_zones_and_says_when_it_has_none() {
    let scratch = Scratch::new();
    let gateway = scratch.write("gateway.toml", GATEWAY);
    let ask = |more: &[&str]| {
        let flow = ["explain", "-c", &gateway, "--from", "10.0.0.1", "--to", "192.0.2.1", "--port", "443"];
        ravelin(&[&flow[..], more].concat(), b"")
    };
    let done = ask(&["--from-zone", "inside", "--to-zone", "outside"]);
    let expected = "\
allow: everybody (10.0.0.1) in zone inside > everybody (192.0.2.1) in zone outside, tcp port 443
  egress of everybody: allow
    0|__PROFILE__|__PROFILE__.default-allow|allow|0
      built in: allow everything
  ingress of everybody: allow
    0|default|default.routed|allow|0
      { action = \"allow\", source = { zones = [\"inside\"] }, destination = { zones = [\"outside\"] } }
";
    assert_eq!((done.code, done.err.as_str(), done.out.as_str()), (0, "", expected));
    let done = ask(&[]);
    let note = "neither end is said to be in a zone (from_zone, to_zone), so it is in none, as the appliance itself is\n";
    assert!(done.out.starts_with(&format!("{note}deny: everybody (10.0.0.1) > ")), "{}", done.out);
    let done = ask(&["--to-zone", "dmz"]);
    assert!(done.out.starts_with("the source is not said to be in a zone"), "{}", done.out);
    assert!(done.out.contains("\nallow: ") && done.out.contains("default.routed|allow|1"), "{}", done.out);
    let done = ask(&["--from-zone", "insde"]);
    assert_eq!((done.code, done.out.as_str()), (2, ""));
    assert!(
        done.err.contains("no interface is in a zone `insde`: there are `inside`, `outside`, `dmz`"),
        "{}",
        done.err
    );

    let batch = b"{\"from\": \"10.0.0.1\", \"to\": \"192.0.2.1\", \"port\": 443, \"from_zone\": \"inside\", \"to_zone\": \"outside\"}\n";
    let done = ravelin(&["explain", "-c", &gateway, "--batch", "-"], batch);
    assert_eq!(support::json(&done.out)["verdict"], "allow", "{}", done.out);
}

#[test]
fn flows_of_a_file_say_their_zones() {
    let scratch = Scratch::new();
    let gateway = scratch.write("gateway.toml", GATEWAY);
    let flow = "[[flow]]\nfrom = \"10.0.0.1\"\nto = \"192.0.2.1\"\nport = 80\n";
    let allowed = format!("{flow}from_zone = \"inside\"\nto_zone = \"outside\"\nexpect = \"allow\"\n");
    let denied = format!("{flow}from_zone = \"outside\"\nto_zone = \"inside\"\nexpect = \"deny\"\n");
    let flows = scratch.write("flows.toml", format!("{allowed}{denied}"));
    let done = ravelin(&["test", "-c", &gateway, &flows], b"");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let wrong = scratch.write("wrong.toml", format!("{flow}expect = \"allow\"\n"));
    let done = ravelin(&["test", "-c", &gateway, &wrong], b"");
    assert!(done.code == 1 && done.out.contains("neither end is said to be in a zone"), "{}", done.out);
}

#[test]
fn lint_check_and_diff_know_zones() {
    let scratch = Scratch::new();
    let gateway = scratch.write("gateway.toml", GATEWAY);
    let done = ravelin(&["lint", "-c", &gateway, "--strict"], b"");
    assert_eq!((done.code, done.out.as_str()), (0, "0 errors, 0 warnings, 0 notes\n"));
    let wider = GATEWAY.replace("source.not_zones = [\"dmz\"]", "source.zones = [\"inside\", \"outside\"]");
    let wider = scratch.write("wider.toml", wider);
    let done = ravelin(&["diff", &gateway, &wider], b"");
    let expected = "\
everybody (zone none) -> everybody (zone dmz) tcp 443: allow -> deny by default.routed, default
1 difference
";
    assert_eq!((done.code, done.out.as_str()), (1, expected));
    let wrong = scratch.write("wrong.toml", GATEWAY.replace("zones = [\"outside\"]", "zones = [\"ouside\"]"));
    let done = ravelin(&["check", &wrong], b"");
    assert_eq!(done.code, 2, "{}", done.out);
    assert!(
        done.err.contains("C032") && done.err.contains("did you mean `outside`?"),
        "{}{}",
        done.out,
        done.err
    );
}
