use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use ravelin_dataplane::{
    clock::Timestamp,
    flow::{RawRecord, RecordLost, RecordSink},
};

use super::{
    super::{OrderedSink, RecordRing, RingSink},
    START, encoder, raw, raw_at,
};

#[test]
fn a_full_ring_loses_and_says_so() {
    let ring = Arc::new(RecordRing::new(2));
    let mut sink = RingSink::new(Arc::clone(&ring));
    let record = raw(("10.0.0.1", 1), ("10.0.0.2", 2));
    assert_eq!([(); 3].map(|()| sink.push(&record)), [Ok(()), Ok(()), Err(RecordLost)]);
    assert_eq!(ring.len(), 2);
    assert_eq!(RingSink::discard().push(&record), Ok(()));
}

/// Bytes that a thread writes and a test reads.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Records that end at various times, some together.
fn records() -> Vec<RawRecord> {
    (0..500_u64)
        .map(|n| {
            let source = ("10.0.0.1", u16::try_from(n % 400).unwrap());
            let first = Timestamp::from_nanos(START) - Duration::from_micros(n % 3);
            let ended = Timestamp::from_nanos(START) + Duration::from_millis(n * 7_919 % 4_000 * 10);
            raw_at(source, ("10.0.0.2", 2), first, ended)
        })
        .collect()
}

#[test]
fn the_order_does_not_depend_on_when_records_come() {
    let mut outputs = [1, 5, 499].map(|step| {
        let mut records = records();
        // Each run gives the records of one second in another order.
        let second = |record: &RawRecord| record.read().ended.as_secs();
        let port = |record: &RawRecord| record.read().key.end(record.read().initiator).1;
        records.sort_by_key(|record| (second(record), port(record).wrapping_mul(step)));
        let out = Shared::default();
        let mut sink = OrderedSink::new(out.clone(), encoder()).unwrap();
        for record in records {
            sink.push(&record).unwrap();
            sink.release(Timestamp::from_nanos(second(&record) * 1_000_000_000));
        }
        assert_eq!(sink.finish().unwrap(), 500);
        assert!(sink.finish().is_err(), "only once");
        std::mem::take(&mut *out.0.lock().unwrap())
    });
    outputs.sort();
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[1], outputs[2]);
}

#[test]
fn a_failed_write_is_reported_and_nothing_is_taken_after_it() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = OrderedSink::new(Full, encoder()).unwrap();
    let record = raw(("10.0.0.1", 1), ("10.0.0.2", 2));
    while sink.push(&record).is_ok() {
        sink.release(record.read().ended + Duration::from_secs(10));
    }
    assert!(sink.has_failed());
    assert_eq!(sink.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
}
