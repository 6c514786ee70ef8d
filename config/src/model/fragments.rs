use super::flow::timeout;
use crate::schema::{
    parser::{integer, word},
    section,
};
use crate::types::Exception;
use std::time::Duration;

section! {
    /// Datagrams that arrive in fragments: later fragments follow the verdict of the first.
    pub struct Fragments in "fragments" {
        /// Fragmented datagrams that a worker remembers.
        capacity: usize = 4096 => integer(16..=1_048_576), Restart;
        /// How long a datagram is remembered.
        #[serde(serialize_with = "crate::duration::serialize")]
        timeout: Duration = Duration::from_secs(30) => timeout(), Live;
        /// What happens to a fragment that cannot be remembered: it is dropped (`drop`), or judged by the
        /// rules alone (`forward`).
        full: Exception = Exception::Drop => word(), Live;
    }
}
