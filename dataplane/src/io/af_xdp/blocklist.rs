//! The list of sources that the XDP programs drop: filled from here, one for all interfaces.
//!
//! Promises: a change never makes a worker wait, and while it is made nothing is dropped that neither the old list nor the new
//! one says; after a failure nothing is dropped at all. Refuses: to know why a prefix is in the list. Read next:
//! `bpf/ravelin.bpf.c`, which has the same layouts.

use libbpf_rs::{ErrorKind, MapCore, MapFlags, MapHandle, Object};
use ravelin_config::types::IpNet;

use super::{AfXdpError, error::chain, program::map};
use crate::io::blocklist::{BlockChange, PATTERNS, Pattern, Spared};

/// The value of a prefix in the list; it says nothing.
const LISTED: [u8; 1] = [1];
/// `ANY_PROTOCOL`
const ANY_PROTOCOL: u32 = 256;
/// Prefixes that the kernel is told in one call.
const BATCH: usize = 4096;

/// The maps behind the list, which the programs of all interfaces share.
pub(super) struct Maps {
    /// By version of IP.
    blocked: [MapHandle; 2],
    spared: [MapHandle; 2],
    blocking: MapHandle,
}

impl Maps {
    pub(super) fn of(object: &Object) -> Result<Self, libbpf_rs::Error> {
        Ok(Self {
            blocked: [map(object, "blocked_v4")?, map(object, "blocked_v6")?],
            spared: [map(object, "spared_v4")?, map(object, "spared_v6")?],
            blocking: map(object, "blocking")?,
        })
    }

    /// Every map.
    pub(super) fn all(&self) -> impl Iterator<Item = &MapHandle> {
        self.blocked.iter().chain(&self.spared).chain([&self.blocking])
    }

    fn duplicate(&self) -> Result<Self, libbpf_rs::Error> {
        let both = |[v4, v6]: &[MapHandle; 2]| Ok::<_, libbpf_rs::Error>([v4.try_into()?, v6.try_into()?]);
        Ok(Self {
            blocked: both(&self.blocked)?,
            spared: both(&self.spared)?,
            blocking: (&self.blocking).try_into()?,
        })
    }
}

/// The list of sources that the programs of all interfaces drop. Needs `CAP_BPF` where unprivileged processes may not use BPF.
pub struct Blocklist {
    maps: Maps,
    spared: Spared,
}

impl Blocklist {
    pub(super) fn new(maps: &Maps) -> Result<Self, AfXdpError> {
        let maps = maps.duplicate().map_err(|error| AfXdpError::Blocklist { reason: chain(&error) })?;
        Ok(Self { maps, spared: Spared::default() })
    }

    /// Makes a change. Takes about a microsecond for each prefix.
    ///
    /// # Errors
    /// What the kernel refused. Then the list is empty.
    pub fn change(&mut self, change: &BlockChange) -> Result<(), AfXdpError> {
        self.try_change(change).map_err(|error| {
            let reason = chain(&error);
            match self.clear() {
                Ok(()) => AfXdpError::Blocklist { reason },
                Err(error) => AfXdpError::Blocklist { reason: format!("{reason}; {}", chain(&error)) },
            }
        })
    }

    fn try_change(&mut self, change: &BlockChange) -> Result<(), libbpf_rs::Error> {
        if let Some(spared) = &change.spared {
            // What is spared is more than one map: as long as they do not fit together, nothing is dropped.
            self.switch([false; 2])?;
            let keys =
                |spared: &Spared| -> Vec<IpNet> { spared.destinations.iter().map(|(net, _)| *net).collect() };
            remove(&self.maps.spared, &keys(&self.spared))?;
            let values = spared.destinations.iter().map(|(_, patterns)| patterns.to_ne_bytes());
            insert(&self.maps.spared, &keys(spared), values)?;
            self.spared = spared.clone();
        }
        // Those that leave go first: there may not be room for all. Workers drop what is missing meanwhile.
        remove(&self.maps.blocked, &change.leave)?;
        insert(&self.maps.blocked, &change.join, std::iter::repeat(LISTED))?;
        self.switch(change.has)
    }

    /// Says whether there is anything in the list, by version of IP.
    fn switch(&self, has: [bool; 2]) -> Result<(), libbpf_rs::Error> {
        let flags = has.into_iter().flat_map(|has| u32::from(has).to_ne_bytes());
        let nothing = std::iter::repeat([0; size_of::<u32>() + 4 * size_of::<u16>()]);
        let patterns = self.spared.patterns.iter().map(bytes).chain(nothing).take(PATTERNS);
        let value: Vec<u8> = flags.chain(patterns.flatten()).collect();
        self.maps.blocking.update(&0_u32.to_ne_bytes(), &value, MapFlags::ANY)
    }

    fn clear(&mut self) -> Result<(), libbpf_rs::Error> {
        self.switch([false; 2])?;
        for map in self.maps.blocked.iter().chain(&self.maps.spared) {
            let keys: Vec<_> = map.keys().collect();
            keys.iter().try_for_each(|key| gone(map.delete(key)))?;
        }
        self.spared = Spared::default();
        Ok(())
    }
}

impl std::fmt::Debug for Blocklist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocklist").field("spared", &self.spared).finish_non_exhaustive()
    }
}

/// `struct pattern`
fn bytes(pattern: &Pattern) -> [u8; 12] {
    let Pattern { protocol, source_ports, destination_ports } = *pattern;
    let [a, b, c, d] = protocol.map_or(ANY_PROTOCOL, |protocol| u32::from(protocol.0)).to_ne_bytes();
    let [e, f] = source_ports.first().to_ne_bytes();
    let [g, h] = source_ports.last().to_ne_bytes();
    let [i, j] = destination_ports.first().to_ne_bytes();
    let [k, l] = destination_ports.last().to_ne_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

/// `struct key_v4` or `struct key_v6`, and which of the two maps it belongs in.
fn key(net: &IpNet) -> (usize, Vec<u8>) {
    let length = u32::from(net.prefix_len()).to_ne_bytes();
    match net {
        IpNet::V4(net) => (0, [length.as_slice(), &net.network().octets()].concat()),
        IpNet::V6(net) => (1, [length.as_slice(), &net.network().octets()].concat()),
    }
}

fn insert<const N: usize>(
    maps: &[MapHandle; 2],
    nets: &[IpNet],
    values: impl Iterator<Item = [u8; N]>,
) -> Result<(), libbpf_rs::Error> {
    let mut by_map = [(); 2].map(|()| (Vec::new(), Vec::new()));
    for ((map, key), value) in nets.iter().map(key).zip(values) {
        if let Some((keys, all)) = by_map.get_mut(map) {
            keys.extend(key);
            all.extend(value);
        }
    }
    for (map, (keys, values)) in maps.iter().zip(by_map) {
        let size = map.key_size() as usize;
        for (keys, values) in keys.chunks(BATCH * size).zip(values.chunks(BATCH * N)) {
            if map.update_batch(keys, values, count(keys, size), MapFlags::ANY, MapFlags::ANY).is_err() {
                // A kernel before 5.13 takes one at a time, and whatever else is wrong is found out here.
                let mut each = keys.chunks(size).zip(values.chunks(N));
                each.try_for_each(|(key, value)| map.update(key, value, MapFlags::ANY))?;
            }
        }
    }
    Ok(())
}

fn remove(maps: &[MapHandle; 2], nets: &[IpNet]) -> Result<(), libbpf_rs::Error> {
    let mut by_map = [(); 2].map(|()| Vec::new());
    for (map, key) in nets.iter().map(key) {
        if let Some(keys) = by_map.get_mut(map) {
            keys.extend(key);
        }
    }
    for (map, keys) in maps.iter().zip(by_map) {
        let size = map.key_size() as usize;
        for keys in keys.chunks(BATCH * size) {
            if map.delete_batch(keys, count(keys, size), MapFlags::ANY, MapFlags::ANY).is_err() {
                keys.chunks(size).try_for_each(|key| gone(map.delete(key)))?;
            }
        }
    }
    Ok(())
}

fn count(keys: &[u8], size: usize) -> u32 {
    u32::try_from(keys.len() / size).unwrap_or(u32::MAX)
}

/// What is not there need not be removed.
fn gone(result: Result<(), libbpf_rs::Error>) -> Result<(), libbpf_rs::Error> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
