//! Files of networks: one address or prefix a line, `#` starts a comment. They may be large; no text of them is kept.

use crate::report::{Code, Findings, Place, Span};
use crate::types::IpNet;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    net::IpAddr,
    path::Path,
};

/// What a file may be at most.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) lines: usize,
    pub(super) bytes: u64,
}

/// The limits of any file.
pub(super) const LIMITS: Limits = Limits { lines: 1 << 24, bytes: 1 << 30 };

/// The most bytes of a line.
const LINE_MAX: u64 = 1024;

/// The most lines of a file that are reported one by one.
const REPORTED_MAX: usize = 10;

/// Reads the file at `path`, which `place` names. The networks are sorted and each stands once.
pub(super) fn read(
    path: &Path,
    place: &Place,
    limits: Limits,
    findings: &mut Findings,
) -> Option<Vec<IpNet>> {
    let mut reader = NetsReader { path, place, findings, nets: Vec::new(), bad: 0, host_bits: 0 };
    match reader.all(limits) {
        Ok(()) => reader.finish(),
        Err(Problem::Io(error)) => {
            let message = format!("cannot read `{}`: {error}", path.display());
            findings.add(Code::Unreadable, place, message);
            None
        }
        Err(Problem::TooLarge(what)) => {
            let message = format!("`{}` has more than {what}", path.display());
            findings.add(Code::TooLarge, place, message);
            None
        }
    }
}

enum Problem {
    Io(io::Error),
    TooLarge(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct NetsReader<'r> {
    path: &'r Path,
    place: &'r Place,
    findings: &'r mut Findings,
    nets: Vec<IpNet>,
    /// Lines that are no networks.
    bad: usize,
    /// Networks with bits set behind their length.
    host_bits: usize,
}

impl NetsReader<'_> {
    fn all(&mut self, limits: Limits) -> Result<(), Problem> {
        let file = File::open(self.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file").into());
        }
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        let mut bytes = 0;
        for number in 1.. {
            line.clear();
            let read = file.by_ref().take(LINE_MAX + 1).read_until(b'\n', &mut line)?;
            bytes += read as u64;
            if read == 0 {
                break;
            } else if bytes > limits.bytes {
                return Err(Problem::TooLarge(format!("{} bytes", limits.bytes)));
            } else if number > limits.lines {
                return Err(Problem::TooLarge(format!("{} lines", limits.lines)));
            } else if line.len() as u64 > LINE_MAX {
                return Err(Problem::TooLarge(format!("{LINE_MAX} bytes in line {number}")));
            }
            self.line(number, &line);
        }
        Ok(())
    }

    fn line(&mut self, number: usize, line: &[u8]) {
        let content = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if content.is_empty() {
            return;
        }
        let Some(written) = std::str::from_utf8(content).ok().and_then(parse) else {
            self.bad += 1;
            if self.bad <= REPORTED_MAX {
                let content = String::from_utf8_lossy(content);
                let message = format!("`{content}` is not an IP address or prefix");
                let span = self.span(number, line, &content);
                self.findings.add(Code::Malformed, self.place, message).elsewhere(span);
            }
            return;
        };
        let net = written.trunc();
        if net != written {
            self.host_bits += 1;
            if self.host_bits == 1 {
                let content = String::from_utf8_lossy(content);
                let message = format!("`{content}` has bits set behind its length of {}", net.prefix_len());
                let span = self.span(number, line, &content);
                let finding = self.findings.add(Code::HostBits, self.place, message);
                finding.elsewhere(span).label(format!("read as {net}"));
            }
        }
        self.nets.push(net);
    }

    fn span(&self, number: usize, line: &[u8], content: &str) -> Span {
        let text = String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_owned();
        let before = text.find(content).and_then(|at| text.get(..at)).map_or(0, |text| text.chars().count());
        Span {
            file: self.path.display().to_string(),
            line: number,
            column: before + 1,
            end: before + 1 + content.chars().count(),
            text,
        }
    }

    fn finish(self) -> Option<Vec<IpNet>> {
        let path = self.path.display();
        if self.bad > REPORTED_MAX {
            let more = self.bad - REPORTED_MAX;
            let message = format!("{more} more lines of `{path}` are not IP addresses or prefixes");
            self.findings.add(Code::Malformed, self.place, message);
        }
        if self.host_bits > 1 {
            let message =
                format!("{} networks of `{path}` have bits set behind their length", self.host_bits);
            self.findings.add(Code::HostBits, self.place, message);
        }
        let mut nets = self.nets;
        nets.sort_unstable();
        nets.dedup();
        nets.shrink_to_fit();
        (self.bad == 0).then_some(nets)
    }
}

fn parse(text: &str) -> Option<IpNet> {
    if text.contains('/') {
        text.parse().ok()
    } else {
        text.parse().map(|address: IpAddr| address.into()).ok()
    }
}
