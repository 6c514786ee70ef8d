use super::{super::*, names, read};

#[test]
fn what_is_not_known_is_refused_and_says_what_to_do() {
    for (text, message) in [
        (
            r#"{"data": [{"ip": "192.0.2.1"}]}"#,
            "its format is not recognised: it is JSON of no kind that is known: name the format json or json-lines, and the path of the indicators in it",
        ),
        (
            "{\"ip\": \"192.0.2.1\"}\n{\"ip\": \"192.0.2.2\"}\n",
            "its format is not recognised: it is JSON of no kind that is known: name the format json or json-lines, and the path of the indicators in it",
        ),
        (
            "name,ip\nx,192.0.2.1\n",
            "its format is not recognised: none of its first lines is an entry of a known kind: if it is a table, name its column",
        ),
    ] {
        assert_eq!(read(text, Format::Auto).unwrap_err().to_string(), message);
    }
}

#[test]
fn options_say_what_a_table_or_document_is() {
    let csv = Csv { column: Some(Column::Number(2)), ..Csv::default() };
    let parsed = parse(b"name,ip\nx,192.0.2.1\n", &Options { csv, ..Options::default() }).unwrap();
    assert_eq!((parsed.format, names(&parsed)), (Format::Csv, vec!["192.0.2.1".to_owned()]));
    let json = Json { path: "$.data[*].ip".parse().unwrap(), port: None };
    let options = Options { json, ..Options::default() };
    let parsed = parse(br#"{"data": [{"ip": "192.0.2.1"}]}"#, &options).unwrap();
    assert_eq!((parsed.format, names(&parsed)), (Format::Json, vec!["192.0.2.1".to_owned()]));
}

#[test]
fn a_few_strange_lines_do_not_decide() {
    let text =
        "create something\n[2001:db8::1]:443\n192.0.2.1 # bad.example\n192.0.2.2\tbad.example\n192.0.2.3\n";
    assert_eq!(read(text, Format::Auto).unwrap().format, Format::Lines);
    assert_eq!(read("[2001:db8::1]:443\n", Format::Auto).unwrap().format, Format::Lines);
    assert_eq!(read(r#"["192.0.2.1"]"#, Format::Auto).unwrap().format, Format::Json);
    assert_eq!(read("[]", Format::Auto).unwrap().format, Format::Json);
}

#[test]
fn a_list_may_have_no_entries() {
    for (text, format) in [
        ("# nothing today\n", Format::Lines),
        ("# Firstseen,DstIP,DstPort\n", Format::Sslbl),
        (
            "\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\",\"malware\"\n",
            Format::FeodoCsv,
        ),
    ] {
        let parsed = read(text, Format::Auto).unwrap();
        assert_eq!(parsed.format, format);
        assert!(parsed.indicators.is_empty() && parsed.problems.is_empty());
    }
}

#[test]
fn formats_have_the_names_of_the_configuration() {
    use clap::ValueEnum;
    for format in Format::value_variants() {
        assert_eq!(format.name().parse(), Ok(*format));
        assert_eq!(format.to_possible_value().unwrap().get_name(), format.name());
    }
}
