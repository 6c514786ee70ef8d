use super::*;

fn receive(io: &mut MemoryIo, size: usize) -> Batch<MemoryFrame> {
    let mut batch = Batch::new(size);
    let now = io.now();
    let received = io.receive(now, &mut batch);
    assert_eq!(received, batch.len());
    batch
}

fn filled(mut io: MemoryIo, packets: u8) -> MemoryIo {
    for number in 0..packets {
        io.push(Timestamp::from_micros(u64::from(number)), PortId(number % 2), &[number; 60]);
    }
    io
}

#[test]
fn packets_come_in_order_with_their_port_time_and_length() {
    let mut io = filled(MemoryIo::new(), 5);
    let mut numbers = Vec::new();
    while !io.is_exhausted() {
        for (frame, meta) in receive(&mut io, 2).drain() {
            let number = frame.bytes()[0];
            assert_eq!((meta.port, meta.length), (PortId(number % 2), 60));
            assert_eq!(meta.time, Timestamp::from_micros(u64::from(number)));
            numbers.push(number);
            io.transmit(PortId(9), frame).unwrap();
        }
        io.flush();
    }
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let sent = io.sent();
    assert!(sent.iter().zip(0..).all(|((port, bytes), number)| *port == PortId(9) && bytes[0] == number));
    assert!(sent.len() == 5 && io.sent().is_empty());
}

#[test]
fn a_packet_is_never_before_its_batch_and_sleeping_takes_time() {
    let mut io = filled(MemoryIo::new(), 1);
    io.set_time(Timestamp::from_micros(50));
    assert_eq!(io.now(), Timestamp::from_micros(50));
    assert_eq!(receive(&mut io, 4).metas()[0].time, Timestamp::from_micros(50));
    io.wait(&Waker::new().unwrap(), Duration::from_micros(7));
    assert_eq!(io.now(), Timestamp::from_micros(57));
}

#[test]
fn a_full_port_refuses_until_the_batch_ends_and_the_others_do_not() {
    let mut io = filled(MemoryIo::new(), 8);
    io.limit_transmit(2);
    let mut refused = 0;
    for (frame, meta) in receive(&mut io, 8).drain() {
        if let Err((error, frame)) = io.transmit(meta.port, frame) {
            assert_eq!(error, TransmitError::Full);
            refused += 1;
            io.release(frame);
        }
    }
    assert_eq!((refused, io.sent().len()), (4, 4));
    io.flush();
    assert!(io.transmit(PortId(0), MemoryFrame::new(&[0; 60])).is_ok());
}

#[test]
fn ports_that_are_down_or_cannot_exist_refuse() {
    let mut io = MemoryIo::new();
    let send = |io: &mut MemoryIo, port| io.transmit(PortId(port), MemoryFrame::new(&[])).map_err(|(e, _)| e);
    io.take_down(PortId(1));
    io.take_down(PortId(63));
    assert_eq!(send(&mut io, 0), Ok(()));
    assert_eq!(send(&mut io, 1), Err(TransmitError::Down));
    assert_eq!(send(&mut io, 63), Err(TransmitError::Down));
    assert_eq!(send(&mut io, 64), Err(TransmitError::Down));
    assert_eq!(send(&mut io, 255), Err(TransmitError::Down));
    io.bring_up(PortId(1));
    assert_eq!(send(&mut io, 1), Ok(()));
    assert_eq!(send(&mut io, 63), Err(TransmitError::Down));
}

#[test]
fn a_looping_backend_conserves_its_frames() {
    let mut io = filled(MemoryIo::looping(), 10);
    io.limit_transmit(1);
    io.take_down(PortId(1));
    for turn in 0..1_000_u64 {
        io.set_time(Timestamp::from_micros(turn));
        let mut batch = receive(&mut io, 7);
        assert_eq!(batch.len(), 7);
        for (frame, meta) in batch.drain() {
            assert_eq!(meta.port, PortId(frame.bytes()[0] % 2), "a frame comes back to where it came from");
            assert!(meta.time >= Timestamp::from_micros(turn));
            // Port 0 is soon full, port 1 is down, and some are not even tried.
            if frame.bytes()[0] == 4 {
                io.release(frame);
            } else if let Err((_, frame)) = io.transmit(meta.port, frame) {
                io.release(frame);
            }
        }
        io.flush();
        assert_eq!(io.waiting(), 10);
        assert!(!io.is_exhausted());
    }
    let mut numbers: Vec<_> = receive(&mut io, 10).drain().map(|(frame, _)| frame.bytes()[0]).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<u8>>());
    assert!(io.sent().is_empty());
}
