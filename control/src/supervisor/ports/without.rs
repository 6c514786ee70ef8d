//! A program that was built without AF_XDP.

use std::path::Path;

use ravelin_config::Config;
use ravelin_dataplane::io::memory::MemoryIo;

use super::{Opened, Outcome, PacketMemory, PortsError, Survey};

/// Says that there is no AF_XDP in this program.
///
/// # Errors
/// Always [`PortsError::NotBuilt`].
pub fn check() -> Result<(), PortsError> {
    Err(PortsError::NotBuilt)
}

/// Says that there is no AF_XDP in this program.
///
/// # Errors
/// Always [`PortsError::NotBuilt`].
pub fn open(_config: &Config, _workers: usize, _spare: &[usize]) -> Result<Opened<MemoryIo>, PortsError> {
    Err(PortsError::NotBuilt)
}

/// Says that there is no AF_XDP in this program.
///
/// # Errors
/// Always [`PortsError::NotBuilt`].
pub fn detach(_state_file: &Path, _only: &[String]) -> Result<Outcome, PortsError> {
    Err(PortsError::NotBuilt)
}

/// Says that there is no AF_XDP in this program.
///
/// # Errors
/// Always [`PortsError::NotBuilt`].
pub fn survey(_interface: &str) -> Result<Survey, PortsError> {
    Err(PortsError::NotBuilt)
}

/// Says that there is no AF_XDP in this program.
///
/// # Errors
/// Always [`PortsError::NotBuilt`].
pub fn packet_memory(
    _config: &Config,
    _interfaces: &[String],
    _workers: usize,
) -> Result<PacketMemory, PortsError> {
    Err(PortsError::NotBuilt)
}
