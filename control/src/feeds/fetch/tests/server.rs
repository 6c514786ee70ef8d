//! A web server for one test: a function answers each connection, and may do what no server should.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// A request: its first line, then its headers in lower case.
pub(super) type Request = Vec<String>;

/// What answers: the path of a request, the request, and where to write.
type Answer = dyn Fn(&str, &Request, &mut dyn Write) -> io::Result<()> + Send + Sync;

pub(super) struct Server {
    /// `http://127.0.0.1:port`
    pub(super) url: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Box<Answer>,
    tls: Mutex<Option<Arc<ServerConfig>>>,
    requests: Mutex<Vec<Request>>,
    /// Bytes that were written.
    written: AtomicU64,
}

impl Server {
    pub(super) fn start(
        answer: impl Fn(&str, &Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::with_tls(None, answer)
    }

    /// A server with a certificate for `localhost` that it signed itself, and the certificate.
    pub(super) fn start_tls(
        answer: impl Fn(&str, &Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        let (config, certificate) = self_signed();
        (Self::with_tls(Some(config), answer), certificate)
    }

    /// Goes on with another certificate, which is returned.
    pub(super) fn change_certificate(&self) -> Vec<u8> {
        let (config, certificate) = self_signed();
        *self.shared.tls.lock().unwrap() = Some(config);
        certificate
    }

    fn with_tls(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&str, &Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = if tls.is_some() {
            format!("https://localhost:{port}")
        } else {
            format!("http://127.0.0.1:{port}")
        };
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Mutex::new(Vec::new());
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            tls: Mutex::new(tls),
            requests,
            written: AtomicU64::new(0),
        });
        let (stopped, all) = (Arc::clone(&stop), Arc::clone(&shared));
        let thread = thread::spawn(move || {
            let mut connections = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (stream, all) = (stream.unwrap(), Arc::clone(&all));
                // Clients of these tests go when they have what they want, which is no error here.
                connections.push(thread::spawn(move || drop(all.serve(stream))));
            }
            connections.into_iter().for_each(|connection| connection.join().unwrap());
        });
        Self { url, stop, thread: Some(thread), shared }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Bytes that were written to clients, once all of them have gone.
    pub(super) fn written(mut self) -> u64 {
        self.end();
        self.shared.written.load(Ordering::Relaxed)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        // The connection that makes it look.
        let _woken = TcpStream::connect(
            self.url.rsplit('/').next().unwrap_or_default().replace("localhost", "127.0.0.1"),
        );
        thread.join().unwrap();
    }
}

/// A certificate for `localhost`, in use and as others would have to trust it.
fn self_signed() -> (Arc<ServerConfig>, Vec<u8>) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = signed.cert.der().to_vec();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate.clone())], key)
        .unwrap();
    (Arc::new(config), certificate)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let tls = self.tls.lock().unwrap().clone();
        match tls {
            None => self.converse(BufReader::new(stream)),
            Some(config) => {
                let connection = ServerConnection::new(config).map_err(io::Error::other)?;
                self.converse(BufReader::new(StreamOwned::new(connection, stream)))
            }
        }
    }

    fn converse<S: io::Read + Write>(&self, mut stream: BufReader<S>) -> io::Result<()> {
        let mut request = Request::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line if request.is_empty() => request.push(line.to_owned()),
                line => request.push(match line.split_once(':') {
                    Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
                    None => line.to_owned(),
                }),
            }
        }
        let path = request[0].split(' ').nth(1).unwrap_or_default().to_owned();
        self.requests.lock().unwrap().push(request.clone());
        let mut counted = Counted { stream: stream.get_mut(), written: &self.written };
        (self.answer)(&path, &request, &mut counted)?;
        counted.flush()
    }
}

struct Counted<'s, S> {
    stream: &'s mut S,
    written: &'s AtomicU64,
}

impl<S: Write> Write for Counted<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
