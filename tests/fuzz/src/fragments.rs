//! What the fragment table promises: what passes of one datagram never overlaps, and there are never more datagrams than
//! fit. Used by the fuzz target and by `dataplane/tests/corpus.rs`.
//!
//! The first byte of the input chooses capacity and behaviour when full; each six bytes after that are one fragment.

use std::{collections::HashMap, time::Duration};

use ravelin_config::types::{Exception, Protocol};
use ravelin_dataplane::{
    batch::Meta,
    clock::Timestamp,
    counters::WorkerCounters,
    handoff::WorkerId,
    parse::{Address, Fragment, FragmentKind, FragmentSettings, FragmentTable, Headers, Network},
    pipeline::Context,
    snapshot::Snapshot,
    verdict::Verdict,
};

/// Checks one sequence of fragments.
pub(crate) fn check(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let capacity = usize::from(first & 0x07);
    let full = if first & 0x80 == 0 { Exception::Drop } else { Exception::Forward };
    let fragments = FragmentSettings { timeout: Duration::from_secs(30), full };
    let snapshot = Snapshot { fragments, ..Snapshot::default() };
    let mut table = FragmentTable::new(capacity);
    let mut counters = WorkerCounters::new(0);
    let mut now = Timestamp::ZERO;
    let mut passed: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();

    for &[id, wait, o0, o1, l0, l1] in rest.as_chunks::<6>().0 {
        now = now + Duration::from_secs(u64::from(wait & 0x0f));
        let cx = Context { now, snapshot: &snapshot, worker: WorkerId(0), workers: 1 };
        if wait & 0x80 != 0 {
            table.expire(&cx, usize::from(wait >> 4 & 0x07), &mut counters);
        }
        let field = u16::from_be_bytes([o0, o1]);
        let fragment = Fragment {
            kind: if field >> 1 == 0 { FragmentKind::First } else { FragmentKind::Later },
            id: u32::from(id),
            offset: u32::from(field >> 1) * 8 % 65_536,
            length: u32::from(u16::from_be_bytes([l0, l1])),
            more: field & 1 != 0,
        };
        let headers = Headers {
            network: Network::Ipv4,
            source: Address::v4([192, 0, 2, 1]),
            destination: Address::v4([192, 0, 2, 2]),
            protocol: Protocol::UDP,
            destination_port: if fragment.kind == FragmentKind::First { 53 } else { 0 },
            fragment,
            ..Headers::EMPTY
        };
        let mut metas = [Meta { time: now, headers, ..Meta::default() }];
        let untracked = counters.fragments_untracked;
        table.run(&cx, &mut metas, &mut counters);

        assert!(counters.fragments_active <= capacity as u64);
        let [meta] = metas;
        if !meta.verdict.is_undecided() {
            assert!(matches!(meta.verdict, Verdict::Drop(_)) && !meta.resolved);
            continue;
        }
        assert!(meta.resolved && meta.headers.destination_port == 53);
        let piece = (fragment.offset, fragment.offset + fragment.length);
        match fragment.kind {
            FragmentKind::First if counters.fragments_untracked > untracked => {
                passed.remove(&fragment.id);
            }
            FragmentKind::First => {
                passed.insert(fragment.id, vec![piece]);
            }
            FragmentKind::Whole | FragmentKind::Later => {
                let pieces = passed.get_mut(&fragment.id).expect("its first fragment has passed");
                assert!(pieces.iter().all(|other| piece.1 <= other.0 || other.1 <= piece.0), "{piece:?}");
                pieces.push(piece);
            }
        }
    }
}
