use crate::schema::{
    parser::{cores, integer, word},
    section,
    word::words,
};

words! {
    /// What a worker does when there is nothing to do.
    pub enum Idle {
        /// Asks again at once: the lowest latency, a whole core in use.
        Spin = "spin",
        /// Asks again for a short while, then sleeps until a packet comes.
        Adaptive = "adaptive",
        /// Sleeps at once until a packet comes: the least processor time.
        Sleep = "sleep",
    }
}

section! {
    /// The threads that handle packets.
    pub struct Workers in "workers" {
        /// One pinned worker for each core listed. Empty: one worker, on the last core that the process may
        /// use.
        cores: Vec<usize> = Vec::new() => cores(), Restart;
        /// Packets that a worker takes at once.
        batch: usize = 64 => integer(1..=256), Restart;
        /// What a worker does when there is nothing to do: ask again at once (`spin`), for a short while
        /// (`adaptive`), or sleep until a packet comes (`sleep`).
        idle: Idle = Idle::Adaptive => word(), Restart;
        /// Packets that may wait for a worker because another worker received them.
        handoff: usize = 4096 => integer(64..=1_048_576), Restart;
    }
}
