//! Servers of threat feeds that misbehave: the last good copy stays in force, and how the feed stands is said.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use ravelin_tests::{
    process::wait_for,
    ravelin::Ravelin,
    topology::{Lab, SERVER},
};
use serde_json::Value;

/// What the server answers, and what is said of it then: how the feed stands, and words of the last error. The first list names a
/// port, and so does the last; those between name another one.
fn answers() -> [(String, &'static str, &'static str); 9] {
    let whole = |body: String| {
        format!("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let none = |status: &str, header: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n{header}\r\n");
    let longer =
        |length: u64| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{SERVER}:{BETWEEN}\n");
    [
        (whole(format!("{SERVER}:{FIRST}\n")), "fresh", ""),
        (none("500 Internal Server Error", ""), "failing", "500"),
        ("HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(), "fresh", ""),
        (none("404 Not Found", ""), "failing", "404"),
        (none("302 Found", "Location: /feed\r\n"), "failing", "redirect"),
        (longer(1_000), "failing", ""),
        (longer(10_000_000_000), "failing", "64"),
        (whole("<html><body>Log in</body></html>\n".to_owned()), "held back", "HTML"),
        (whole(format!("{SERVER}:{LAST}\n")), "fresh", ""),
    ]
}

const FIRST: u16 = 1001;
const BETWEEN: u16 = 1002;
const LAST: u16 = 1003;

#[test]
fn the_last_good_copy_survives_what_servers_do() {
    let Some(lab) = Lab::new(&[]) else { return };
    let now = Arc::new(AtomicUsize::new(0));
    let listener = lab.appliance.inside(|| TcpListener::bind("127.0.0.1:8000")).expect("the port is free");
    let answered = Arc::clone(&now);
    // It ends with the test's process: nobody can make `accept` return.
    thread::spawn(move || {
        let answers = answers();
        for stream in listener.incoming() {
            let (answer, _, _) = &answers[answered.load(Relaxed)];
            // Who asked may be gone already.
            let _gone = stream.and_then(|stream| serve(stream, answer));
        }
    });
    let folder = lab.folder().display();
    let ravelin = lab.ravelin(&format!(
        "[threat]\ndirectory = \"{folder}/feeds\"\nguard = []\n[[feed]]\nname = \"feodo\"\nmode = \"disabled\"\n\
         [[feed]]\nname = \"c2\"\nurl = \"http://127.0.0.1:8000/feed\"\nformat = \"lines\"\n"
    ));
    let is_blocked = |port: u16| {
        let server = SocketAddr::new(SERVER.parse().expect("an address"), port);
        // Nobody listens, so the server's kernel answers at once.
        let tried = lab.client.inside(|| TcpStream::connect_timeout(&server, Duration::from_millis(200)));
        tried.is_err_and(|error| error.kind() == ErrorKind::TimedOut)
    };
    wait_for("the first list", || is_blocked(FIRST));
    for (place, (answer, state, error)) in answers().iter().enumerate().skip(1) {
        now.store(place, Relaxed);
        ravelin.ask(&["feed", "update", "c2"]).expect("there is such a feed");
        wait_for(answer, || {
            let feed = feed(&ravelin);
            let says = feed["last_error"].as_str().unwrap_or_default();
            feed["state"] == *state && says.contains(error) && says.is_empty() == (*state == "fresh")
        });
        assert_eq!(feed(&ravelin)["entries"], 1, "{answer}");
        assert!(!is_blocked(BETWEEN), "{answer}");
        if place + 1 < answers().len() {
            assert!(is_blocked(FIRST), "{answer}");
        }
    }
    wait_for("the last list", || is_blocked(LAST) && !is_blocked(FIRST));
    ravelin.finish(&["rule_deny"]);
}

/// Reads a request and answers it, whatever it asks.
fn serve(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    stream.write_all(answer.as_bytes())
}

fn feed(ravelin: &Ravelin) -> Value {
    let feeds = ravelin.ask(&["feed", "list", "--json"]).expect("the process answers");
    let feeds: Vec<Value> = serde_json::from_str(&feeds).expect("a list");
    feeds.into_iter().find(|feed| feed["name"] == "c2").expect("the feed is configured")
}
