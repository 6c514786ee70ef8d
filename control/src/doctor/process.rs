//! The process that asks: what it may do. What it may, `ravelin run` may when it is started in the same way.

use rustix::process::{Resource, getrlimit};

use super::{Finding, system::bytes};
use crate::supervisor::{
    ports::{self, PacketMemory, PortsError},
    privileges,
};

pub(super) struct Facts {
    /// Why this program cannot use interfaces, if it cannot.
    pub refusal: Option<PortsError>,
    /// Bytes that it may lock; `None` if there is no limit.
    pub limit: Option<u64>,
    /// Whether the limit does not hold for it, or it can raise it: `ravelin run` does.
    pub exempt: bool,
    /// Bytes of packet memory, which the kernel counts as locked.
    pub needed: Option<u64>,
}

impl Facts {
    pub(super) fn read(packets: Option<PacketMemory>) -> Self {
        let limit = getrlimit(Resource::Memlock);
        let privileges = privileges::effective().unwrap_or_default();
        let has = |wanted: &str| privileges.iter().any(|name| name == wanted);
        Self {
            refusal: ports::check().err(),
            limit: limit.current,
            exempt: limit.maximum.is_none() || has("CAP_IPC_LOCK") || has("CAP_SYS_RESOURCE"),
            needed: packets.map(|packets| packets.bytes),
        }
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![match &facts.refusal {
        None => Finding::ok("capabilities", "all that taking interfaces over needs"),
        Some(PortsError::NotBuilt) => Finding::problem(
            "built",
            PortsError::NotBuilt,
            "a program with the feature `af-xdp`, which is on unless it was left out",
            "cargo build --release -p ravelin-control",
        ),
        Some(PortsError::Privileges(missing)) => Finding::problem(
            "capabilities",
            format_args!("this process lacks {}", missing.join(", ")),
            "a process that has them",
            "sudo ravelin doctor, and ravelin run as root or as the systemd service",
        ),
        Some(refusal @ (PortsError::InUse { .. } | PortsError::Refused(_))) => Finding::problem(
            "capabilities",
            refusal,
            "a system that says what a process may do",
            "mount /proc",
        ),
    }];
    if let Some(needed) = facts.needed {
        findings.push(locked(facts, needed));
    }
    findings
}

fn locked(facts: &Facts, needed: u64) -> Finding {
    match facts.limit {
        Some(limit) if limit < needed && !facts.exempt => Finding::problem(
            "memlock",
            format_args!("this process may lock {} of memory", bytes(limit)),
            format_args!("{}, the packet memory", bytes(needed)),
            "LimitMEMLOCK=infinity in the systemd unit, or ulimit -l unlimited before `ravelin run`",
        ),
        Some(_) | None => {
            Finding::ok("memlock", format_args!("{} of packet memory may be locked", bytes(needed)))
        }
    }
}
