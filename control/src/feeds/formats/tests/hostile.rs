use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{super::*, clean, names, problems, read};

const ALL: [Format; 13] = [
    Format::Auto,
    Format::FeodoCsv,
    Format::FeodoJson,
    Format::Lines,
    Format::Hosts,
    Format::Csv,
    Format::Json,
    Format::JsonLines,
    Format::Ipset,
    Format::Misp,
    Format::Stix,
    Format::SuricataIprep,
    Format::Sslbl,
];

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn small(format: Format) -> Options {
    Options { format, limits: Limits { bytes: 1000, entries: 10, line: 100 }, ..Options::default() }
}

#[test]
fn a_page_in_place_of_a_feed_is_one_error_in_every_format() {
    for format in ALL {
        for page in [
            "<!DOCTYPE html>\n<html><body>192.0.2.1\n192.0.2.2</body>",
            "\u{feff}\r\n <HTML>",
            "<!-- x --><head>",
        ] {
            assert_eq!(read(page, format), Err(FormatError::Html), "{format}");
        }
        assert_eq!(read("<?xml version=\"1.0\"?><x/>", format), Err(FormatError::Xml), "{format}");
        assert_eq!(read(b"\xff\xfe1\x009\x00", format), Err(FormatError::Utf16), "{format}");
        assert_eq!(read("", format), Err(FormatError::Empty), "{format}");
        assert_eq!(read(" \r\n\t", format), Err(FormatError::Empty), "{format}");
    }
}

#[test]
fn bytes_that_are_no_utf8_cost_only_their_line() {
    let parsed =
        read(b"192.0.2.1\n\xff\xfe\n192.0.2.2 # \xff\nbad\xc3.example\n192.0.2.3\n", Format::Lines).unwrap();
    assert_eq!(names(&parsed), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(
        problems(&parsed),
        ["line 2: `\u{fffd}\u{fffd}`, expected UTF-8", "line 4: `bad\u{fffd}.example`, expected UTF-8"]
    );
    let feodo =
        b"2026-01-01 00:00:00,192.0.2.1,1,online,x,\xff\n2026-01-01 00:00:00,192.0.2.\xff,1,online,x,y\n";
    let parsed = read(feodo, Format::FeodoCsv).unwrap();
    assert_eq!(names(&parsed), ["192.0.2.1:1"]);
    assert_eq!(parsed.problems.len(), 1);
}

#[test]
fn what_is_shown_of_a_problem_is_short_and_harmless() {
    let line = format!("\x1b[31m{}", "é".repeat(1000));
    let parsed = read(&line, Format::Lines).unwrap();
    assert_eq!(parsed.problems[0].found.chars().count(), Problem::SHOWN + 1);
    assert!(parsed.problems[0].found.starts_with("\u{fffd}[31mé"), "{:?}", parsed.problems[0].found);
}

#[test]
fn problems_beyond_a_number_are_counted() {
    let parsed = read("!\n".repeat(1500) + "192.0.2.1", Format::Lines).unwrap();
    assert_eq!((parsed.problems.len(), parsed.problems_omitted, parsed.indicators.len()), (1000, 500, 1));
}

#[test]
fn limits_hold() {
    let line = format!("192.0.2.1 # {}\n192.0.2.2\n", "x".repeat(100));
    let parsed = parse(line.as_bytes(), &small(Format::Lines)).unwrap();
    assert_eq!(names(&parsed), ["192.0.2.2"]);
    assert!(problems(&parsed)[0].ends_with("expected a line of at most 100 bytes"));

    let many = |count: usize| parse("192.0.2.1\n".repeat(count).as_bytes(), &small(Format::Auto));
    assert_eq!(many(10).unwrap().indicators.len(), 10);
    assert_eq!(many(11), Err(FormatError::TooMany { limit: 10 }));
    let list = format!("[{}\"192.0.2.1\"]", "\"192.0.2.1\",".repeat(10));
    assert_eq!(parse(list.as_bytes(), &small(Format::Json)), Err(FormatError::TooMany { limit: 10 }));

    let large = "#".repeat(1001);
    assert_eq!(
        parse(large.as_bytes(), &small(Format::Lines)),
        Err(FormatError::TooLarge { limit: 1000, unpacked: false })
    );
}

#[test]
fn json_is_nested_so_deeply_and_no_deeper() {
    for format in [Format::Json, Format::FeodoJson, Format::Misp, Format::Stix, Format::Auto] {
        for open in ["[", "{\"a\":", "{\"Attribute\":[", "{\"objects\":[", "[{\"x\":"] {
            let text = open.repeat(100_000);
            assert!(
                matches!(read(&text, format), Err(FormatError::Json(_) | FormatError::Unknown(_))),
                "{format} {open}"
            );
        }
    }
    let text = format!("{}\"192.0.2.1\"{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(clean(text, Format::Json), ["192.0.2.1"]);
    assert!(matches!(read("[\"192.0.2.1\", \"192.0.2.2\"", Format::Json), Err(FormatError::Json(_))));
    assert!(matches!(read("[\"192.0.2.1\"] x", Format::Json), Err(FormatError::Json(_))));
}

#[test]
fn compressed_feeds_are_unpacked() {
    let text = b"192.0.2.1\n192.0.2.2\n";
    for (packed, packing) in [(gzip(text), Packing::Gzip), (zip(&[("../../etc/passwd", text)]), Packing::Zip)]
    {
        let parsed = read(packed, Format::Auto).unwrap();
        assert_eq!(
            (parsed.packing, names(&parsed)),
            (Some(packing), vec!["192.0.2.1".into(), "192.0.2.2".into()])
        );
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![b'#'; 64 << 20];
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let error = Err(FormatError::TooLarge { limit: 1 << 20, unpacked: true });
    for packed in [gzip(&zeros), zip(&[("a", &zeros)])] {
        assert!(packed.len() < limits.bytes);
        assert_eq!(parse(&packed, &Options { limits, ..Options::default() }), error);
    }
}

#[test]
fn archives_that_are_not_one_whole_file_are_refused() {
    let text = b"192.0.2.1\n";
    let two = [gzip(text), gzip(text)].concat();
    let cut = gzip(text);
    let mut damaged = gzip(text);
    let last = damaged.len() - 1;
    damaged[last - 4] ^= 1;
    for packed in [
        two,
        cut[..cut.len() - 1].to_vec(),
        damaged,
        gzip(&gzip(text)),
        gzip(&zip(&[("a", text)])),
        zip(&[("a", text), ("b", text)]),
        zip(&[]),
        zip(&[("a", text)])[..40].to_vec(),
        b"PK\x03\x04".to_vec(),
        vec![0x1f, 0x8b],
    ] {
        assert!(matches!(read(&packed, Format::Auto), Err(FormatError::Packed(_))), "{packed:?}");
    }
}
