use std::fmt;

use ravelin_dataplane::capture::{Program, ProgramError, RawInstruction};

/// Why an expression selects nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpressionError {
    /// libpcap does not understand it; in its words.
    Refused(String),
    /// libpcap has made a program of it that is not run here. That is a mistake, ours or its.
    Program(ProgramError),
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "{why}; it is written as for tcpdump, see pcap-filter(7)"),
            Self::Program(error) => write!(f, "libpcap's program cannot be run: {error}"),
        }
    }
}

impl std::error::Error for ExpressionError {}

/// Makes a program of an expression of pcap-filter(7), as tcpdump does for Ethernet. An empty one selects everything. Names of hosts and
/// networks are looked up now, once.
///
/// # Errors
/// What libpcap says about it.
pub fn compile(expression: &str) -> Result<Program, ExpressionError> {
    let refused = |error: pcap::Error| ExpressionError::Refused(error.to_string());
    // A text with a NUL ends there for libpcap.
    if expression.contains('\0') {
        return Err(ExpressionError::Refused("there is a NUL in it".to_owned()));
    }
    let handle = pcap::Capture::dead(pcap::Linktype::ETHERNET).map_err(refused)?;
    let program = handle.compile(expression, true).map_err(refused)?;
    // Four numbers is all that this library tells of an instruction.
    let instructions = program.get_instructions().iter().map(|instruction| instruction.to_string().parse());
    let instructions: Result<Vec<RawInstruction>, ()> = instructions.collect();
    let instructions =
        instructions.map_err(|()| ExpressionError::Refused("its program cannot be read".to_owned()))?;
    Program::new(&instructions).map_err(ExpressionError::Program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_those_of_tcpdump() {
        for good in [
            "",
            "tcp port 80",
            "ip6 and not icmp6",
            "vlan 7 and host 10.0.0.1",
            "ether[0] & 1 != 0",
            "len > 100",
        ] {
            assert!(compile(good).is_ok(), "{good}");
        }
        for (bad, says) in [
            ("tcp prot 80", "syntax error"),
            ("host 10.0.0.300", "invalid"),
            ("port 99999", "illegal port number"),
            ("tcp\0 or", "NUL"),
            ("host 1.2.3.4 and", "syntax error"),
            // Nothing could ever match.
            ("tcp and udp and ip6 and arp", "expression rejects all packets"),
        ] {
            let error = compile(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
