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
fn a_copy_is_stale_after_two_periods_or_what_is_said() {
    let url = "url = 'https://a.example'\n";
    for (keys, after) in [
        (url.to_owned(), Some(Duration::from_hours(48))),
        (format!("{url}period = '1h'"), Some(Duration::from_hours(2))),
        (format!("{url}period = '1h'\nstale_after = '61m'"), Some(Duration::from_mins(61))),
        ("file = 'a'".to_owned(), None),
        ("file = 'a'\nstale_after = '1s'".to_owned(), Some(Duration::from_secs(1))),
    ] {
        assert_eq!(feed(&keys).stale_after, after, "{keys}");
    }
    assert_eq!(config("").feeds[0].stale_after, Some(Duration::from_hours(48)));
    let text = format!("[[feed]]\nname = 'a'\n{url}stale_after = '1d'\n");
    assert_eq!(found(&text), [(Code::Combination, 4, "'1d'".to_owned())]);
    assert!(report(&text).to_string().contains("its `period` is \"1d\""), "{}", report(&text));
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
        ("stale_after = '366d'", Code::OutOfRange),
        ("stale_after = '0s'", Code::OutOfRange),
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

/// What is found in an exception with these keys, besides its reason.
fn in_allow(keys: &str) -> Vec<(Code, usize, String)> {
    found(&format!("[[threat.allow]]\nreason = 'r'\n{keys}\n"))
}

#[test]
fn exceptions_say_where_why_and_until_when() {
    let allow = config(
        "[threat]\nguard = []\n[[threat.allow]]\naddress = '192.0.2.10'\nfeeds = ['feodo', 'a']\nreason = 'shared, ticket 4711'\n\
         expires = 2999-12-31T01:00:00+01:00\n[[threat.allow]]\naddress = '198.51.100.7 - 198.51.100.9'\nreason = 'ours'\n\
         expires = 2999-12-31\n[[threat.allow]]\naddress = '2001:db8::/32'\nreason = 'ours'\n[[feed]]\nname = 'a'\nfile = 'a'\n",
    )
    .allow;
    let said: Vec<_> = allow.iter().map(ToString::to_string).collect();
    let expected = [
        "192.0.2.10 is allowed until 2999-12-31T00:00:00Z because \"shared, ticket 4711\"",
        // A day ends in UTC.
        "198.51.100.7-198.51.100.9 is allowed until 3000-01-01T00:00:00Z because \"ours\"",
        "2001:db8::/32 is allowed because \"ours\"",
    ];
    assert_eq!(said, expected);
    let about = |name| allow.iter().map(|it| it.is_about(name)).collect::<Vec<_>>();
    assert_eq!((about("a"), about("b")), (vec![true, true, true], vec![false, true, true]));
    let end = allow[0].expires.unwrap();
    let before = end - std::time::Duration::from_nanos(1);
    assert_eq!([before, end].map(|now| allow[0].has_expired(now)), [false, true]);
    assert!(!allow[2].has_expired(jiff::Timestamp::MAX));
}

#[test]
fn exceptions_are_checked() {
    let place = "address = '192.0.2.10'";
    for (keys, code, line, marked) in [
        ("address = '192.0.2.300'", Code::Malformed, 3, "'192.0.2.300'"),
        ("address = '192.0.2.9-192.0.2.7'", Code::Malformed, 3, "'192.0.2.9-192.0.2.7'"),
        ("address = '192.0.2.9-::1'", Code::Malformed, 3, "'192.0.2.9-::1'"),
        ("address = '192.0.2.9-'", Code::Malformed, 3, "'192.0.2.9-'"),
        ("address = 'a.example'", Code::Malformed, 3, "'a.example'"),
        ("address = ['192.0.2.9']", Code::WrongType, 3, "['192.0.2.9']"),
        ("address = '192.0.2.9/24'", Code::HostBits, 3, "'192.0.2.9/24'"),
        ("address = '0.0.0.0/0'", Code::OutOfRange, 3, "'0.0.0.0/0'"),
        ("address = '10.0.0.0/7'", Code::OutOfRange, 3, "'10.0.0.0/7'"),
        ("address = '10.0.0.0-11.0.0.0'", Code::OutOfRange, 3, "'10.0.0.0-11.0.0.0'"),
        ("address = '::/0'", Code::OutOfRange, 3, "'::/0'"),
        ("address = '2000::/15'", Code::OutOfRange, 3, "'2000::/15'"),
        ("", Code::MissingKey, 1, "[[threat.allow]]"),
    ] {
        assert_eq!(in_allow(keys)[0], (code, line, marked.to_owned()), "{keys}");
    }
    for legal in ["address = '10.0.0.0/8'", "address = '2001::/16'", "address = '::1'"] {
        assert_eq!(in_allow(legal), [], "{legal}");
    }
    for (keys, code, marked) in [
        ("feeds = ['feodo', 'foedo']", Code::UnknownFeed, "'foedo'"),
        ("feeds = []", Code::EmptyList, "[]"),
        ("feeds = 'feodo'", Code::WrongType, "'feodo'"),
        ("expires = '2999-12-31'", Code::WrongType, "'2999-12-31'"),
        ("expires = 2999-12-31T00:00:00", Code::Malformed, "2999-12-31T00:00:00"),
        ("expires = 12:00:00", Code::Malformed, "12:00:00"),
        ("expires = 9999-12-31", Code::Malformed, "9999-12-31"),
        ("expires = 2020-01-31", Code::Expired, "2020-01-31"),
        ("until = 2999-12-31", Code::UnknownKey, "until"),
    ] {
        assert_eq!(in_allow(&format!("{place}\n{keys}")), [(code, 4, marked.to_owned())], "{keys}");
    }
    for reason in ["''", "' '", "\"a\\nb\""] {
        let text = format!("[[threat.allow]]\n{place}\nreason = {reason}");
        assert_eq!(found(&text), [(Code::Malformed, 3, reason.to_owned())], "{reason}");
    }
    assert_eq!(found("[threat]\nallow = 'x'"), [(Code::WrongType, 2, "'x'".to_owned())]);
}

#[test]
fn an_exception_that_has_expired_is_doubtful_and_is_there() {
    let text = "[[threat.allow]]\naddress = '192.0.2.10'\nreason = 'r'\nexpires = 2020-01-31\n";
    assert_eq!(config(text).allow.len(), 1);
    assert_eq!(
        report(text).to_string(),
        "warning[C114]: the exception of 192.0.2.10 expired on 2020-02-01T00:00:00Z: feeds are acted upon there\n \
         --> dir/t.toml:4:11\n  |\n4 | expires = 2020-01-31\n  |           ^^^^^^^^^^\n  \
         = help: remove the entry, or say until when\n\n1 warning"
    );
    let misspelt = report("[[threat.allow]]\naddress = '192.0.2.10'\nreason = 'r'\nfeeds = ['foedo', 'x']");
    assert!(misspelt.to_string().contains("did you mean `feodo`?"), "{misspelt}");
    assert!(misspelt.to_string().contains("there are: feodo"), "{misspelt}");
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
    let allow = "[[threat.allow]]\naddress = '192.0.2.10'\nreason = 'r'\n";
    assert_eq!(changes("", allow), [("threat.allow".to_owned(), true)]);
    assert_eq!(changes(allow, allow), []);
    let threat = "[threat]\ndirectory = '/a'\nguard = []\nwidest.ipv6 = 32\n";
    let expected = [("threat.directory", false), ("threat.guard", true), ("threat.widest.ipv6", true)];
    assert_eq!(changes("", threat), expected.map(|(field, live)| (field.to_owned(), live)));
}
