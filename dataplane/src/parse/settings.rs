use std::time::Duration;

use ravelin_config::types::Exception;

/// What is done with fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentSettings {
    /// How long a datagram's fragments are waited for, from its first fragment.
    pub timeout: Duration,
    /// What happens to a first fragment when the table is full. `Forward` judges it by its own ports and lets its
    /// later fragments, which cannot be judged, be dropped as orphans.
    pub full: Exception,
}

impl Default for FragmentSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), full: Exception::Drop }
    }
}
