use super::{
    Column, Feed, FeedAction, FeedDirection, FeedFormat, FeedList, FeedMode, FeedSource, FeedUrl,
    HeaderValue, Secret, Sha256, UrlError,
};
use crate::{Code, Config, Report, diff, parse};
use std::{path::Path, time::Duration};

fn report(text: &str) -> Report {
    parse(text, "dir/t.toml").map_or_else(|report| report, |loaded| loaded.warnings)
}

fn config(text: &str) -> Config {
    parse(text, "dir/t.toml").unwrap_or_else(|report| panic!("{report}")).config
}

/// What is found in `text`: code, line, and the text that is marked.
fn found(text: &str) -> Vec<(Code, usize, String)> {
    let mut found = Vec::new();
    for it in report(text).diagnostics() {
        let span = it.span.as_ref().unwrap();
        let marked = span.text.chars().skip(span.column - 1).take(span.end - span.column).collect();
        found.push((it.code, span.line, marked));
    }
    found
}

/// What is found in a feed at some URL with `keys`.
fn in_feed(keys: &str) -> Vec<Code> {
    let text = format!("[[feed]]\nname = 'a'\nurl = 'https://a.example/'\n{keys}\n");
    found(&text).into_iter().map(|(code, ..)| code).collect()
}

fn feed(keys: &str) -> Feed {
    config(&format!("[[feed]]\nname = 'a'\n{keys}\n")).feeds[1].clone()
}

#[test]
fn feodo_is_there_without_being_declared() {
    let feeds = config("").feeds;
    assert_eq!((feeds.len(), &feeds), (1, &FeedList::default()));
    let feodo = &feeds[0];
    let FeedSource::Url { url, period, headers } = &feodo.source else { panic!("{feodo:?}") };
    assert_eq!(url.reveal(), "https://feodotracker.abuse.ch/downloads/ipblocklist.csv");
    assert_eq!((*period, headers.len()), (Duration::from_hours(24), 0));
    assert_eq!((feodo.name.as_str(), feodo.format, feodo.severity), ("feodo", FeedFormat::FeodoCsv, 80));
    assert_eq!(
        (feodo.action, feodo.direction, feodo.mode),
        (FeedAction::Block, FeedDirection::Both, FeedMode::Enabled)
    );
    assert_eq!((feodo.max_size, feodo.max_entries, feodo.shrink), (64 << 20, 10_000_000, 0.5));
    assert_eq!(feodo.labels.iter().collect::<Vec<_>>(), [("feed", "feodo")]);
}

#[test]
fn feodo_can_be_declared_otherwise() {
    let off = config("[[feed]]\nname = 'feodo'\nmode = 'disabled'\nperiod = '5m'").feeds;
    assert_eq!((off.len(), off[0].mode, off[0].format), (1, FeedMode::Disabled, FeedFormat::FeodoCsv));
    let FeedSource::Url { url, period, .. } = &off[0].source else { panic!("{off:?}") };
    assert_eq!((url.to_string().as_str(), *period), (super::BUILT_IN_URL, Duration::from_mins(5)));
    let mirror = config("[[feed]]\nname = 'feodo'\nfile = 'mirror.txt'").feeds;
    assert_eq!(mirror[0].source, FeedSource::File { file: "dir/mirror.txt".into() });
    // What another file holds may be another form.
    assert_eq!((mirror.len(), mirror[0].format), (1, FeedFormat::Auto));
}

#[test]
fn what_is_said_is_what_is_meant() {
    let feed = feed(
        "url = 'https://u:p@a.example:8443/x.csv?key=k'\nperiod = '5m'\nlabels = { kind = 'c2' }\naction = 'alert'\n\
         direction = 'ingress'\nseverity = 1\nmax_size = '2GiB'\nmax_entries = 7\nshrink = 1\nformat = 'csv'\n\
         csv = { column = 'ip', port = 3, delimiter = ';', comment = '%' }\n\
         headers = [{ name = 'X-Key', value = 'k' }, { name = 'A', env = 'KEY' }, { name = 'B', file = 'key' }]\n\
         sha256 = 'E3B0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
    );
    let FeedSource::Url { url, headers, .. } = &feed.source else { panic!("{feed:?}") };
    assert_eq!(url.reveal(), "https://u:p@a.example:8443/x.csv?key=k");
    let values: Vec<_> = headers.iter().map(|header| header.value.clone()).collect();
    let expected = [
        HeaderValue::Text(Secret::new("k")),
        HeaderValue::Env("KEY".to_owned()),
        HeaderValue::File("dir/key".into()),
    ];
    assert_eq!(values, expected);
    let csv = feed.csv.unwrap();
    assert_eq!((csv.column, csv.port), (Column::Name("ip".to_owned()), Some(Column::Number(3))));
    // A name needs a header.
    assert_eq!((csv.delimiter, csv.comment, csv.header), (';', '%', true));
    assert_eq!((feed.max_size, feed.max_entries, feed.shrink), (2 << 30, 7, 1.0));
    let sha256 = feed.sha256.unwrap().to_string();
    assert_eq!(sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(feed.labels.iter().collect::<Vec<_>>(), [("kind", "c2")]);
}

#[test]
fn a_feed_comes_from_one_place() {
    let text = "[[feed]]\nname = 'a'\n[[feed]]\nname = 'b'\nurl = 'https://b.example'\nfile = 'b'\n\
                [[feed]]\nname = 'c'\nfile = 'c'\nperiod = '1h'\nheaders = [{ name = 'X', value = 'y' }]\n";
    let expected = [
        (Code::MissingKey, 2, "'a'"),
        (Code::Combination, 6, "'b'"),
        (Code::Combination, 10, "'1h'"),
        (Code::Combination, 11, "'X'"),
    ];
    assert_eq!(found(text), expected.map(|(code, line, marked)| (code, line, marked.to_owned())));
}

#[test]
fn layouts_go_with_their_formats() {
    for legal in [
        "format = 'csv'",
        "format = 'csv'\ncsv = { column = 2, header = true }",
        "format = 'json'\njson = { path = '$' }",
        "format = 'json-lines'\njson = { path = '$.ip', port = '$.port' }",
    ] {
        assert_eq!(in_feed(legal), [], "{legal}");
    }
    for illegal in [
        "csv = { column = 1 }",
        "format = 'lines'\njson = { path = '$' }",
        "format = 'json'",
        "format = 'json'\ncsv = { column = 1 }",
        "format = 'csv'\ncsv = { column = 'ip', header = false }",
        "headers = [{ name = 'X' }]",
        "headers = [{ name = 'X', value = 'a', env = 'B' }]",
    ] {
        assert_eq!(in_feed(illegal), [Code::Combination], "{illegal}");
    }
}

#[test]
fn the_kernel_drops_only_what_is_blocked_in_both_directions() {
    assert!(!feed("file = 'f'").drop_in_kernel);
    assert!(feed("file = 'f'\ndrop_in_kernel = true").drop_in_kernel);
    for (keys, code) in [
        ("action = 'block'\ndirection = 'both'\ndrop_in_kernel = true", None),
        ("action = 'alert'\ndirection = 'egress'\ndrop_in_kernel = false", None),
        ("drop_in_kernel = true\naction = 'alert'", Some(Code::Combination)),
        ("drop_in_kernel = true\ndirection = 'egress'", Some(Code::Combination)),
        ("drop_in_kernel = true\ndirection = 'ingress'", Some(Code::Combination)),
        ("drop_in_kernel = 'yes'", Some(Code::WrongType)),
    ] {
        assert_eq!(in_feed(keys), code.into_iter().collect::<Vec<_>>(), "{keys}");
    }
}

#[test]
fn values_are_checked() {
    for (keys, code) in [
        ("format = 'feodo'", Code::UnknownWord),
        ("period = '4m'", Code::OutOfRange),
        ("severity = 0", Code::OutOfRange),
        ("severity = 101", Code::OutOfRange),
        ("max_size = 64", Code::WrongType),
        ("max_size = '1023B'", Code::OutOfRange),
        ("max_size = '5GiB'", Code::OutOfRange),
        ("max_size = '99999999999999999999GiB'", Code::OutOfRange),
        ("max_size = '64MB'", Code::Malformed),
        ("max_size = '6.4MiB'", Code::Malformed),
        ("max_size = 'MiB'", Code::Malformed),
        ("max_entries = 0", Code::OutOfRange),
        ("shrink = 1.1", Code::OutOfRange),
        ("shrink = -0.1", Code::OutOfRange),
        ("shrink = nan", Code::OutOfRange),
        ("shrink = '50%'", Code::WrongType),
        ("sha256 = 'abc'", Code::Malformed),
        ("minisign_key = 'RWabc'", Code::Malformed),
        ("format = 'csv'\ncsv.column = 0", Code::OutOfRange),
        ("format = 'csv'\ncsv.column = ''", Code::Malformed),
        ("format = 'csv'\ncsv.delimiter = 'ab'", Code::Malformed),
        ("format = 'csv'\ncsv.delimiter = 'a'", Code::Malformed),
        ("format = 'csv'\ncsv.comment = ''", Code::Malformed),
        ("format = 'json'\njson.path = 'data'", Code::Malformed),
        ("headers = [{ name = 'Host', value = 'a' }]", Code::Malformed),
        ("headers = [{ name = 'X Y', value = 'a' }]", Code::Malformed),
        ("headers = [{ name = 'X', value = \"a\\r\\nB: c\" }]", Code::Malformed),
        ("headers = [{ name = 'X', env = '$KEY' }]", Code::Malformed),
    ] {
        assert_eq!(in_feed(keys), [code], "{keys}");
    }
}

#[test]
fn names_are_unique_and_feeds_are_64() {
    let feeds = |count: usize| {
        (0..count).map(|it| format!("[[feed]]\nname = 'f{it}'\nfile = 'f'\n")).collect::<String>()
    };
    assert_eq!(config(&feeds(63)).feeds.len(), FeedList::MAX);
    assert_eq!(found(&feeds(64)), [(Code::TooLarge, 191, "'f63'".to_owned())]);
    let own = format!("{}[[feed]]\nname = 'feodo'\n", feeds(63));
    assert_eq!(config(&own).feeds.len(), FeedList::MAX);
    let long = |length: usize| found(&format!("[[feed]]\nname = '{}'\nfile = 'f'", "a".repeat(length)));
    assert_eq!((long(64).len(), long(65)[0].0), (0, Code::Malformed));
    let twice = "[[feed]]\nname = 'a'\nfile = 'f'\n[[feed]]\nname = 'a'\nfile = 'f'\n";
    assert_eq!(found(twice), [(Code::DuplicateName, 5, "'a'".to_owned())]);
}

#[test]
fn who_listens_on_the_way_is_thought_of() {
    let key = "minisign_key = 'RWQY3l4awLmtL8kWMMOdvLmF77gXZAC1mxuTYL1nFOr9cV4KdyCEgTvl'";
    let checksum = "sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'";
    for (keys, codes) in [
        ("url = 'http://a.example'".to_owned(), vec![Code::PlainHttp]),
        (format!("url = 'http://a.example'\n{checksum}"), vec![]),
        (format!("url = 'http://a.example'\n{key}"), vec![]),
        (format!("url = 'http://u@a.example'\n{checksum}"), vec![Code::PlainHttp]),
        (
            format!("url = 'http://a.example'\nheaders = [{{ name = 'X', value = 'y' }}]\n{checksum}"),
            vec![Code::PlainHttp],
        ),
    ] {
        let report = report(&format!("[[feed]]\nname = 'a'\n{keys}"));
        assert_eq!(report.diagnostics().iter().map(|it| it.code).collect::<Vec<_>>(), codes, "{keys}");
    }
}

/// Wherever a finding shows a line, and however a configuration is written out.
#[test]
fn secrets_are_never_shown() {
    let feed = "[[feed]]\nname = 'a'\nurl = 'https://me:hunter2@a.example/?key=hunter2'\n\
                headers = [{ name = 'X', value = 'hunter2', env = 'Y' }]\n\
                [[feed]]\nname = 'b'\nurl = 'htps://me:hunter2@a.example/'\n\
                headers = [{ name = 'X', value = \"hunter2\\n\", nmae = 'ü' }]\n";
    let report = report(feed);
    assert_eq!(report.errors(), 4, "{report}");
    for text in [report.to_string(), format!("{report:?}"), serde_json::to_string(&report).unwrap()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(report.to_string().contains("value = *********, env = 'Y'"), "{report}");
    let feed = "[[feed]]\nname = 'a'\nurl = 'https://me:hunter2@a.example/?key=hunter2'\n\
                headers = [{ name = 'X', value = 'hunter2' }]\n";
    let config = config(feed);
    for text in [format!("{config:?}"), serde_json::to_string(&config).unwrap()] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("https://a.example/?…") && text.contains("***"), "{text}");
    }
}

#[test]
fn urls_are_shown_without_what_is_secret() {
    for (text, shown, is_https, has_user) in [
        ("https://a.example", "https://a.example", true, false),
        ("HTTP://a.example:80/x/y", "http://a.example:80/x/y", false, false),
        ("https://me:pass@word@[2001:db8::1]:8443/a?b#c", "https://[2001:db8::1]:8443/a?…", true, true),
        ("https://a.example/x@y", "https://a.example/x@y", true, false),
        ("https://a.example?k@v", "https://a.example?…", true, false),
        ("https://a.example/#secret", "https://a.example/", true, false),
    ] {
        let url: FeedUrl = text.parse().unwrap();
        assert_eq!((url.to_string().as_str(), url.reveal()), (shown, text));
        assert_eq!((url.is_https(), url.has_user()), (is_https, has_user), "{text}");
    }
    for (text, error) in [
        ("", UrlError::Scheme),
        ("a.example/x", UrlError::Scheme),
        ("file:///etc/passwd", UrlError::Scheme),
        ("ftp://a.example", UrlError::Scheme),
        ("https://", UrlError::Host),
        ("https:///x", UrlError::Host),
        ("https://me@/x", UrlError::Host),
        ("https://[::1/x", UrlError::Host),
        ("https://[a.example]/", UrlError::Host),
        ("https://:80/", UrlError::Host),
        ("https://a.example:0/", UrlError::Port),
        ("https://a.example:65536/", UrlError::Port),
        ("https://a.example:/", UrlError::Port),
        ("https://a.example/ b", UrlError::Character { character: ' ' }),
        ("https://bücher.example/", UrlError::Character { character: 'ü' }),
        ("https://a.example/\r\nHost: b", UrlError::Character { character: '\r' }),
    ] {
        assert_eq!(text.parse::<FeedUrl>(), Err(error), "{text}");
    }
}

#[test]
fn checksums_are_read_as_they_are_shown() {
    let text = "00ff".repeat(16);
    assert_eq!(text.parse::<Sha256>().unwrap().to_string(), text);
    for illegal in ["", &text[1..], &format!("{text}0"), &format!("{text}00"), &text.replace("ff", "gg")] {
        assert!(illegal.parse::<Sha256>().is_err(), "{illegal}");
    }
}

#[test]
fn what_feeds_share_has_defaults_and_bounds() {
    let threat = config("").threat;
    assert_eq!(threat.directory, Path::new("/var/lib/ravelin/feeds"));
    assert_eq!((threat.widest.ipv4, threat.widest.ipv6), (8, 19));
    assert_eq!((threat.guard.len(), threat.alert_window), (14, Duration::from_hours(1)));
    for own in
        ["0.1.2.3", "10.0.0.1", "172.31.0.1", "192.168.1.1", "100.127.0.1", "127.0.0.1", "169.254.169.254"]
    {
        assert!(
            threat.guard.iter().any(|net| net.contains(&own.parse::<std::net::IpAddr>().unwrap())),
            "{own}"
        );
    }
    let threat = config("[threat]\nguard = []\nwidest = { ipv4 = 0 }").threat;
    assert_eq!((threat.guard.len(), threat.widest.ipv4, threat.widest.ipv6), (0, 0, 19));
    assert_eq!(found("[threat]\nwidest.ipv4 = 33"), [(Code::OutOfRange, 2, "33".to_owned())]);
    assert_eq!(found("[threat]\ndirectory = 'feeds'"), [(Code::Malformed, 2, "'feeds'".to_owned())]);
}

#[test]
fn changes_are_seen() {
    let changes = |old: &str, new: &str| -> Vec<_> {
        diff(&config(old), &config(new)).into_iter().map(|it| (it.field, it.live)).collect()
    };
    let feed = "[[feed]]\nname = 'a'\nurl = 'https://a.example'\n";
    assert_eq!(changes(feed, feed), []);
    assert_eq!(changes("", feed), [("feed[a]".to_owned(), true)]);
    let other_secret = |secret: &str| format!("{feed}headers = [{{ name = 'X', value = '{secret}' }}]");
    assert_eq!(changes(&other_secret("a"), &other_secret("b")), [("feed[a]".to_owned(), true)]);
    let off = "[[feed]]\nname = 'feodo'\nmode = 'disabled'\n";
    assert_eq!(changes("", off), [("feed[feodo]".to_owned(), true)]);
    let threat = "[threat]\ndirectory = '/a'\nguard = []\nwidest.ipv6 = 32\n";
    let expected = [("threat.directory", false), ("threat.guard", true), ("threat.widest.ipv6", true)];
    assert_eq!(changes("", threat), expected.map(|(field, live)| (field.to_owned(), live)));
}
