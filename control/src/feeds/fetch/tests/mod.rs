mod server;

use std::{
    io::{self, Write},
    sync::{Mutex, mpsc},
    time::Duration,
};

use ureq::tls::Certificate;

use super::*;
use crate::{feeds::tests::SIGNED, testing::Directory};
use server::{Request, Server};

const BODY: &[u8] = b"192.0.2.1\n192.0.2.2\n";

/// A client that knows no proxy, so that the environment of the tests is no matter.
fn client() -> Client {
    Client { proxy: || None, ..Client::new(Timeouts::default()) }
}

/// A client that is tired soon of a server that stalls.
fn impatient() -> Client {
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(60));
    Client { timeouts: Timeouts { connect: long, silence: short, whole: long }, ..client() }
}

fn feed(url: &str, keys: &str) -> Feed {
    let text = format!("[[feed]]\nname = 'a'\nurl = '{url}'\n{keys}");
    ravelin_config::parse(&text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config.feeds[1].clone()
}

fn problem(result: Result<Fetched, FetchError>) -> Problem {
    result.unwrap_err().problem
}

fn copy(result: Result<Fetched, FetchError>) -> Copy {
    match result {
        Ok(Fetched::New(copy)) => copy,
        other => panic!("{other:?}"),
    }
}

/// A client that trusts these certificates only.
fn trusting(certificates: &[&[u8]]) -> Client {
    let certificates = certificates.iter().map(|der| Certificate::from_der(der).to_owned());
    Client { roots: RootCerts::from(certificates), ..client() }
}

/// An answer with a body of that length.
fn answer(to: &mut dyn Write, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    write!(to, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len())?;
    to.write_all(body)
}

fn no_validators() -> Validators {
    Validators::default()
}

fn has(request: &Request, header: &str) -> bool {
    request.iter().any(|line| line == header)
}

#[test]
fn a_copy_comes_with_its_validators() {
    let server = Server::start(|_, _, to| {
        answer(to, "200 OK", "ETag: \"1\"\r\nLast-Modified: Tue, 26 Mar 2024 23:30:15 GMT\r\n", BODY)
    });
    let copy = copy(client().fetch(&feed(&server.url, ""), &no_validators()));
    assert_eq!((copy.bytes.as_slice(), copy.validators.etag.as_deref()), (BODY, Some("\"1\"")));
    assert_eq!(copy.validators.last_modified.as_deref(), Some("Tue, 26 Mar 2024 23:30:15 GMT"));
    let request = &server.requests()[0];
    assert!(has(request, concat!("user-agent: ravelin/", env!("CARGO_PKG_VERSION"))), "{request:?}");
    assert!(!request.iter().any(|line| line.starts_with("if-")), "{request:?}");
}

#[test]
fn a_copy_that_we_have_is_not_sent_again() {
    let server = Server::start(|_, request, to| {
        let known = has(request, "if-none-match: \"1\"") && has(request, "if-modified-since: yesterday");
        if known { write!(to, "HTTP/1.1 304 Not Modified\r\n\r\n") } else { answer(to, "200 OK", "", BODY) }
    });
    let known = Validators { etag: Some("\"1\"".to_owned()), last_modified: Some("yesterday".to_owned()) };
    assert_eq!(client().fetch(&feed(&server.url, ""), &known).unwrap(), Fetched::Unchanged);
    // Who knows nothing cannot be told that it is unchanged.
    let liar = Server::start(|_, _, to| write!(to, "HTTP/1.1 304 Not Modified\r\n\r\n"));
    let problem = problem(client().fetch(&feed(&liar.url, ""), &no_validators()));
    assert!(matches!(problem, Problem::Status { status: 304, .. }), "{problem:?}");
}

#[test]
fn other_answers_are_no_copies() {
    let server = Server::start(|path, _, to| match path {
        "/404" => answer(to, "404 Not Found", "", b"<html>"),
        "/500" => answer(to, "500 Internal Server Error", "", b"<html>"),
        "/503" => answer(to, "503 Service Unavailable", "Retry-After: 120\r\n", b""),
        "/204" => write!(to, "HTTP/1.1 204 No Content\r\n\r\n"),
        _ => answer(to, "206 Partial Content", "", BODY),
    });
    for (path, expected, wait) in [
        ("/404", 404, None),
        ("/500", 500, None),
        ("/503", 503, Some(Duration::from_mins(2))),
        ("/204", 204, None),
        ("/206", 206, None),
    ] {
        let error =
            client().fetch(&feed(&format!("{}{path}", server.url), ""), &no_validators()).unwrap_err();
        assert!(matches!(error.problem, Problem::Status { status, .. } if status == expected), "{error}");
        assert_eq!(error.retry_after(), wait);
    }
    let garbage = Server::start(|_, _, to| to.write_all(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"));
    let problem = problem(client().fetch(&feed(&garbage.url, ""), &no_validators()));
    assert!(matches!(problem, Problem::Protocol(_)), "{problem:?}");
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let server = Server::start(|path, _, to| {
        let left: u32 = path.trim_start_matches('/').parse().unwrap_or(0);
        if left == 0 {
            return answer(to, "200 OK", "", BODY);
        }
        answer(to, "302 Found", &format!("Location: /{}\r\n", left - 1), b"<html>")
    });
    let fetch = |hops: u32| client().fetch(&feed(&format!("{}/{hops}", server.url), ""), &no_validators());
    assert_eq!(copy(fetch(5)).bytes, BODY);
    assert!(matches!(problem(fetch(6)), Problem::Redirects));
    let count = server.requests().len();
    // Round and round.
    let server = Server::start(|_, _, to| answer(to, "301 Moved Permanently", "Location: /\r\n", b""));
    assert!(matches!(problem(client().fetch(&feed(&server.url, ""), &no_validators())), Problem::Redirects));
    assert_eq!((count, server.requests().len()), (6 + 6, 6));
    for location in ["", "Location: file:///etc/passwd\r\n", "Location: http://\r\n"] {
        let server = Server::start(move |_, _, to| answer(to, "302 Found", location, b""));
        let problem = problem(client().fetch(&feed(&server.url, ""), &no_validators()));
        assert!(matches!(problem, Problem::BadRedirect), "{location} {problem:?}");
    }
}

/// Neither headers of the configuration nor user and password go to another server.
#[test]
fn secrets_stay_with_the_server_that_they_are_for() {
    let other = Server::start(|_, _, to| answer(to, "200 OK", "", BODY));
    let location = format!("Location: {}/there\r\n", other.url);
    let server = Server::start(move |path, _, to| match path {
        "/" => answer(to, "302 Found", "Location: /here\r\n", b""),
        _ => answer(to, "302 Found", &location, b""),
    });
    let directory = Directory::new();
    let file = directory.write("key", "from-file\n");
    let keys = format!(
        "headers = [{{ name = 'X-Key', value = 'secret' }}, {{ name = 'X-File', file = '{}' }}]",
        file.display()
    );
    let url = server.url.replace("http://", "http://me:pass@");
    assert_eq!(copy(client().fetch(&feed(&url, &keys), &no_validators())).bytes, BODY);
    let [first, second] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    for request in [first, second] {
        assert!(has(request, "x-key: secret") && has(request, "x-file: from-file"), "{request:?}");
        // "me:pass"
        assert!(has(request, "authorization: Basic bWU6cGFzcw=="), "{request:?}");
    }
    let at_other = &other.requests()[0];
    assert!(has(at_other, &format!("host: {}", other.url.trim_start_matches("http://"))), "{at_other:?}");
    assert!(
        !at_other.iter().any(|line| line.starts_with("x-") || line.starts_with("authorization")),
        "{at_other:?}"
    );
}

#[test]
fn headers_need_their_values() {
    let server = Server::start(|_, _, to| answer(to, "200 OK", "", BODY));
    let directory = Directory::new();
    let bad = directory.write("bad", "a\r\nInjected: b");
    let empty = directory.write("empty", " \n");
    for value in [
        "env = 'RAVELIN_TEST_NO_SUCH_VARIABLE'".to_owned(),
        "file = '/nonexistent'".to_owned(),
        "file = '/dev/zero'".to_owned(),
        format!("file = '{}'", bad.display()),
        format!("file = '{}'", empty.display()),
    ] {
        let keys = format!("headers = [{{ name = 'X-Key', {value} }}]");
        let error = client().fetch(&feed(&server.url, &keys), &no_validators()).unwrap_err();
        assert!(matches!(&error.problem, Problem::Header { name, .. } if name == "X-Key"), "{error}");
        assert!(!error.to_string().contains("Injected"), "{error}");
    }
    assert!(server.requests().is_empty());
    // Cargo sets this one.
    let keys = "headers = [{ name = 'X-Key', env = 'CARGO_PKG_NAME' }]";
    assert_eq!(copy(client().fetch(&feed(&server.url, keys), &no_validators())).bytes, BODY);
    assert!(has(&server.requests()[0], "x-key: ravelin-control"));
}

/// Ten gigabytes, with and without a length that says so: neither is taken in.
#[test]
fn a_body_without_end_is_cut_off() {
    const MOST: u64 = 1 << 20;
    let endless = |to: &mut dyn Write, chunk: &[u8]| -> io::Result<()> {
        (0..10_u64 << 30).step_by(1 << 16).try_for_each(|_| to.write_all(chunk))
    };
    let server = Server::start(move |path, _, to| {
        let zeros = vec![b'1'; 1 << 16];
        match path {
            "/chunked" => {
                write!(to, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                endless(to, &[b"10000\r\n", &zeros[..], b"\r\n"].concat())
            }
            "/length" => {
                write!(to, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 10_u64 << 30)?;
                endless(to, &zeros)
            }
            _ => {
                write!(to, "HTTP/1.0 200 OK\r\n\r\n")?;
                endless(to, &zeros)
            }
        }
    });
    for path in ["/chunked", "/length", "/close"] {
        let feed = feed(&format!("{}{path}", server.url), "max_size = '1MiB'");
        let problem = problem(client().fetch(&feed, &no_validators()));
        assert!(matches!(problem, Problem::TooLarge { limit: MOST }), "{path} {problem:?}");
    }
    // What was written lies in the buffers of sockets, or was taken in; far from ten gigabytes.
    let written = server.written();
    assert!(written < 100 << 20, "{written}");
}

#[test]
fn a_body_may_be_as_large_as_it_may_be() {
    for (size, fits) in [(1024, true), (1025, false)] {
        let server = Server::start(move |_, _, to| {
            write!(to, "HTTP/1.0 200 OK\r\n\r\n")?;
            to.write_all(&vec![b'1'; size])
        });
        let result = client().fetch(&feed(&server.url, "max_size = '1KiB'"), &no_validators());
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
}

/// 64 MiB of zeros in 64 KiB.
#[test]
fn what_is_compressed_counts_as_what_it_becomes() {
    let squeeze = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let (bomb, body) = (squeeze(&vec![0; 64 << 20]), squeeze(BODY));
    assert!(bomb.len() < 100_000);
    let server = Server::start(move |path, request, to| {
        assert!(has(request, "accept-encoding: gzip"), "{request:?}");
        let gzip = "Content-Encoding: gzip\r\n";
        match path {
            "/bomb" => answer(to, "200 OK", gzip, &bomb),
            "/short" => answer(to, "200 OK", gzip, &body[..body.len() - 9]),
            "/lie" => answer(to, "200 OK", gzip, BODY),
            _ => answer(to, "200 OK", gzip, &body),
        }
    });
    let fetch = |path: &str| {
        client().fetch(&feed(&format!("{}{path}", server.url), "max_size = '1MiB'"), &no_validators())
    };
    assert_eq!(copy(fetch("/good")).bytes, BODY);
    assert!(matches!(problem(fetch("/bomb")), Problem::TooLarge { limit: 1_048_576 }));
    let short = problem(fetch("/short"));
    assert!(matches!(short, Problem::Truncated), "{short:?}");
    let lie = problem(fetch("/lie"));
    assert!(matches!(lie, Problem::Compression), "{lie:?}");
}

#[test]
fn a_body_has_the_length_that_it_should() {
    let server = Server::start(|path, _, to| match path {
        // The connection ends too early, in both ways in which one can tell.
        "/short" => write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n192.0.2.1\n"),
        "/chunk" => write!(to, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n192.0.2.1\n\r\n"),
        "/headers" => write!(to, "HTTP/1.1 200 OK\r\nContent-Le"),
        "/nothing" => Ok(()),
        // What is behind the body does not belong to it.
        _ => write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n192.0.2.1\n10.0.0.0/8\n"),
    });
    let fetch = |path: &str| client().fetch(&feed(&format!("{}{path}", server.url), ""), &no_validators());
    for path in ["/short", "/chunk", "/headers", "/nothing"] {
        let problem = problem(fetch(path));
        assert!(matches!(problem, Problem::Truncated), "{path} {problem:?}");
    }
    assert_eq!(copy(fetch("/long")).bytes, b"192.0.2.1\n");
}

#[test]
fn a_server_that_stalls_is_left() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = Server::start(move |path, _, to| {
        match path {
            "/headers" => write!(to, "HTTP/1.1 200")?,
            "/body" => write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n192.0.2.1\n")?,
            _ => {}
        }
        to.flush()?;
        // Nothing more until the test is over.
        let _over = held.lock().map(|held| held.recv());
        Ok(())
    });
    let _goes_before_the_server = release;
    for path in ["/nothing", "/headers", "/body"] {
        let problem =
            problem(impatient().fetch(&feed(&format!("{}{path}", server.url), ""), &no_validators()));
        assert!(matches!(problem, Problem::Timeout("the server says nothing")), "{path} {problem:?}");
    }
}

/// A byte now and then is no silence, but does not go on for ever.
#[test]
fn a_server_that_drips_is_left_as_well() {
    let server = Server::start(|_, _, to| {
        write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
        loop {
            to.write_all(b"1")?;
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let mut client = client();
    client.timeouts.whole = Duration::from_millis(300);
    let problem = problem(client.fetch(&feed(&server.url, ""), &no_validators()));
    assert!(matches!(problem, Problem::Timeout("the whole")), "{problem:?}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (server, certificate) = Server::start_tls(|_, _, to| answer(to, "200 OK", "", BODY));
    let feed = feed(&server.url, "");
    let error = client().fetch(&feed, &no_validators()).unwrap_err();
    assert!(matches!(error.problem, Problem::Tls(_)), "{error:?}");
    assert_eq!(copy(trusting(&[&certificate]).fetch(&feed, &no_validators())).bytes, BODY);
    // One that is for another name.
    let elsewhere = super::tests::feed(&server.url.replace("localhost", "127.0.0.1"), "");
    let error = trusting(&[&certificate]).fetch(&elsewhere, &no_validators()).unwrap_err();
    assert!(matches!(error.problem, Problem::Tls(_)), "{error:?}");
}

#[test]
fn a_certificate_that_changes_must_be_vouched_for_again() {
    let (server, first) = Server::start_tls(|_, _, to| answer(to, "200 OK", "", BODY));
    let feed = feed(&server.url, "");
    let client = trusting(&[&first]);
    assert_eq!(copy(client.fetch(&feed, &no_validators())).bytes, BODY);
    let second = server.change_certificate();
    let error = client.fetch(&feed, &no_validators()).unwrap_err();
    assert!(matches!(error.problem, Problem::Tls(_)), "{error:?}");
    assert_eq!(server.requests().len(), 1, "whoever it is, it was asked nothing");
    assert_eq!(copy(trusting(&[&first, &second]).fetch(&feed, &no_validators())).bytes, BODY);
}

#[test]
fn https_never_becomes_http() {
    let plain = Server::start(|_, _, to| answer(to, "200 OK", "", BODY));
    let location = format!("Location: {}/x?secret\r\n", plain.url);
    let (server, certificate) = Server::start_tls(move |_, _, to| answer(to, "302 Found", &location, b""));
    let roots = RootCerts::new_with_certs(&[Certificate::from_der(&certificate).to_owned()]);
    let error = Client { roots, ..client() }.fetch(&feed(&server.url, ""), &no_validators()).unwrap_err();
    assert!(matches!(&error.problem, Problem::Downgrade { .. }), "{error}");
    assert!(!error.to_string().contains("secret") && plain.requests().is_empty(), "{error}");
}

#[test]
fn bytes_are_those_of_the_checksum() {
    let server = Server::start(|_, _, to| answer(to, "200 OK", "", BODY));
    let right = Copy::new(BODY.to_vec(), no_validators()).sha256;
    let fetch = |sha256: Sha256| {
        client().fetch(&feed(&server.url, &format!("sha256 = '{sha256}'")), &no_validators())
    };
    assert_eq!(copy(fetch(right)).sha256, right);
    let wrong = Sha256([7; 32]);
    let problem = problem(fetch(wrong));
    assert!(matches!(problem, Problem::Checksum { expected, found } if (expected, found) == (wrong, right)));
}

/// What `ureq` logs at its most talkative is not even compiled in.
#[test]
fn a_signature_stands_beside_what_it_signs() {
    let server = Server::start(|path, _, to| match path {
        "/list?k" | "/forged" => answer(to, "200 OK", "", SIGNED.bytes),
        "/list.minisig?k" => answer(to, "200 OK", "", SIGNED.signature.as_bytes()),
        "/forged.minisig" => answer(to, "200 OK", "", SIGNED.signature.replace("a list", "b").as_bytes()),
        "/alone" => answer(to, "200 OK", "ETag: \"1\"\r\n", BODY),
        _ => answer(to, "404 Not Found", "", b""),
    });
    let fetch = |path: &str| {
        let keys = format!("minisign_key = '{}'", SIGNED.key);
        client().fetch(&feed(&format!("{}{path}", server.url), &keys), &no_validators())
    };
    assert_eq!(copy(fetch("/list?k")).bytes, SIGNED.bytes);
    let error = fetch("/alone").unwrap_err().to_string();
    assert!(error.ends_with("its signature cannot be had: the server answered with status 404"), "{error}");
    let error = fetch("/forged").unwrap_err().to_string();
    assert!(error.ends_with("its signature is not used: it is not of these bytes"), "{error}");
}

#[test]
fn whole_urls_are_not_logged() {
    assert_eq!(log::STATIC_MAX_LEVEL, log::LevelFilter::Debug);
}

#[test]
fn errors_name_the_feed_and_no_secrets() {
    // Nobody listens where somebody has just listened.
    let url = Server::start(|_, _, _| Ok(())).url.clone();
    let url = url.replace("http://", "http://me:hunter2@") + "/list.csv?key=hunter2";
    let error = client().fetch(&feed(&url, ""), &no_validators()).unwrap_err();
    assert!(matches!(error.problem, Problem::Io(_)), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("the feed `a` from http://127.0.0.1:") && text.contains("/list.csv?…: "),
        "{text}"
    );
    assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{text}");
}
