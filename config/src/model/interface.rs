use super::Fail;
use crate::schema::{
    entry,
    parser::{mss_clamp, name, word},
    word::words,
};
use crate::types::{IfName, MssClamp};

words! {
    /// What happens to the packets of an interface.
    pub enum InterfaceMode {
        /// The interface is a port of a bridge.
        Bridge = "bridge",
        /// Packets go where the kernel's routes lead, through interfaces of this mode.
        Route = "route",
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

words! {
    /// How it is checked that a packet comes from where an answer to it would go (RFC 3704).
    pub enum ReversePath {
        /// There has to be a route to its source through the interface that received it.
        Strict = "strict",
        /// There has to be a route to its source.
        Loose = "loose",
        /// It is not.
        Off = "off",
    }
}

entry! {
    /// An interface that differs from the defaults. Ports of bridges need no declaration.
    struct InterfaceModel in "interface" {
        /// The name that the kernel has for it.
        name: IfName = Required => name("name of an interface"), Restart;
        /// Port of a bridge (`bridge`), one of those between which packets are routed (`route`), or receive only (`monitor`).
        mode: InterfaceMode = Or(InterfaceMode::Bridge) => word(), Restart;
        /// What kind of place it leads to, such as "inside" or "outside". Several interfaces may be in one zone; rules of policies
        /// and profiles can ask for it, and address translation can name it. At most 62 zones.
        zone: IfName = Means("none") => name("name of a zone"), Live;
        /// Whether partial checksums of local stacks are completed on the packets received here.
        checksum: ChecksumMode = Or(ChecksumMode::Auto) => word(), Live;
        /// Of an interface with `mode = "route"`: whether a packet received here is dropped if no route leads back to its source
        /// (`loose`), or none through this interface (`strict`).
        reverse_path: ReversePath = Or(ReversePath::Loose) => word(), Live;
        /// Of an interface with `mode = "route"`: whether TCP connections that are opened through it, either way, are held to segments that
        /// fit into the MTU of the routes there and back (`true`), or to so many bytes at most besides. For ways on which the ICMP errors are
        /// lost that would tell the hosts: PPPoE, tunnels. It never makes a segment longer.
        mss_clamp: MssClamp = Or(MssClamp::Off) => mss_clamp(), Live;
        /// Of an interface with `mode = "route"`: what the kernel does with packets when the process has died: routes them,
        /// unjudged (`open`), or drops them, except for its own conversations (`closed`).
        fail: Fail = Or(Fail::Open) => word(), Restart;
    }
}
