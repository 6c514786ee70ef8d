//! FEODO Tracker as abuse.ch publishes it: CSV in its present and earlier columns, and JSON. Its plain list is a list of lines.

use std::borrow::Cow;

use super::{Collector, FormatError, Place, collect::with_port, csv, json, time::time};
use crate::feeds::{Details, Status};

/// The columns of interest.
#[derive(Clone, Copy, Debug)]
struct Columns {
    first_seen: usize,
    address: usize,
    port: usize,
    status: Option<usize>,
    last_seen: usize,
    malware: usize,
}

/// The columns if no header names them: six since 2021, five before that.
const SIX: Columns =
    Columns { first_seen: 0, address: 1, port: 2, status: Some(3), last_seen: 4, malware: 5 };
const FIVE: Columns = Columns { first_seen: 0, address: 1, port: 2, status: None, last_seen: 3, malware: 4 };

pub(super) fn parse_csv(text: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let mut named = None;
    csv::records(text, b',', Some(b'#'), collector, |collector, place, line, record| {
        if let Some(header) = header(record) {
            named = Some(header);
            return Ok(());
        }
        let columns = match (named, record.len()) {
            (Some(columns), _) => columns,
            (None, 6) => SIX,
            (None, 5) => FIVE,
            (None, _) => {
                collector.problem(
                    place,
                    line,
                    "first_seen_utc,dst_ip,dst_port,c2_status,last_online,malware",
                );
                return Ok(());
            }
        };
        let field = |at: usize| record.get(at).and_then(|field| csv::text_of(field));
        let (Some(address), Some(port)) = (field(columns.address), field(columns.port)) else {
            collector.problem(place, line, "a record with dst_ip and dst_port, in UTF-8");
            return Ok(());
        };
        let details = details(
            field(columns.malware),
            field(columns.first_seen),
            field(columns.last_seen),
            columns.status.and_then(field),
        );
        collector.read(place, line, with_port(address, port), &details)
    })
}

/// The columns that a record names, if it is a header.
fn header(record: &[Cow<'_, [u8]>]) -> Option<Columns> {
    let at = |names: &[&str]| {
        let named =
            |field: &Cow<'_, [u8]>| names.iter().any(|name| field.eq_ignore_ascii_case(name.as_bytes()));
        record.iter().position(named)
    };
    // A column that is not there has a number that no record reaches.
    let or_none = |at: Option<usize>| at.unwrap_or(usize::MAX);
    Some(Columns {
        address: at(&["dst_ip", "DstIP"])?,
        port: at(&["dst_port", "DstPort"])?,
        first_seen: or_none(at(&["first_seen_utc", "Firstseen"])),
        last_seen: or_none(at(&["last_online", "LastOnline"])),
        malware: or_none(at(&["malware"])),
        status: at(&["c2_status"]),
    })
}

pub(super) fn parse_json(text: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let list = json::steps(&["*"]);
    let fields = ["ip_address", "port", "malware", "first_seen", "last_online", "status"];
    json::records(text, &[&list], &fields, |_, number, record| {
        let place = Place::Entry(number);
        let [address, port, malware, first_seen, last_seen, status] = record else { return Ok(()) };
        let (Some(address), Some(port)) = (address, port) else {
            let found = address.as_deref().unwrap_or_default();
            collector.problem(place, found.as_bytes(), "an object with ip_address and port");
            return Ok(());
        };
        let details =
            details(malware.as_deref(), first_seen.as_deref(), last_seen.as_deref(), status.as_deref());
        collector.entry_at(place, address, Some(port), &details)
    })
}

/// What a feed says of an indicator, from its words.
fn details<'a>(
    malware: Option<&'a str>,
    first_seen: Option<&str>,
    last_seen: Option<&str>,
    status: Option<&str>,
) -> Details<'a> {
    Details {
        malware: malware.filter(|name| !name.is_empty()),
        first_seen: first_seen.and_then(time),
        last_seen: last_seen.and_then(time),
        status: match status {
            Some("online") => Some(Status::Online),
            Some("offline") => Some(Status::Offline),
            Some(_) | None => None,
        },
        reputation: None,
    }
}
