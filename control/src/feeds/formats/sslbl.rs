//! SSLBL as abuse.ch publishes it: addresses of command servers (Firstseen,DstIP,DstPort), JA3 fingerprints
//! (ja3_md5,Firstseen,Lastseen,Listingreason) and certificates (Listingdate,SHA1,Listingreason). Which one it is each record says.

use super::{Collector, FormatError, Place, collect::with_port, csv, entry, time::time};
use crate::feeds::{Details, What};

pub(super) fn parse(text: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    csv::records(text, b',', Some(b'#'), collector, |collector, place, line, record| {
        let fields: Option<Vec<&str>> = record.iter().map(|field| csv::text_of(field)).collect();
        match fields.as_deref() {
            Some(["Firstseen" | "ja3_md5" | "Listingdate", ..]) => Ok(()),
            Some([first_seen, named, behind]) => {
                let first_seen = time(first_seen);
                if let Some(hash) = entry::fingerprint(named) {
                    let details = Details { malware: Some(behind), first_seen, ..Details::default() };
                    return collector.push(What::Certificate(hash), &details);
                }
                let details = Details { first_seen, ..Details::default() };
                collector.read(place, line, with_port(named, behind), &details)
            }
            Some([hash, first_seen, last_seen, reason]) => {
                let Some(hash) = entry::fingerprint(hash) else { return unknown(place, line, collector) };
                let details = Details {
                    malware: Some(reason),
                    first_seen: time(first_seen),
                    last_seen: time(last_seen),
                    ..Details::default()
                };
                collector.push(What::Ja3(hash), &details)
            }
            Some(_) | None => unknown(place, line, collector),
        }
    })
}

fn unknown(place: Place, line: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    collector.problem(place, line, "time,address,port or ja3,first,last,reason or time,sha1,reason");
    Ok(())
}
