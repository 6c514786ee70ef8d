//! What the kernel knows of a network interface of this namespace. Asked at start, never per packet.

use std::{fs, io};

use super::{AfXdpError, ioctl::Device};

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its number in this network namespace.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Largest IP packet in bytes, without the Ethernet header.
    pub mtu: u32,
    /// The driver's name, empty if it does not say.
    pub driver: String,
    /// Receive queues in use.
    pub queues: u32,
}

impl Link {
    /// Asks for an interface by name.
    ///
    /// # Errors
    /// If there is no such interface here.
    pub fn find(name: &str) -> Result<Self, AfXdpError> {
        Self::ask(name).map_err(|source| AfXdpError::interface(name, source))
    }

    fn ask(name: &str) -> io::Result<Self> {
        let device = Device::open(name)?;
        Ok(Self {
            name: name.to_owned(),
            index: device.index()?,
            mac: device.mac()?,
            mtu: device.mtu()?,
            driver: device.driver().unwrap_or_default(),
            // A driver that cannot be asked has one queue as far as AF_XDP is concerned.
            queues: device.queues().unwrap_or(1).max(1),
        })
    }

    /// The names of all interfaces of this thread's network namespace.
    ///
    /// # Errors
    /// If procfs is not mounted. It, unlike sysfs, follows the namespace of the reader wherever it was mounted.
    pub fn names() -> io::Result<Vec<String>> {
        let table = fs::read_to_string("/proc/thread-self/net/dev")?;
        let lines = table.lines().skip(2);
        Ok(lines.filter_map(|line| line.rsplit_once(':')).map(|(name, _)| name.trim().to_owned()).collect())
    }
}
