//! From a checked configuration to what the packet path runs on.
//!
//! [`snapshot`] lowers a `Config` into a `Snapshot`: interface names become port numbers ([`Ports`]), policies become
//! classifiers ([`crate::policy`]), words become the packet path's own enums. Promises: a function of its arguments alone; an
//! error leaves everything that runs as it was; a rule keeps its number for the life of the process. Refuses: to ask the
//! system anything, which is the business of whoever fills in [`PortFacts`]. Read next: `ports.rs`.

mod lower;
mod nat;
mod ports;
#[cfg(test)]
mod tests;

pub use lower::{TableSizes, idle, snapshot};
pub use nat::nat;
pub use ports::{HOST_PAIR, PortFacts, Ports, host_port};

use crate::capture::trigger::TriggerError;
use ravelin_config::types::IfName;
use ravelin_dataplane::{io::PortId, policy::Trace};

/// Why a configuration that is right in itself cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// More interfaces than the packet path can number.
    #[error("the configuration has {interfaces} interfaces, at most {} are possible", PortId::MAX_PORTS)]
    TooManyInterfaces {
        /// How many there are.
        interfaces: usize,
    },
    /// A bridge names an interface that was not there when the process started.
    #[error("the interface `{interface}` was not part of the configuration at start: restart to add it")]
    UnknownInterface {
        /// Its name.
        interface: IfName,
    },
    /// The ring of captures cannot be as it should.
    #[error("[capture.ring]: {0}")]
    Ring(String),
    /// What triggers captures cannot.
    #[error("[capture.trigger]: {0}")]
    Trigger(#[from] TriggerError),
    /// An interface of WireGuard cannot be as it should.
    #[error("[[wireguard]] `{interface}`: {problem}")]
    Wireguard {
        /// Its name.
        interface: IfName,
        /// What is wrong.
        problem: String,
    },
    /// More tiers with policies for one direction than a decision can tell.
    #[error("{tiers} tiers have policies, at most {} are possible", Trace::MAX_TIERS)]
    TooManyTiers {
        /// How many there are.
        tiers: usize,
    },
    /// More policies and profiles than have a place in one order.
    #[error("{policies} policies and profiles are too many to be put in one order")]
    TooManyPolicies {
        /// How many there are.
        policies: usize,
    },
    /// Every rule number was given since the process started.
    #[error("no numbers are left for the rules of `{policy}`: restart to forget those of old rules")]
    TooManyRules {
        /// The first policy without numbers.
        policy: String,
    },
}
