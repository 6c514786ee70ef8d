//! What the commands about feeds say, as a shell sees it.

mod support;

use support::{Scratch, json, ravelin};

/// A list, and a configuration that makes an exception from it, guards a part of it, and has one that is over.
fn config(scratch: &Scratch) -> String {
    let list = scratch.write("list.txt", "203.0.113.0/30\n198.51.100.7:443\nbad.example\n192.168.0.1\n");
    scratch.write(
        "ravelin.toml",
        format!(
            "[[threat.allow]]\naddress = \"203.0.113.1\"\nreason = \"shared host, ticket 4711\"\nexpires = 2998-12-31\n\
             [[threat.allow]]\naddress = \"198.51.100.7\"\nfeeds = [\"own\"]\nreason = \"ours\"\n\
             [[threat.allow]]\naddress = \"203.0.113.2\"\nreason = \"was\"\nexpires = 2020-01-01T00:00:00Z\n\
             [[feed]]\nname = \"own\"\nfile = \"{list}\"\nformat = \"lines\"\n"
        ),
    )
}

#[test]
fn check_says_what_is_allowed_until_when_and_why() {
    let scratch = Scratch::new();
    let path = config(&scratch);
    let check = |what: &str| {
        let done = ravelin(&["feed", "check", what, "-c", &path], b"");
        (done.code, done.out)
    };
    let said = |text: &str| text.to_owned() + "\n";
    let allowed = "203.0.113.1: own names 203.0.113.1; not acted upon: 203.0.113.1 is allowed until 2999-01-01T00:00:00Z \
                   because \"shared host, ticket 4711\", severity 80";
    assert_eq!(check("203.0.113.1"), (0, said(allowed)));
    let allowed = "198.51.100.7:443: own names 198.51.100.7:443; not acted upon: 198.51.100.7 is allowed because \"ours\", severity 80";
    assert_eq!(check("198.51.100.7:443"), (0, said(allowed)));
    assert_eq!(check("198.51.100.7:80"), (0, said("198.51.100.7:80: no feed knows it")));
    let guarded =
        "192.168.0.1: own names 192.168.0.1; not acted upon: 192.168.0.0/16 is guarded, severity 80";
    assert_eq!(check("192.168.0.1"), (0, said(guarded)));
    // Beside it, where nothing is allowed any more.
    assert_eq!(check("203.0.113.2"), (1, said("203.0.113.2: own names 203.0.113.2/31; block, severity 80")));
    let domain = "bad.example: own names bad.example; nothing acts upon domains yet, severity 80";
    assert_eq!(check("bad.example"), (1, said(domain)));
    let done = ravelin(&["feed", "check", "203.0.113.1", "--json", "-c", &path], b"");
    let known = json(&done.out);
    assert_eq!((&known["action"], &known["feed"]), (&"none".into(), &"own".into()));
    assert!(known["reason"].as_str().is_some_and(|reason| reason.contains("ticket 4711")), "{known}");
}

#[test]
fn show_lists_what_is_allowed_and_the_configuration_is_told_of_what_is_over() {
    let scratch = Scratch::new();
    let path = config(&scratch);
    let done = ravelin(&["feed", "show", "own", "-c", &path], b"");
    let held: Vec<_> = done.out.lines().filter(|line| line.starts_with("not acted upon: ")).collect();
    let expected = [
        "not acted upon: 203.0.113.1: 203.0.113.1 is allowed until 2999-01-01T00:00:00Z because \"shared host, ticket 4711\"",
        "not acted upon: 198.51.100.7:443: 198.51.100.7 is allowed because \"ours\"",
        "not acted upon: 192.168.0.1: 192.168.0.0/16 is guarded",
    ];
    assert_eq!(held, expected);
    assert!(done.out.contains("2 in force, 0 unreadable, 1 guarded, 2 allowed; copy of "), "{}", done.out);
    let done = ravelin(&["check", "-c", &path], b"");
    assert_eq!(done.code, 0, "{}", done.err);
    let all = done.out + &done.err;
    assert!(
        all.contains("warning[C114]: the exception of 203.0.113.2 expired on 2020-01-01T00:00:00Z"),
        "{all}"
    );
    assert!(all.contains("ravelin.toml:12:11"), "{all}");
}
