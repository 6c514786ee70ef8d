//! What of this machine helps Ravelin or hinders it, and how to change that: `ravelin doctor`.
//!
//! A group of findings is a file: what it has to know of the system is its `Facts`, `read` asks the system for them, and
//! `judge` makes findings of them, without asking anybody. The groups, as they are shown: `kernel.rs`, `process.rs`,
//! `processors.rs`, `memory.rs`, `network.rs`, `disk.rs`, and `interface.rs` for each interface.
//!
//! Promises: every finding was read from this machine, or is not there; whatever is not well comes with what is wanted and
//! how to get there; nothing is changed. Refuses: to guess what a kernel or a driver could do that does not say so.
//! Read next: `finding.rs`, `kernel.rs` as an example.

mod disk;
mod finding;
mod interface;
mod kernel;
mod memory;
mod network;
mod process;
mod processors;
mod system;
#[cfg(test)]
mod tests;

use std::os::unix::net::UnixStream;

use ravelin_config::{Config, InterfaceMode};

pub use self::finding::{Finding, Level, Section};
use crate::supervisor::{crew, ports};

/// Looks at the machine, for the interfaces of `config`, or for all that it has if there are none in it.
///
/// # Errors
/// If the system does not say which interfaces there are.
pub fn examine(config: &Config) -> std::io::Result<Vec<Section>> {
    let names: Vec<String> = if config.interfaces.is_empty() {
        system::interfaces()?
    } else {
        config.interfaces.iter().map(|interface| interface.name.to_string()).collect()
    };
    let allowed = crew::allowed_cores();
    let cores = if config.workers.cores.is_empty() {
        allowed.last().copied().into_iter().collect()
    } else {
        config.workers.cores.clone()
    };
    let packets = ports::packet_memory(config, &names, cores.len()).ok();
    // How large a packet may be does not depend on whether all interfaces are there.
    let max_frame = ports::packet_memory(config, &[], cores.len()).ok().map(|memory| memory.max_frame);
    let running = UnixStream::connect(&config.control.socket).is_ok();

    let mut sections = vec![
        Section::new("kernel", kernel::judge(&kernel::Facts::read())),
        Section::new("process", process::judge(&process::Facts::read(packets))),
        Section::new("processors", processors::judge(&processors::Facts::read(cores.clone(), allowed))),
        Section::new("memory", memory::judge(&memory::Facts::read(config, cores.len(), packets, running))),
        Section::new("network", network::judge(&network::Facts::read(routed(config)))),
        Section::new("disk", disk::judge(&disk::Facts::read(&config.capture))),
    ];
    for name in names {
        let facts = interface::Facts::read(config, &name, cores.len(), max_frame);
        sections.push(Section::new(&format!("interface {name}"), interface::judge(&facts)));
    }
    sections.retain(|section| !section.findings.is_empty());
    Ok(sections)
}

/// The interfaces between which Ravelin routes.
fn routed(config: &Config) -> Vec<String> {
    let is_routed = |mode| match mode {
        InterfaceMode::Route => true,
        InterfaceMode::Bridge | InterfaceMode::Monitor => false,
    };
    let routed = config.interfaces.iter().filter(|interface| is_routed(interface.mode));
    routed.map(|interface| interface.name.to_string()).collect()
}
