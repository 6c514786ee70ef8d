//! From a checked configuration to what the packet path runs on.
//!
//! [`snapshot`] lowers a `Config` into a `Snapshot`: interface names become port numbers ([`Ports`]), rule names become
//! rule numbers ([`RuleNames`]), words become the packet path's own enums. Promises: a function of its arguments alone; an
//! error leaves everything that runs as it was; a rule name keeps its number for the life of the process. Refuses: to ask the
//! system anything, which is the business of whoever fills in [`PortFacts`]. Read next: `ports.rs`.

mod lower;
mod names;
mod ports;
#[cfg(test)]
mod tests;

pub use lower::{TableSizes, idle, snapshot};
pub use names::{RuleNames, RuleNamesReader};
pub use ports::{PortFacts, Ports};

use ravelin_config::types::{IfName, RuleName};
use ravelin_dataplane::io::PortId;

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
    /// Every rule number is taken by a name that was in force since the process started.
    #[error(
        "no number is left for the rule `{rule}`: {} rule names were used since the process started; restart to forget old ones",
        u16::MAX
    )]
    RuleNamesExhausted {
        /// The first rule without a number.
        rule: RuleName,
    },
}
