use super::{super::*, clean, count, names, problems, read, told};

const FEODO: &str = r#"################################################################
# abuse.ch Feodo Tracker Botnet C2 IP Blocklist (CSV)          #
# Last updated: 2026-03-26 23:30:15 UTC                        #
################################################################
#
"first_seen_utc","dst_ip","dst_port","c2_status","last_online","malware"
"2025-05-23 17:51:44","192.0.2.73","1194","online","2026-04-01","Pikabot"
"2026-02-08 19:20:49","198.51.100.155","5000","offline","2026-03-11","QakBot"
# END 2 entries
"#;

const FEODO_TOLD: [&str; 2] = [
    "addresses 192.0.2.73:1194 Pikabot 2025-05-23T17:51:44Z 2026-04-01T00:00:00Z online",
    "addresses 198.51.100.155:5000 QakBot 2026-02-08T19:20:49Z 2026-03-11T00:00:00Z offline",
];

#[test]
fn feodo_csv_in_all_the_ways_in_which_it_is_written() {
    let unquoted = FEODO.replace('"', "");
    let without_header = FEODO.replace(
        "\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\",\"malware\"\n",
        "",
    );
    for text in
        [FEODO.to_owned(), unquoted, without_header, FEODO.replace('\n', "\r\n"), format!("\u{feff}{FEODO}")]
    {
        for format in [Format::FeodoCsv, Format::Auto] {
            let parsed = read(&text, format).unwrap();
            assert_eq!(parsed.format, Format::FeodoCsv);
            assert_eq!(told(&parsed), FEODO_TOLD, "{text}");
            assert_eq!(problems(&parsed), [""; 0]);
        }
    }
}

#[test]
fn feodo_csv_with_the_columns_of_earlier_years_and_of_the_aggressive_list() {
    let text = "# Firstseen,DstIP,DstPort,LastOnline,Malware\r\n2021-01-17 07:44:46,192.0.2.1,443,2021-04-23,Dridex\r\n";
    for format in [Format::FeodoCsv, Format::Auto] {
        let parsed = read(text, format).unwrap();
        assert_eq!(parsed.format, Format::FeodoCsv);
        assert_eq!(
            told(&parsed),
            ["addresses 192.0.2.1:443 Dridex 2021-01-17T07:44:46Z 2021-04-23T00:00:00Z -"]
        );
    }
    let aggressive = "\"malware\",\"dst_port\",\"dst_ip\"\n\"Emotet\",\"8080\",\"2001:db8::1\"\n";
    assert_eq!(clean(aggressive, Format::FeodoCsv), ["[2001:db8::1]:8080"]);
}

#[test]
fn an_address_of_feodo_without_its_port_is_a_problem_and_not_blocked_at_every_port() {
    let text = "2026-01-01 00:00:00,192.0.2.1,,online,2026-01-01,Emotet\n\
                2026-01-01 00:00:00,192.0.2.2,0,online,2026-01-01,Emotet\n\
                2026-01-01 00:00:00,192.0.2.3,65536,online,2026-01-01,Emotet\n\
                2026-01-01 00:00:00,192.0.2.4,+80,online,2026-01-01,Emotet\n\
                2026-01-01 00:00:00,192.0.2.5\n\
                2026-01-01 00:00:00,192.0.2.6,443,online,never,Emotet\n";
    let parsed = read(text, Format::FeodoCsv).unwrap();
    assert_eq!(told(&parsed), ["addresses 192.0.2.6:443 Emotet 2026-01-01T00:00:00Z - online"]);
    assert_eq!(
        parsed.problems.iter().map(|problem| problem.place).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5].map(Place::Line)
    );
    assert!(problems(&parsed)[0].ends_with("expected a port from 1 to 65535"), "{:?}", problems(&parsed));
}

#[test]
fn feodo_json() {
    let text = r#"[
      {"ip_address": "192.0.2.73", "port": 1194, "status": "online", "hostname": "a.example", "as_number": 64496,
       "as_name": "EXAMPLE", "country": "FR", "first_seen": "2025-05-23 17:51:44", "last_online": "2026-04-01", "malware": "Pikabot"},
      {"ip_address": "198.51.100.155", "port": 5000, "status": "offline", "hostname": null, "as_number": 64497, "as_name": "B",
       "country": "DE", "first_seen": "2026-02-08 19:20:49", "last_online": "2026-03-11", "malware": "QakBot"},
      {"ip_address": "198.51.100.156", "status": "offline"},
      {"ip_address": ["198.51.100.157"], "port": 1}
    ]"#;
    for format in [Format::FeodoJson, Format::Auto] {
        let parsed = read(text, format).unwrap();
        assert_eq!(parsed.format, Format::FeodoJson);
        assert_eq!(told(&parsed), FEODO_TOLD);
        assert_eq!(
            problems(&parsed),
            [
                "entry 3: `198.51.100.156`, expected an object with ip_address and port",
                "entry 4: ``, expected an object with ip_address and port"
            ]
        );
    }
}

#[test]
fn feodo_plain_list() {
    let text = "# Feodo Tracker Botnet C2 IP Blocklist\r\n#\r\n# DstIP\r\n192.0.2.73\r\n198.51.100.155\r\n# END (2) entries\r\n";
    for format in [Format::Lines, Format::Auto] {
        let parsed = read(text, format).unwrap();
        assert_eq!(parsed.format, Format::Lines);
        assert_eq!(names(&parsed), ["192.0.2.73", "198.51.100.155"]);
        assert_eq!(problems(&parsed), [""; 0]);
    }
}

#[test]
fn sslbl_addresses() {
    let text = "# abuse.ch SSLBL Botnet C2 IP Blacklist (CSV)\r\n#\r\n# Firstseen,DstIP,DstPort\r\n\
                2026-01-01 08:27:31,192.0.2.54,443\r\n2026-01-02 10:00:00,192.0.2.55,\r\n";
    for format in [Format::Sslbl, Format::Auto] {
        let parsed = read(text, format).unwrap();
        assert_eq!(parsed.format, Format::Sslbl);
        assert_eq!(told(&parsed), ["addresses 192.0.2.54:443 - 2026-01-01T08:27:31Z - -"]);
        assert_eq!(
            problems(&parsed),
            ["line 5: `2026-01-02 10:00:00,192.0.2.55,`, expected a port from 1 to 65535"]
        );
    }
}

#[test]
fn sslbl_fingerprints_and_certificates() {
    let text = "# ja3_md5,Firstseen,Lastseen,Listingreason\n\
                B386946A5a44d1ddcc843bc75336dfce,2017-07-14 18:08:15,2019-07-27 20:42:54,Dridex\n\
                b386946a5a44d1ddcc843bc75336dfc,2017-07-14 18:08:15,2019-07-27 20:42:54,Dridex\n";
    let parsed = read(text, Format::Auto).unwrap();
    assert_eq!(parsed.format, Format::Sslbl);
    assert_eq!(
        told(&parsed),
        ["ja3 b386946a5a44d1ddcc843bc75336dfce Dridex 2017-07-14T18:08:15Z 2019-07-27T20:42:54Z -"]
    );
    assert_eq!(parsed.problems.len(), 1);
    let text = "# Listingdate,SHA1,Listingreason\n2026-01-01 10:02:50,6c4a9d1c3a1f0fa1e7a9ab8b4ddcdb0ba1c9ac63,Vidar C&C\n";
    let parsed = read(text, Format::Auto).unwrap();
    assert_eq!(parsed.format, Format::Sslbl);
    assert_eq!(
        told(&parsed),
        ["certificate 6c4a9d1c3a1f0fa1e7a9ab8b4ddcdb0ba1c9ac63 Vidar C&C 2026-01-01T10:02:50Z - -"]
    );
}

#[test]
fn suricata_reputation() {
    let text = "192.0.2.1,1,127\n198.51.100.0/24, 2, 10\n2001:db8::/32,60,1\n192.0.2.2,1,0\n192.0.2.3,61,1\n192.0.2.4,1,128\n192.0.2.5,1\n";
    for format in [Format::SuricataIprep, Format::Auto] {
        let parsed = read(text, format).unwrap();
        assert_eq!(parsed.format, Format::SuricataIprep);
        assert_eq!(names(&parsed), ["192.0.2.1", "198.51.100.0/24", "2001:db8::/32"]);
        let details: Vec<_> = parsed.indicators.iter().map(|indicator| indicator.details).collect();
        assert_eq!(details[1].malware, Some("category 2"));
        assert_eq!(details[1].reputation.map(u8::from), Some(10));
        assert_eq!(count(&parsed, Remark::NotForDetection), 1);
        assert_eq!(parsed.problems.len(), 3);
    }
}

#[test]
fn tables() {
    let csv = |column: &str, port: Option<&str>, delimiter, header| Options {
        format: Format::Csv,
        csv: Csv {
            column: Some(column.parse().unwrap()),
            port: port.map(|port| port.parse().unwrap()),
            delimiter,
            header,
            ..Csv::default()
        },
        ..Options::default()
    };
    let text = "# a comment\nName;\"IP Address\" ; Port\n\"one; \"\"two\"\"\";192.0.2.1 ;443\n\n;\"2001:db8::/32\";80\n";
    let named = parse(text.as_bytes(), &csv("ip address", Some("PORT"), b';', true)).unwrap();
    assert_eq!(problems(&named), [""; 0]);
    assert_eq!(names(&named), ["192.0.2.1:443", "[2001:db8::/32]:80"]);
    assert_eq!(named, parse(text.as_bytes(), &csv("2", Some("3"), b';', true)).unwrap());

    let tabs = "\t192.0.2.1\tx\n\tbad.example\t\n\t\t\n\t192.0.2.2\n";
    let parsed = parse(tabs.as_bytes(), &csv("2", None, b'\t', false)).unwrap();
    assert_eq!(names(&parsed), ["192.0.2.1", "192.0.2.2", "bad.example"]);

    let broken = "ip,port\n192.0.2.1,\n192.0.2.2\n\"192.0.2.3,1\n\"192.0.2.4\"x,1\n192.0.2.5:80,80\nbad.example,80\n192.0.2.6,80\n";
    let parsed = parse(broken.as_bytes(), &csv("ip", Some("port"), b',', true)).unwrap();
    assert_eq!(names(&parsed), ["192.0.2.6:80"]);
    assert_eq!(
        problems(&parsed),
        [
            "line 2: `192.0.2.1 `, expected a port from 1 to 65535",
            "line 3: `192.0.2.2`, expected a record that has the column, in UTF-8",
            "line 4: `\"192.0.2.3,1`, expected a quote that is closed on its line",
            "line 5: `\"192.0.2.4\"x,1`, expected a delimiter behind a quoted field",
            "line 6: `192.0.2.5:80 80`, expected one port",
            "line 7: `bad.example 80`, expected an address, prefix or range",
        ]
    );

    let error = parse(broken.as_bytes(), &csv("address", None, b',', true)).unwrap_err();
    assert_eq!(error.to_string(), "there is no column `address`; the table has ip, port");
    let error = parse(broken.as_bytes(), &csv("address", None, b',', false)).unwrap_err();
    assert_eq!(error.to_string(), "there is no column `address`; the table has no header");
    assert!(matches!(read(text, Format::Csv), Err(FormatError::Options(_))));
}
