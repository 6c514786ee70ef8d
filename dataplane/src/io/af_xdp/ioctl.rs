//! The few device ioctls that no crate in use covers: MTU, MAC address and the ethtool requests.
//!
//! Promises: safe functions over plain values; every buffer is sized by the function that fills its header.
//! Refuses: to know why a setting should change; that is `offload.rs`. Requests are arrays of `u32`, because all of
//! ethtool's structures are made of 32-bit words and byte arrays that are multiples of them. Source:
//! `linux/ethtool.h`.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GLINK: u32 = 0x0a;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
const ETHTOOL_GRSSH: u32 = 0x46;
const ETHTOOL_SRSSH: u32 = 0x47;
const ETH_SS_FEATURES: u32 = 4;
const STRING_WORDS: usize = 8; // ETH_GSTRING_LEN is 32 bytes

/// A socket to send device requests through.
pub(super) struct Device {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

/// One of a device's features, such as `rx-gro`.
pub(super) struct Feature {
    /// The kernel's name for it.
    pub name: String,
    /// Whether it is in force.
    pub active: bool,
    /// Whether it can be changed.
    pub changeable: bool,
}

/// Whether an interface can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// It can.
    Up,
    /// The other end is not there.
    NoCarrier,
    /// It was switched off.
    Down,
}

/// How a NIC spreads flows over its queues (`struct ethtool_rxfh`).
pub(super) struct RssHash {
    /// `RXH_XFRM_*`: what is done to a packet's fields before they are hashed.
    pub transform: u8,
    /// The Toeplitz key.
    pub key: Vec<u8>,
}

impl Device {
    pub(super) fn open(name: &str) -> io::Result<Self> {
        if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        let mut padded = [0; libc::IFNAMSIZ];
        for (to, from) in padded.iter_mut().zip(name.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        Ok(Self { socket, name: padded })
    }

    pub(super) fn index(&self) -> io::Result<u32> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFINDEX, &mut request)?;
        // SAFETY: SIOCGIFINDEX succeeded, so the kernel wrote this member of the union.
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        u32::try_from(index).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Whether it is switched on and has a carrier. `IFF_RUNNING` (RFC 2863) follows a carrier that has just come up to a
    /// second late, because the kernel collects such events; so where it says no, the driver is asked.
    pub(super) fn operation(&self) -> io::Result<Operation> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: SIOCGIFFLAGS succeeded, so the kernel wrote this member of the union.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        Ok(match (flags & libc::IFF_UP != 0, flags & libc::IFF_RUNNING != 0) {
            (false, _) => Operation::Down,
            (true, false) if !self.has_carrier() => Operation::NoCarrier,
            (true, false | true) => Operation::Up,
        })
    }

    /// What the driver says of the link; no if it cannot say.
    fn has_carrier(&self) -> bool {
        let mut request = [ETHTOOL_GLINK, 0];
        // SAFETY: `struct ethtool_value` is 8 bytes and has no variable part.
        unsafe { self.ethtool(&mut request) }.is_ok() && request != [ETHTOOL_GLINK, 0]
    }

    pub(super) fn mtu(&self) -> io::Result<u32> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: SIOCGIFMTU succeeded, so the kernel wrote this member of the union.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    pub(super) fn mac(&self) -> io::Result<[u8; 6]> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: SIOCGIFHWADDR succeeded, so the kernel wrote this member of the union.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        let mut mac = [0; 6];
        for (to, from) in mac.iter_mut().zip(address.sa_data) {
            [*to] = from.to_ne_bytes();
        }
        Ok(mac)
    }

    pub(super) fn driver(&self) -> io::Result<String> {
        let mut info = [0_u32; 49];
        set(&mut info, 0, ETHTOOL_GDRVINFO);
        // SAFETY: `struct ethtool_drvinfo` is 196 bytes and has no variable part.
        unsafe { self.ethtool(&mut info)? };
        Ok(text(info.get(1..9).unwrap_or_default()))
    }

    /// How many receive queues are in use.
    pub(super) fn queues(&self) -> io::Result<u32> {
        let mut channels = [0_u32; 9];
        set(&mut channels, 0, ETHTOOL_GCHANNELS);
        // SAFETY: `struct ethtool_channels` is 36 bytes and has no variable part.
        unsafe { self.ethtool(&mut channels)? };
        let [_, _, _, _, _, receive, _, _, combined] = channels;
        Ok(receive + combined)
    }

    pub(super) fn features(&self) -> io::Result<Vec<Feature>> {
        let names = self.feature_names()?;
        let blocks = names.len().div_ceil(32);
        let mut request = vec![0_u32; 2 + 4 * blocks];
        set(&mut request, 0, ETHTOOL_GFEATURES);
        set(&mut request, 1, words(blocks)?);
        // SAFETY: the kernel writes at most as many blocks of four words as the second word allows.
        unsafe { self.ethtool(&mut request)? };

        let bit = |feature: usize, word: usize| {
            request.get(2 + 4 * (feature / 32) + word).is_some_and(|block| block & (1 << (feature % 32)) != 0)
        };
        // Words of a block: available, requested, active, never_changed.
        let features = names.into_iter().enumerate();
        Ok(features
            .map(|(i, name)| Feature { name, active: bit(i, 2), changeable: bit(i, 0) && !bit(i, 3) })
            .collect())
    }

    /// Asks for a feature to be on or off. The kernel may refuse silently; ask again to know.
    pub(super) fn set_feature(&self, name: &str, on: bool) -> io::Result<()> {
        let names = self.feature_names()?;
        let Some(feature) = names.iter().position(|known| known == name) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let blocks = names.len().div_ceil(32);
        let mut request = vec![0_u32; 2 + 2 * blocks];
        set(&mut request, 0, ETHTOOL_SFEATURES);
        set(&mut request, 1, words(blocks)?);
        // Words of a block: valid, requested.
        let mask = 1 << (feature % 32);
        set(&mut request, 2 + 2 * (feature / 32), mask);
        set(&mut request, 3 + 2 * (feature / 32), if on { mask } else { 0 });
        // SAFETY: the kernel reads as many blocks of two words as the second word says, and writes nothing.
        unsafe { self.ethtool(&mut request) }
    }

    pub(super) fn rss(&self) -> io::Result<RssHash> {
        let mut header = [0_u32; 6];
        set(&mut header, 0, ETHTOOL_GRSSH);
        // SAFETY: with both sizes zero the kernel writes the header only.
        unsafe { self.ethtool(&mut header)? };
        let [_, _, table, key_bytes, _, _] = header;

        let (table, key_bytes) = (table as usize, key_bytes as usize);
        let mut request = vec![0_u32; 6 + table + key_bytes.div_ceil(4)];
        for (to, from) in request.iter_mut().zip(header) {
            *to = from;
        }
        // SAFETY: the buffer holds the table and the key of the sizes that the header asks for.
        unsafe { self.ethtool(&mut request)? };
        let key =
            request.iter().skip(6 + table).flat_map(|word| word.to_ne_bytes()).take(key_bytes).collect();
        let [_, transform, _, _] = request.get(4).copied().unwrap_or_default().to_ne_bytes();
        Ok(RssHash { transform, key })
    }

    /// Sets key and transform and leaves the indirection table as it is.
    pub(super) fn set_rss(&self, hash: &RssHash) -> io::Result<()> {
        const NO_CHANGE: u32 = 0xffff_ffff; // ETH_RXFH_INDIR_NO_CHANGE
        let mut request = vec![0_u32; 6];
        set(&mut request, 0, ETHTOOL_SRSSH);
        set(&mut request, 2, NO_CHANGE);
        set(&mut request, 3, words(hash.key.len())?);
        set(&mut request, 4, u32::from_ne_bytes([0, hash.transform, 0, 0]));
        for chunk in hash.key.chunks(4) {
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            request.push(u32::from_ne_bytes(word));
        }
        // SAFETY: the kernel reads the header and a key of the length that the header states; no table follows.
        unsafe { self.ethtool(&mut request) }
    }

    fn feature_names(&self) -> io::Result<Vec<String>> {
        let mut info = [0_u32; 5];
        set(&mut info, 0, ETHTOOL_GSSET_INFO);
        let mask = (1_u64 << ETH_SS_FEATURES).to_ne_bytes();
        let [a, b, c, d, e, f, g, h] = mask;
        set(&mut info, 2, u32::from_ne_bytes([a, b, c, d]));
        set(&mut info, 3, u32::from_ne_bytes([e, f, g, h]));
        // SAFETY: one bit is asked for, so the kernel writes one word after the mask.
        unsafe { self.ethtool(&mut info)? };
        let [_, _, _, _, count] = info;

        let mut request = vec![0_u32; 3 + STRING_WORDS * count as usize];
        set(&mut request, 0, ETHTOOL_GSTRINGS);
        set(&mut request, 1, ETH_SS_FEATURES);
        set(&mut request, 2, count);
        // SAFETY: the set of feature names is a constant of the running kernel, so it still has `count` strings.
        unsafe { self.ethtool(&mut request)? };
        Ok(request.get(3..).unwrap_or_default().chunks(STRING_WORDS).map(text).collect())
    }

    fn request(&self) -> libc::ifreq {
        libc::ifreq { ifr_name: self.name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_mtu: 0 } }
    }

    /// # Safety
    /// `request` must be as large as the kernel takes it to be from its command and sizes.
    unsafe fn ethtool(&self, request: &mut [u32]) -> io::Result<()> {
        let mut wrapper = self.request();
        wrapper.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
        self.ioctl(libc::SIOCETHTOOL, &mut wrapper)
    }

    fn ioctl(&self, command: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
        let command = command as libc::Ioctl; // the type differs between C libraries
        // SAFETY: all commands used here take a `struct ifreq`, which `request` is, and keep no pointer to it. What
        // SIOCETHTOOL finds behind the pointer inside is the promise of `ethtool`.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), command, request) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

fn set(request: &mut [u32], word: usize, value: u32) {
    if let Some(slot) = request.get_mut(word) {
        *slot = value;
    }
}

fn words(count: usize) -> io::Result<u32> {
    u32::try_from(count).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// A C string in an array of words.
fn text(words: &[u32]) -> String {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
