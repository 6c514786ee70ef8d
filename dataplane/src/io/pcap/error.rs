use std::io;

/// What is wrong with a capture file. Every variant names the file; offsets count bytes from its start.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// The capture cannot be opened.
    #[error("{file}: cannot be opened: {source}")]
    Open {
        /// The capture.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// Reading failed.
    #[error("{file}: reading failed at offset {offset}: {source}")]
    Read {
        /// The capture.
        file: String,
        /// How far reading came.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The file is neither pcap nor pcapng.
    #[error(
        "{file}: not a capture: starts with {found:02x?}, expected the magic number of pcap or pcapng{}",
        hint(found)
    )]
    NotACapture {
        /// The file.
        file: String,
        /// Its first four bytes, or as many as there are.
        found: Vec<u8>,
    },
    /// The file ends inside its own header.
    #[error("{file}: ends after {found} bytes, expected a file header of at least {expected} bytes")]
    HeaderCut {
        /// The capture.
        file: String,
        /// Bytes in the file.
        found: usize,
        /// Bytes of the header.
        expected: usize,
    },
    /// A value in the file that no capture can hold.
    #[error("{file}: {field} at offset {offset} is {found}, expected {expected}")]
    Malformed {
        /// The capture.
        file: String,
        /// Where the record or block starts that holds the value.
        offset: u64,
        /// What the value is called in the format's specification.
        field: &'static str,
        /// The value.
        found: u64,
        /// What it must be.
        expected: &'static str,
    },
    /// The packets are of a kind of link that is not understood.
    #[error(
        "{file}: link type {found} is not supported, expected Ethernet (1), raw IP (101, 12, 14, 228, 229), Linux cooked \
         (113, 276), null (0) or loopback (108)"
    )]
    UnsupportedLink {
        /// The capture.
        file: String,
        /// The number in the file, as assigned by the tcpdump project.
        found: u32,
    },
    /// The output cannot be created.
    #[error("{file}: cannot be created: {source}")]
    Create {
        /// The output.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// The output is the capture that is being read.
    #[error("{file}: is the capture that is being read; write to another file")]
    SameFile {
        /// The file.
        file: String,
    },
    /// Writing failed. What had been written before is complete.
    #[error("{file}: writing failed, the last {lost} packets that were forwarded are not in it: {source}")]
    Write {
        /// The output.
        file: String,
        /// Packets that had been accepted and are not, or not wholly, in the file.
        lost: u64,
        /// What the system says.
        source: io::Error,
    },
}

/// Files that people take for captures.
fn hint(found: &[u8]) -> &'static str {
    match found {
        [] => " (the file is empty)",
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd] | [0xfd, b'7', b'z', b'X'] | [b'B', b'Z', b'h', _] => {
            " (the file is compressed: unpack it first)"
        }
        [0xa1, 0xb2, 0xcd, 0x34] | [0x34, 0xcd, 0xb2, 0xa1] => {
            " (this is the modified pcap of Linux 2.2: convert it with editcap)"
        }
        _ => "",
    }
}
