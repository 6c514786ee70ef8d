use crate::schema::{
    entry,
    parser::{name, word},
    word::words,
};
use crate::types::IfName;

words! {
    /// What happens to the packets of an interface.
    pub enum InterfaceMode {
        /// The interface is a port of a bridge.
        Bridge = "bridge",
        /// Packets are received, judged and recorded, and then end; nothing is sent.
        Monitor = "monitor",
    }
}

words! {
    /// What happens to partial checksums, which a local stack leaves for the network card to complete.
    pub enum ChecksumMode {
        /// Completed where the interface is known to carry them.
        Auto = "auto",
        /// Always completed.
        Complete = "complete",
        /// Left as they are.
        Keep = "keep",
    }
}

entry! {
    /// An interface that differs from the defaults. Ports of bridges need no declaration.
    struct InterfaceModel in "interface" {
        /// The name that the kernel has for it.
        name: IfName = Required => name("name of an interface"), Restart;
        /// Port of a bridge, or receive only (`monitor`).
        mode: InterfaceMode = Or(InterfaceMode::Bridge) => word(), Restart;
        /// Whether partial checksums of local stacks are completed on the packets received here.
        checksum: ChecksumMode = Or(ChecksumMode::Auto) => word(), Live;
    }
}
