//! What the programs of interfaces that route leave to the kernel: filled from here, one for all interfaces.
//!
//! Promises: what an address of the kernel's own is changes from one packet to the next; while there is no such list, nothing
//! but what concerns a link alone is the kernel's. Refuses: to know what a port is for. Read next: `bpf/ravelin.bpf.c`,
//! `is_for_kernel`.

use std::{collections::HashSet, net::IpAddr};

use libbpf_rs::{MapCore, MapFlags, MapHandle, Object};
use ravelin_config::types::Protocol;

use super::{AfXdpError, error::chain, program::map};
use crate::parse::Address;

/// The value of what is listed; it says nothing.
const LISTED: [u8; 1] = [1];
/// `OWN_MAX`
pub(super) const OWN: usize = 4096;
/// `FAILSAFES_MAX`
pub(super) const FAILSAFES: usize = 256;
/// `TUNNELS_MAX`
pub(super) const TUNNELS: usize = 16;

/// The maps, which the programs of all interfaces share.
pub(super) struct OwnMaps {
    own: MapHandle,
    failsafes: MapHandle,
    tunnels: MapHandle,
    called: MapHandle,
    answered: MapHandle,
    pieces: MapHandle,
}

impl OwnMaps {
    pub(super) fn of(object: &Object) -> Result<Self, libbpf_rs::Error> {
        Ok(Self {
            own: map(object, "own")?,
            failsafes: map(object, "failsafes")?,
            tunnels: map(object, "tunnels")?,
            called: map(object, "called")?,
            answered: map(object, "answered")?,
            pieces: map(object, "pieces")?,
        })
    }

    /// Every map.
    pub(super) fn all(&self) -> impl Iterator<Item = &MapHandle> {
        [&self.own, &self.failsafes, &self.tunnels, &self.called, &self.answered, &self.pieces].into_iter()
    }
}

/// A port at which the kernel is reached whatever the workers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailsafePort {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// Of the kernel's end.
    pub port: u16,
}

/// The kernel's own addresses, failsafe ports and the ports of tunnels, as the programs have them. Needs `CAP_BPF` where unprivileged processes may
/// not use BPF.
pub struct Own {
    addresses: Listed,
    failsafes: Listed,
    tunnels: Listed,
}

/// A map, and the keys that are in it.
struct Listed {
    map: MapHandle,
    keys: HashSet<Vec<u8>>,
    most: usize,
}

impl Own {
    pub(super) fn new(maps: &OwnMaps) -> Result<Self, AfXdpError> {
        let listed = |map: &MapHandle, most| {
            let map = map.try_into().map_err(|error| refused(&error))?;
            Ok(Listed { map, keys: HashSet::new(), most })
        };
        Ok(Self {
            addresses: listed(&maps.own, OWN)?,
            failsafes: listed(&maps.failsafes, FAILSAFES)?,
            tunnels: listed(&maps.tunnels, TUNNELS)?,
        })
    }

    /// Has these be the kernel's own addresses, and no others.
    ///
    /// # Errors
    /// What the kernel refused, or that they are too many; those that fit are in force.
    pub fn set_addresses(&mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<(), AfXdpError> {
        self.addresses.set(addresses.into_iter().map(|address| Address::from(address).0.to_vec()).collect())
    }

    /// Has these be the failsafe ports, and no others.
    ///
    /// # Errors
    /// As [`Own::set_addresses`].
    pub fn set_failsafes(
        &mut self,
        failsafes: impl IntoIterator<Item = FailsafePort>,
    ) -> Result<(), AfXdpError> {
        let key = |FailsafePort { protocol, port }| {
            [u32::from(protocol.0), u32::from(port)].into_iter().flat_map(u32::to_ne_bytes).collect()
        };
        self.failsafes.set(failsafes.into_iter().map(key).collect())
    }

    /// Has these be the UDP ports at which tunnels end, and no others: whole packets to them are the workers', fragments the
    /// kernel's.
    ///
    /// # Errors
    /// As [`Own::set_addresses`].
    pub fn set_tunnels(&mut self, ports: impl IntoIterator<Item = u16>) -> Result<(), AfXdpError> {
        self.tunnels.set(ports.into_iter().map(|port| u32::from(port).to_ne_bytes().to_vec()).collect())
    }
}

impl Listed {
    fn set(&mut self, wanted: HashSet<Vec<u8>>) -> Result<(), AfXdpError> {
        for gone in self.keys.extract_if(|key| !wanted.contains(key)) {
            self.map.delete(&gone).map_err(|error| refused(&error))?;
        }
        for key in wanted {
            if self.keys.contains(&key) {
                continue;
            }
            if self.keys.len() >= self.most {
                let reason = format!("there is room for {} only", self.most);
                return Err(AfXdpError::Own { reason });
            }
            self.map.update(&key, &LISTED, MapFlags::ANY).map_err(|error| refused(&error))?;
            self.keys.insert(key);
        }
        Ok(())
    }
}

fn refused(error: &libbpf_rs::Error) -> AfXdpError {
    AfXdpError::Own { reason: chain(error) }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own")
            .field("addresses", &self.addresses.keys.len())
            .field("failsafes", &self.failsafes.keys.len())
            .field("tunnels", &self.tunnels.keys.len())
            .finish_non_exhaustive()
    }
}
