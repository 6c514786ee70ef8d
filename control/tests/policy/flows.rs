use std::fs;

use crate::{
    SHOP,
    support::{self, Scratch, ravelin},
};

const RIGHT: &str = r#"
config = "shop.toml"

[[flow]]
name = "the shop reaches its database"
from = "shop/web-1"
to = "shop/db"
port = 5432
expect = "allow"
pending = "deny"
policy = "__PROFILE__.kns.shop"
rule = 0

[[flow]]
from = "192.0.2.1"
to = "shop/web-2"
proto = "udp"
port = 53
expect = "reject"
policy = "security.quarantine"
rule = 1

[[flow]]
from = "203.0.113.1"
to = "service:shop/web"
expect = "allow"

[[flow]]
from = "shop/db"
to = "shop/web-1"
proto = 1
icmp_type = 13
expect = "deny"
rule = -1
"#;

#[test]
fn flows_that_are_as_expected_pass() {
    let scratch = Scratch::new();
    scratch.write("shop.toml", SHOP);
    let right = scratch.write("right.toml", RIGHT);
    let done = ravelin(&["test", &right], b"");
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, "4 passed, 0 failed\n", ""));
    let answer = support::json(&ravelin(&["test", "--json", &right], b"").out);
    assert_eq!((&answer["passed"], &answer["failed"]), (&4.into(), &0.into()));
    let flow = &answer["files"][0]["flows"][1];
    assert_eq!((&flow["line"], &flow["name"]), (&14.into(), &"192.0.2.1 > shop/web-2, udp port 53".into()));
    assert_eq!(flow["answers"][0]["verdict"], "reject");
}

#[test]
fn every_flow_that_is_not_is_explained() {
    let scratch = Scratch::new();
    scratch.write("shop.toml", SHOP);
    let wrong = RIGHT
        .replace("expect = \"allow\"\npending = \"deny\"", "expect = \"deny\"\npending = \"allow\"")
        .replace("rule = 1\n", "rule = 7\n")
        .replace("203.0.113.1", "192.0.2.1")
        .replace("shop/db\"\nto", "<nobody> & \\\"sons\\u0001\\\"\"\nto");
    let wrong = scratch.write("wrong.toml", wrong);
    let junit = scratch.write("junit.xml", "");
    let done = ravelin(&["test", &wrong, "--junit", &junit], b"");
    assert_eq!((done.code, done.err.as_str()), (1, ""));
    for part in [
        &format!(
            "FAILED {wrong}:4: the shop reaches its database: expected deny, found allow by __PROFILE__.kns.shop, rule 0; \
             expected allow with every staged policy, found deny by __PROFILE__.__NO_MATCH__, default\n  allow: shop/web-1"
        ),
        ":14: 192.0.2.1 > shop/web-2, udp port 53: expected rule 7 to decide, found reject by security.quarantine, rule 1\n",
        ":23: 192.0.2.1 > service:shop/web, tcp: expected allow, found reject by security.quarantine, rule 1\n  reject: ",
        ":28: <nobody> & \"sons\u{1}\" > shop/web-1, 1 type 13: `<nobody>",
        "\n      1|security|security.quarantine|reject|1\n        { action = \"reject\"",
        "\n0 passed, 4 failed\n",
    ] {
        assert!(done.out.contains(part), "{part} is not in\n{}", done.out);
    }
    let xml = fs::read_to_string(junit).unwrap();
    for part in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<testsuites name=\"ravelin test\" tests=\"4\" failures=\"3\" errors=\"1\">",
        "name=\"the shop reaches its database\"",
        "&gt; shop/web-1, 1 type 13\" file=",
        "<error message=\"`&lt;nobody&gt; &amp; &quot;sons\u{fffd}&quot;` is neither",
        "line=\"28\">",
    ] {
        assert!(xml.contains(part), "{part} is not in\n{xml}");
    }
    well_formed(&xml);
}

/// Checks that elements nest and that nothing stands unescaped.
fn well_formed(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap();
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        entities(text);
        let (tag, behind) = tag[1..].split_once('>').unwrap();
        rest = behind;
        entities(tag);
        assert!(!tag.contains('<') && tag.matches('"').count() % 2 == 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap().to_owned());
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty());
}

fn entities(text: &str) {
    for (at, _) in text.match_indices('&') {
        let entity = text[at..].split(';').next().unwrap();
        assert!(["&amp", "&lt", "&gt", "&quot"].contains(&entity), "{entity}");
    }
    assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
}

#[test]
fn a_wrong_file_is_no_failed_flow() {
    let scratch = Scratch::new();
    let shop = scratch.write("shop.toml", SHOP);
    for (text, says) in [
        (
            "[[flow]]\nfrom = \"a\"\nto = \"b\"\nexpect = \"maybe\"\n",
            "wrong.toml:4:10: unknown variant `maybe`",
        ),
        ("[[flow]]\nfrom = \"a\"\nto = \"b\"\n", "wrong.toml:1:1: missing field `expect`"),
        ("\n[[flow]]\nform = \"a\"\n", "wrong.toml:3:1: unknown field `form`"),
        ("[[flow]\n", "wrong.toml:1:8"),
        ("config = \"x.toml\"\n", "wrong.toml has no [[flow]]"),
        ("config = \"gone.toml\"\n[[flow]]\nfrom = \"a\"\nto = \"b\"\nexpect = \"deny\"\n", "gone.toml"),
    ] {
        let wrong = scratch.write("wrong.toml", text);
        let done = ravelin(&["test", &wrong], b"");
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{text}");
        assert!(done.err.contains(says), "{says}: {}", done.err);
    }
    assert_eq!(ravelin(&["test"], b"").code, 2);
    assert_eq!(ravelin(&["test", "/nonexistent.toml", "-c", &shop], b"").code, 2);
    // The command line wins over the file.
    let other = scratch.write("other.toml", RIGHT.replace("shop.toml", "gone.toml"));
    assert_eq!(ravelin(&["test", &other, "-c", &shop], b"").code, 0);
    let unwritable = ravelin(&["test", &other, "-c", &shop, "--junit", "/nonexistent/x.xml"], b"");
    assert_eq!((unwritable.code, unwritable.out.as_str()), (1, ""));
}
