use super::{super::*, count, names, problems, read, told};

const MISP: &str = r#"{"Event": {"info": "Emotet wave", "id": "7", "Tag": [{"name": "tlp:clear"}],
  "Attribute": [
    {"type": "ip-dst", "category": "Network activity", "value": "192.0.2.1", "to_ids": true, "first_seen": "2026-01-02T03:04:05+00:00"},
    {"type": "ip-dst|port", "value": "192.0.2.2|443", "to_ids": true},
    {"type": "ip-src", "value": "198.51.100.0/24", "to_ids": true},
    {"type": "ip-dst", "value": "192.0.2.3", "to_ids": false},
    {"type": "ip-dst", "value": "192.0.2.4", "to_ids": true, "deleted": true},
    {"type": "domain", "value": "Bad.example", "to_ids": true},
    {"type": "url", "value": "http://bad.example/x", "to_ids": true},
    {"type": "md5", "value": "00000000000000000000000000000000", "to_ids": true},
    {"type": "ip-dst|port", "value": "192.0.2.5", "to_ids": true},
    {"type": "ip-dst|port", "value": "192.0.2.5|", "to_ids": true}
  ],
  "Object": [{"name": "domain-ip", "Attribute": [
    {"type": "domain|ip", "value": "worse.example|2001:db8::1", "to_ids": true},
    {"type": "ja3-fingerprint-md5", "value": "b386946a5a44d1ddcc843bc75336dfce", "to_ids": "1"}
  ]}]}}"#;

#[test]
fn misp_events() {
    for text in [
        MISP.to_owned(),
        format!("{{\"response\": [{MISP}]}}"),
        format!("[{MISP}]"),
        format!("{{\"response\": {MISP}}}"),
    ] {
        for format in [Format::Misp, Format::Auto] {
            let parsed = read(&text, format).unwrap();
            assert_eq!(parsed.format, Format::Misp);
            assert_eq!(
                told(&parsed),
                [
                    "addresses 192.0.2.1 Emotet wave 2026-01-02T03:04:05Z - -",
                    "addresses 192.0.2.2:443 Emotet wave - - -",
                    "addresses 198.51.100.0/24 Emotet wave - - -",
                    "addresses 2001:db8::1 Emotet wave - - -",
                    "domain bad.example Emotet wave - - -",
                    "url http://bad.example/x Emotet wave - - -",
                    "domain worse.example Emotet wave - - -",
                    "ja3 b386946a5a44d1ddcc843bc75336dfce Emotet wave - - -",
                ]
            );
            assert_eq!(
                problems(&parsed),
                [
                    "entry 9: `192.0.2.5`, expected address|port",
                    "entry 10: `192.0.2.5|`, expected a port from 1 to 65535"
                ]
            );
            for remark in [Remark::NotForDetection, Remark::Withdrawn, Remark::OtherKind] {
                assert_eq!(count(&parsed, remark), 1, "{remark}");
            }
        }
    }
}

#[test]
fn misp_attributes_name_their_event() {
    let attribute = r#"{"type": "ip-dst", "value": "192.0.2.1", "to_ids": true, "event_id": "2"}"#;
    let events = format!(
        r#"{{"response": [{{"Event": {{"id": "1", "info": "one", "Attribute": []}}}},
            {{"Event": {{"Attribute": [{attribute}], "info": "two", "id": "2"}}}}]}}"#
    );
    assert_eq!(told(&read(events, Format::Auto).unwrap()), ["addresses 192.0.2.1 two - - -"]);
    let search = format!(r#"{{"response": {{"Attribute": [{attribute}]}}}}"#);
    assert_eq!(told(&read(search, Format::Auto).unwrap()), ["addresses 192.0.2.1 - - - -"]);
}

/// A bundle of indicators with these patterns.
fn bundle(patterns: &[&str]) -> String {
    let indicators: Vec<_> = patterns
        .iter()
        .enumerate()
        .map(|(number, pattern)| {
            serde_json::json!({
                "type": "indicator", "spec_version": "2.1", "id": format!("indicator--{number}"), "pattern": pattern,
                "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    serde_json::json!({ "type": "bundle", "id": "bundle--1", "objects": indicators }).to_string()
}

#[test]
fn stix_patterns_that_name_things() {
    for (pattern, expected) in [
        ("[ipv4-addr:value = '192.0.2.1']", &["192.0.2.1"][..]),
        ("[ipv4-addr:value='192.0.2.0/24']", &["192.0.2.0/24"]),
        ("[ipv4-addr:value == '192.0.2.1']", &["192.0.2.1"]),
        ("[ipv6-addr:value ISSUBSET '2001:db8::/32']", &["2001:db8::/32"]),
        ("[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]", &["192.0.2.1", "192.0.2.2"]),
        (
            "[ipv4-addr:value = '192.0.2.1' OR domain-name:value = 'Bad.example']",
            &["192.0.2.1", "bad.example"],
        ),
        (
            "[ipv4-addr:value = '192.0.2.1'] OR ([url:value = 'http://bad.example/a\\'b'])",
            &["192.0.2.1", "http://bad.example/a'b"],
        ),
        ("[(ipv4-addr:value = '192.0.2.1' OR (ipv4-addr:value = '192.0.2.2'))]", &["192.0.2.1", "192.0.2.2"]),
        (
            "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443]",
            &["192.0.2.1:443"],
        ),
        ("[network-traffic:dst_ref.value = 'bad.example']", &["bad.example"]),
        (
            "[x509-certificate:hashes.'SHA-1' = '6c4a9d1c3a1f0fa1e7a9ab8b4ddcdb0ba1c9ac63']",
            &["6c4a9d1c3a1f0fa1e7a9ab8b4ddcdb0ba1c9ac63"],
        ),
    ] {
        let parsed = read(bundle(&[pattern]), Format::Stix).unwrap();
        assert_eq!(problems(&parsed), [""; 0], "{pattern}");
        assert_eq!(names(&parsed), expected, "{pattern}");
    }
}

/// Half of a condition would block what nobody named.
#[test]
fn of_any_other_stix_pattern_nothing_is_taken() {
    for pattern in [
        "[ipv4-addr:value = '192.0.2.1' AND domain-name:value = 'bad.example']",
        "[ipv4-addr:value = '192.0.2.1'] AND [domain-name:value = 'bad.example']",
        "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.2']",
        "[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES WITHIN 1800 SECONDS",
        "[ipv4-addr:value = '192.0.2.1'] OR [file:name = 'x']",
        "[ipv4-addr:value = '192.0.2.1' OR file:name = 'x']",
        "[ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value = '192.0.2.2' AND network-traffic:dst_port = 80]",
        "[(ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value = '192.0.2.2') AND network-traffic:dst_port = 80]",
        "[ipv4-addr:value != '192.0.2.1']",
        "[ipv4-addr:value NOT = '192.0.2.1']",
        "[NOT ipv4-addr:value = '192.0.2.1']",
        "[ipv4-addr:value NOT IN ('192.0.2.1')]",
        "[ipv4-addr:value LIKE '192.0.2.%']",
        "[domain-name:value MATCHES '^bad']",
        "[ipv4-addr:value ISSUPERSET '192.0.2.0/24']",
        "[ipv4-addr:value > '192.0.2.1']",
        "[ipv4-addr:value = '2001:db8::1']",
        "[ipv4-addr:value = 'bad.example']",
        "[ipv4-addr:value = '192.0.2.1",
        "[ipv4-addr:value = '192.0.2.1'",
        "[ipv4-addr:value = '192.0.2.1']]",
        "ipv4-addr:value = '192.0.2.1'",
        "[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:src_port = 443]",
        "[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443 AND network-traffic:dst_port = 80]",
        "[network-traffic:dst_ref.value IN ('192.0.2.1', '192.0.2.2') AND network-traffic:dst_port = 443]",
        "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']",
        "",
    ] {
        let parsed = read(bundle(&[pattern, "[ipv4-addr:value = '192.0.2.9']"]), Format::Stix).unwrap();
        assert_eq!(names(&parsed), ["192.0.2.9"], "{pattern}");
        assert_eq!(parsed.problems.len(), 1, "{pattern}");
        assert_eq!(parsed.problems[0].place, Place::Entry(1));
    }
    let deep = format!("[{}ipv4-addr:value = '192.0.2.1'{}]", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(read(bundle(&[&deep]), Format::Stix).unwrap().problems.len(), 1);
}

#[test]
fn stix_says_what_an_indicator_indicates_and_how_long() {
    let text = r#"{"type": "bundle", "id": "bundle--1", "objects": [
      {"type": "relationship", "id": "relationship--1", "relationship_type": "indicates", "source_ref": "indicator--1", "target_ref": "malware--1"},
      {"type": "indicator", "id": "indicator--1", "pattern": "[ipv4-addr:value = '192.0.2.1']", "pattern_type": "stix",
       "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"},
      {"type": "indicator", "id": "indicator--2", "pattern": "[ipv4-addr:value = '192.0.2.2']", "valid_until": "2026-01-01T00:00:00Z"},
      {"type": "indicator", "id": "indicator--3", "pattern": "[ipv4-addr:value = '192.0.2.3']", "revoked": true},
      {"type": "indicator", "id": "indicator--4", "pattern": "alert tcp any any -> any any", "pattern_type": "snort"},
      {"type": "indicator", "id": "indicator--5"},
      {"type": "malware", "id": "malware--1", "name": "Emotet"}]}"#;
    for format in [Format::Stix, Format::Auto] {
        let now = Some("2026-06-01T00:00:00Z".parse().unwrap());
        let parsed = parse(text.as_bytes(), &Options { format, now, ..Options::default() }).unwrap();
        assert_eq!(parsed.format, Format::Stix);
        assert_eq!(told(&parsed), ["addresses 192.0.2.1 Emotet 2026-01-01T00:00:00Z - -"]);
        assert_eq!(problems(&parsed), ["entry 6: `indicator--5`, expected an indicator with a pattern"]);
        for remark in [Remark::Expired, Remark::Withdrawn, Remark::OtherKind] {
            assert_eq!(count(&parsed, remark), 1, "{remark}");
        }
    }
    assert_eq!(names(&read(text, Format::Stix).unwrap()), ["192.0.2.1", "192.0.2.2"]);
}
