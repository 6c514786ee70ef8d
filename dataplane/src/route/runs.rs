/// From here to the next, addresses have one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: u128,
    pub(super) value: u16,
}

/// Addresses that have an answer, unless something within them has another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) value: u16,
}

/// The runs of a stretch, in which prefixes lie. These come sorted by their first address, the longer behind the shorter.
pub(super) fn runs(within: Stretch, prefixes: impl Iterator<Item = Stretch>) -> Vec<Run> {
    let mut runs = Runs { runs: vec![Run { start: within.first, value: within.value }], last: within.last };
    // What the address lies in, from the shortest to the longest.
    let mut open = vec![within];
    for prefix in prefixes {
        runs.close(&mut open, prefix.first);
        runs.begin(prefix.first, prefix.value);
        open.push(prefix);
    }
    while let Some(ended) = open.pop() {
        runs.resume(&open, ended);
    }
    runs.runs
}

struct Runs {
    runs: Vec<Run>,
    last: u128,
}

impl Runs {
    /// Ends what lies before `next`.
    fn close(&mut self, open: &mut Vec<Stretch>, next: u128) {
        while let Some(ended) = open.pop_if(|top| top.last < next) {
            self.resume(open, ended);
        }
    }

    /// Behind what has ended, what it lies in goes on.
    fn resume(&mut self, open: &[Stretch], ended: Stretch) {
        if ended.last < self.last
            && let Some(outer) = open.last()
        {
            self.begin(ended.last + 1, outer.value);
        }
    }

    fn begin(&mut self, start: u128, value: u16) {
        self.runs.pop_if(|run| run.start == start);
        if self.runs.last().is_none_or(|run| run.value != value) {
            self.runs.push(Run { start, value });
        }
    }
}
