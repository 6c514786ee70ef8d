use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    cli::{Failure, target},
    feeds::{
        Indicator,
        formats::{
            self, Column, Csv, Format, FormatError, Json, Limits, Options, Packing, Parsed, Problem, Remark,
        },
    },
};

/// Shows what would be loaded of a file, and what would be skipped and why.
///
/// Ends with exit code 1 if nothing would be loaded.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The file, which may be compressed with gzip or zip; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it looks like.
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
    /// Print every entry that would be loaded, and every problem.
    #[arg(short, long)]
    all: bool,
    /// Of a table: the column of the indicators, by its name or its number from 1.
    #[arg(long, value_name = "COLUMN")]
    csv_column: Option<Column>,
    /// Of a table: the column of the port.
    #[arg(long, value_name = "COLUMN", requires = "csv_column")]
    csv_port: Option<Column>,
    /// Of a table: what stands between fields; `\t` is a tab.
    #[arg(long, value_name = "CHARACTER", value_parser = character, default_value = ",")]
    csv_delimiter: u8,
    /// Of a table: what a comment begins with.
    #[arg(long, value_name = "CHARACTER", value_parser = character, default_value = "#")]
    csv_comment: u8,
    /// Of a table: the first record is not the names of the columns.
    #[arg(long)]
    csv_no_header: bool,
    /// Of JSON: where the indicators are, such as `$.data[*].ip`.
    #[arg(long, value_name = "PATH")]
    json_path: Option<formats::Path>,
    /// Of JSON: where their ports are, such as `$.data[*].port`.
    #[arg(long, value_name = "PATH", requires = "json_path")]
    json_port: Option<formats::Path>,
    /// The most bytes, compressed or not.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().bytes)]
    max_size: usize,
    /// The most entries.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().entries)]
    max_entries: usize,
}

fn character(text: &str) -> Result<u8, &'static str> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [b'\n' | b'\r' | b'"'] => Err("it has a meaning of its own in a table"),
        [byte] => Ok(*byte),
        _ => Err("it is one character of ASCII"),
    }
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let about = |error: &dyn fmt::Display| Failure::failed(format_args!("{}: {error}", args.file.display()));
    let bytes = read(&args.file, args.max_size).map_err(|error| about(&error))?;
    let parsed = formats::parse(&bytes, &args.options()).map_err(|error| {
        if let FormatError::Options(_) = error { Failure::usage(&error) } else { about(&error) }
    })?;
    let report = Report::new(&parsed, args.all);
    if json {
        target::print_json(&report, false)?;
    } else {
        target::written(report.print(&mut io::stdout().lock()))?;
    }
    if parsed.indicators.is_empty() {
        return Err(about(&"nothing in it would be loaded"));
    }
    Ok(())
}

impl Args {
    fn options(&self) -> Options {
        Options {
            format: self.format,
            csv: Csv {
                column: self.csv_column.clone(),
                port: self.csv_port.clone(),
                delimiter: self.csv_delimiter,
                comment: Some(self.csv_comment),
                header: !self.csv_no_header,
            },
            json: Json { path: self.json_path.clone().unwrap_or_default(), port: self.json_port.clone() },
            limits: Limits { bytes: self.max_size, entries: self.max_entries, ..Limits::default() },
            now: Some(Timestamp::now()),
        }
    }
}

/// Reads a file, not much further than to the limit: the parser says that there is more.
fn read(file: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let input: Box<dyn Read> =
        if file == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(file)?) };
    let mut bytes = Vec::new();
    input.take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What would be loaded, and what not.
#[derive(Debug, Serialize)]
struct Report<'p> {
    format: Format,
    #[serde(skip_serializing_if = "Option::is_none")]
    packing: Option<Packing>,
    /// Entries in all.
    entries: usize,
    /// Entries by kind.
    kinds: BTreeMap<&'static str, usize>,
    /// Entries by what the feed calls them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    malware: BTreeMap<&'p str, usize>,
    /// The first entries, or all.
    indicators: Vec<Indicator<'p>>,
    remarks: &'p BTreeMap<Remark, u64>,
    /// Problems in all.
    problem_count: u64,
    /// The first problems, or all that were kept.
    problems: &'p [Problem],
}

impl<'p> Report<'p> {
    /// Entries, problems and names that are shown if not all are.
    const SHOWN: usize = 10;

    fn new(parsed: &'p Parsed, all: bool) -> Self {
        let mut kinds = BTreeMap::new();
        let mut malware = BTreeMap::new();
        for Indicator { what, details } in parsed.indicators.iter() {
            *kinds.entry(what.kind()).or_default() += 1;
            if let Some(name) = details.malware {
                *malware.entry(name).or_default() += 1;
            }
        }
        let shown = if all { usize::MAX } else { Self::SHOWN };
        let kept = parsed.problems.len();
        Self {
            format: parsed.format,
            packing: parsed.packing,
            entries: parsed.indicators.len(),
            kinds,
            malware,
            indicators: parsed.indicators.iter().take(shown).collect(),
            remarks: &parsed.remarks,
            problem_count: parsed.problems_omitted.saturating_add(u64::try_from(kept).unwrap_or(u64::MAX)),
            problems: &parsed.problems[..kept.min(shown)],
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let packing = self.packing.map(|packing| format!(" in {packing}")).unwrap_or_default();
        writeln!(out, "format: {}{packing}", self.format)?;
        let kinds: Vec<_> = self.kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let kinds = if self.entries > 0 { format!(" ({})", kinds.join(", ")) } else { String::new() };
        writeln!(out, "would be loaded: {}{kinds}", self.entries)?;
        for indicator in &self.indicators {
            writeln!(out, "  {}", Line(indicator))?;
        }
        rest(out, self.entries, self.indicators.len())?;
        if !self.malware.is_empty() {
            let mut names: Vec<_> = self.malware.iter().collect();
            names.sort_unstable_by_key(|(name, count)| (std::cmp::Reverse(**count), **name));
            writeln!(out, "malware, category or reason: {}", names.len())?;
            for (name, count) in names.iter().take(Self::SHOWN) {
                writeln!(out, "  {count} {}", formats::shown(name))?;
            }
            rest(out, names.len(), names.len().min(Self::SHOWN))?;
        }
        for (remark, count) in self.remarks {
            writeln!(out, "note: {count} {remark}")?;
        }
        writeln!(out, "problems: {}", self.problem_count)?;
        for problem in self.problems {
            writeln!(out, "  {problem}")?;
        }
        rest(out, usize::try_from(self.problem_count).unwrap_or(usize::MAX), self.problems.len())
    }
}

/// Says how many there are beyond those that were shown.
fn rest(out: &mut impl Write, all: usize, shown: usize) -> io::Result<()> {
    if all > shown { writeln!(out, "  and {} more", all - shown) } else { Ok(()) }
}

/// An indicator on a line.
struct Line<'p>(&'p Indicator<'p>);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Indicator { what, details } = self.0;
        write!(f, "{what}")?;
        if let Some(name) = details.malware {
            write!(f, "  {}", formats::shown(name))?;
        }
        if let Some(status) = details.status {
            write!(f, "  {status}")?;
        }
        if let Some(reputation) = details.reputation {
            write!(f, "  reputation {reputation}")?;
        }
        let mut time = |word: &str, time: Option<Timestamp>| {
            time.map_or(Ok(()), |time| write!(f, "  {word} {}", time.strftime("%F")))
        };
        time("first seen", details.first_seen)?;
        time("last seen", details.last_seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Parsed {
        formats::parse(text.as_bytes(), &Options::default()).unwrap()
    }

    fn printed(text: &str, all: bool) -> String {
        let parsed = parsed(text);
        let mut out = Vec::new();
        Report::new(&parsed, all).print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const FEODO: &str = "first_seen_utc,dst_ip,dst_port,c2_status,last_online,malware\n\
                         2026-01-02 03:04:05,192.0.2.1,443,online,2026-02-03,Emotet\n\
                         2026-01-02 03:04:05,192.0.2.2,x,online,2026-02-03,Emotet\n";

    #[test]
    fn people_read_what_is_loaded_and_what_is_not() {
        let expected = "\
format: feodo-csv
would be loaded: 1 (addresses 1)
  192.0.2.1:443  Emotet  online  first seen 2026-01-02  last seen 2026-02-03
malware, category or reason: 1
  1 Emotet
problems: 1
  line 3: `2026-01-02 03:04:05,192.0.2.2,x,online,2026-02-03,Emotet`, expected a port from 1 to 65535
";
        assert_eq!(printed(FEODO, false), expected);
        assert_eq!(printed("# nothing\n", false), "format: lines\nwould be loaded: 0\nproblems: 0\n");
    }

    #[test]
    fn long_lists_are_cut_unless_all_is_asked_for() {
        let text = "192.0.2.1/24\n".repeat(12) + &"x\n".repeat(11);
        let short = printed(&text, false);
        assert!(short.contains("  and 2 more\nnote: 12 prefixes loaded"), "{short}");
        assert!(short.contains("problems: 11\n") && short.ends_with("  and 1 more\n"), "{short}");
        assert_eq!(printed(&text, true).lines().filter(|line| *line == "  192.0.2.0/24").count(), 12);
    }

    #[test]
    fn programs_read_the_same() {
        let parsed = parsed(FEODO);
        let report = serde_json::to_value(Report::new(&parsed, false)).unwrap();
        assert_eq!(
            report,
            serde_json::json!({
                "format": "feodo-csv",
                "entries": 1,
                "kinds": {"addresses": 1},
                "malware": {"Emotet": 1},
                "indicators": [{
                    "addresses": "192.0.2.1:443", "malware": "Emotet", "status": "online",
                    "first_seen": "2026-01-02T03:04:05Z", "last_seen": "2026-02-03T00:00:00Z",
                }],
                "remarks": {},
                "problem_count": 1,
                "problems": [{
                    "line": 3, "found": "2026-01-02 03:04:05,192.0.2.2,x,online,2026-02-03,Emotet",
                    "expected": "a port from 1 to 65535",
                }],
            })
        );
    }
}
