use ravelin_config::{Ring, Trigger};
use ravelin_dataplane::capture::{CapturePlan, Direction, Fates, Point, Selection};

use super::{CaptureSpec, Names, SpecError, compile};

/// The number of the ring among captures.
pub const RING: u8 = 0;

/// What is captured now.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    ring: Option<Ring>,
    captures: Vec<(u8, CaptureSpec)>,
    verdict_changes: bool,
}

impl Captures {
    /// With the ring of a configuration, if it has one.
    ///
    /// # Errors
    /// What is wrong with its filter.
    pub fn new(ring: &Ring) -> Result<Self, SpecError> {
        ring.filter.as_deref().map(compile).transpose()?;
        Ok(Self { ring: ring.is_there().then(|| ring.clone()), captures: Vec::new(), verdict_changes: false })
    }

    /// With what triggers captures.
    pub fn follow(&mut self, trigger: &Trigger) {
        self.verdict_changes = trigger.verdict_changes;
    }

    /// Adds a capture under a number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, number: u8, spec: CaptureSpec, names: Names<'_>) -> Result<(), SpecError> {
        spec.check(names)?;
        self.captures.push((number, spec));
        Ok(())
    }

    /// Takes a capture away.
    pub fn remove(&mut self, number: u8) {
        self.captures.retain(|(other, _)| *other != number);
    }

    /// Whether a change of endpoints or rules changes what is captured.
    pub fn follow_names(&self) -> bool {
        self.captures.iter().any(|(_, spec)| spec.has_names())
    }

    /// What workers ask, as endpoints and rules are now.
    pub fn plan(&self, names: Names<'_>) -> CapturePlan {
        // What is wrong was refused when it was added. Names that are gone since are those of nothing.
        let ring = self.ring.iter().filter_map(|ring| ring_selection(ring).ok());
        let captures = self.captures.iter().filter_map(|(number, spec)| spec.selection(*number, names).ok());
        let mut plan = CapturePlan::new(ring.chain(captures).collect());
        plan.verdict_changes = self.verdict_changes;
        plan
    }
}

fn ring_selection(ring: &Ring) -> Result<Selection, SpecError> {
    Ok(Selection {
        capture: RING,
        point: Point::Received,
        decided_by: None,
        filter: ring.filter.as_deref().map(compile).transpose()?.map(Into::into),
        addresses: None,
        direction: Direction::Both,
        fates: Fates::ANY,
        sample: 1,
        snap: ring.snaplen,
    })
}
