use super::{super::*, names, problems};

fn options(format: Format, path: &str, port: Option<&str>) -> Options {
    let json = Json { path: path.parse().unwrap(), port: port.map(|port| port.parse().unwrap()) };
    Options { format, json, ..Options::default() }
}

#[track_caller]
fn at(path: &str, text: &str) -> Parsed {
    parse(text.as_bytes(), &options(Format::Json, path, None)).unwrap()
}

#[test]
fn paths_lead_to_texts() {
    let text = r#"{"a": [{"b": "192.0.2.1", "c d": {"e.f": ["192.0.2.2", "192.0.2.3"]}}, {"b": 7}, {"x": 1}, "192.0.2.9"],
                   "ips": ["192.0.2.4", ["192.0.2.5"], []], "one": "bad.example", "*": "192.0.2.6", "none": []}"#;
    for (path, expected) in [
        ("$.a[*].b", &["192.0.2.1"][..]),
        (r#"$["a"][*]["b"]"#, &["192.0.2.1"]),
        (r#"$.a[0]["c d"]["e.f"]"#, &["192.0.2.2", "192.0.2.3"]),
        (r#"$.a[0]["c d"]["e.f"][1]"#, &["192.0.2.3"]),
        (r#"$.*[0]["c d"].*[*]"#, &["192.0.2.2", "192.0.2.3"]),
        ("$.ips", &["192.0.2.4", "192.0.2.5"]),
        ("$.ips[*]", &["192.0.2.4", "192.0.2.5"]),
        ("$.one", &["bad.example"]),
        (r#"$["*"]"#, &["192.0.2.6"]),
        ("$.none", &[]),
        ("$.nowhere[*].x", &[]),
    ] {
        assert_eq!(names(&at(path, text)), expected, "{path}");
    }
    let parsed = at("$.a[*].b", text);
    assert_eq!(problems(&parsed), ["entry 2: `7`, expected an address, prefix or range"]);
    assert_eq!(problems(&at("$.a[*]", text)).len(), 3);
    assert_eq!(names(&at("$", r#"["192.0.2.1", "192.0.2.2"]"#)), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn ports_belong_to_the_address_in_the_same_object() {
    let text = r#"{"data": [{"ip": "192.0.2.1", "at": {"port": 443}}, {"at": {"port": "80"}, "ip": "2001:db8::1"},
                   {"ip": "192.0.2.2"}, {"at": {"port": 1}}, {"ip": "192.0.2.3", "at": {"port": 0}}, {"ip": ["192.0.2.4"], "at": {"port": 1}}]}"#;
    let parsed =
        parse(text.as_bytes(), &options(Format::Json, "$.data[*].ip", Some("$.data[*].at.port"))).unwrap();
    assert_eq!(names(&parsed), ["192.0.2.1:443", "[2001:db8::1]:80"]);
    assert_eq!(
        problems(&parsed),
        [
            "entry 3: `192.0.2.2`, expected a text and its port",
            "entry 4: ``, expected a text and its port",
            "entry 5: `192.0.2.3 0`, expected a port from 1 to 65535",
            "entry 6: ``, expected a text and its port",
        ]
    );
    for port in ["$.other[*].port", "$.data[*].ports[*]", "$.data[*].ip"] {
        let error = parse(text.as_bytes(), &options(Format::Json, "$.data[*].ip", Some(port))).unwrap_err();
        assert!(matches!(error, FormatError::Options(_)), "{port}: {error}");
    }
}

#[test]
fn a_line_that_is_no_document_costs_only_itself() {
    let text = "{\"ip\": \"192.0.2.1\", \"port\": 1}\n\n{\"ip\": \"192.0.2.2\"\r\n{\"ip\": \"192.0.2.3\", \"port\": 3} {}\n[]\n{\"ip\": \"192.0.2.4\", \"port\": 4}";
    let parsed = parse(text.as_bytes(), &options(Format::JsonLines, "$.ip", Some("$.port"))).unwrap();
    assert_eq!(names(&parsed), ["192.0.2.1:1", "192.0.2.3:3", "192.0.2.4:4"]);
    assert_eq!(
        parsed.problems.iter().map(|problem| problem.place).collect::<Vec<_>>(),
        [3, 4, 5].map(Place::Line)
    );
    let parsed = parse(b"\"192.0.2.1\"\n\"bad.example\"", &options(Format::Auto, "$", None)).unwrap();
    assert_eq!(
        (parsed.format, names(&parsed)),
        (Format::JsonLines, vec!["192.0.2.1".into(), "bad.example".into()])
    );
}

#[test]
fn paths_are_read_and_written() {
    for path in
        ["$", "$.a", "$.a[*].b", "$[0][*].*", r#"$["a b"]"#.replace("a b", "a.b").as_str(), r#"$["a\"\\b."]"#]
    {
        let parsed: Path = path.parse().unwrap();
        assert_eq!(parsed.to_string(), path);
    }
    for (text, message) in [
        ("", "not a path: a path begins with `$` at character 1"),
        ("a.b", "not a path: a path begins with `$` at character 1"),
        ("$.", "not a path: a name is missing at character 3"),
        ("$a", "not a path: a step begins with `.` or `[` at character 2"),
        ("$.é[x]", "not a path: brackets hold a number, `*` or a name in double quotes at character 5"),
        ("$[1", "not a path: `]` is missing at character 3"),
        ("$[]", "not a path: a number is missing or too large at character 3"),
        ("$['a']", "not a path: brackets hold a number, `*` or a name in double quotes at character 3"),
        ("$[\"a]", "not a path: a name ends with `\"]`, with `\\` before quotes in it at character 4"),
    ] {
        assert_eq!(text.parse::<Path>().unwrap_err().to_string(), message);
    }
    assert!(format!("${}", "[*]".repeat(65)).parse::<Path>().is_err());
}
