use crate::schema::{
    entry,
    parser::{list, name, word},
    reader::At,
    word::words,
};
use crate::types::{BridgeName, IfName};

words! {
    /// What the kernel does with the packets of a bridge when the process is gone.
    pub enum Fail {
        /// Passes them from port to port, unjudged.
        Open = "open",
        /// Drops them.
        Closed = "closed",
    }
}

words! {
    /// What happens to frames that no rule can judge.
    pub enum Handling {
        /// They cross the bridge.
        Forward = "forward",
        /// They are dropped.
        Drop = "drop",
    }
}

words! {
    /// What happens to IPv6 neighbour discovery.
    pub enum NdHandling {
        /// It crosses the bridge without asking the rules, as ARP does.
        Forward = "forward",
        /// The rules decide, as for any ICMPv6.
        Judge = "judge",
    }
}

entry! {
    /// Two interfaces joined transparently: MAC addresses, VLAN tags and hop limits stay as they are.
    struct BridgeModel in "bridge" {
        /// What counters and commands call it.
        name: BridgeName = Required => name("name of 1 to 63 printable characters"), Restart;
        /// Two interfaces: the outside, then the inside.
        ports: Vec<At<IfName>> = Required => list("interfaces, outside then inside", name("name of an interface")).or_empty(), Restart;
        /// What the kernel does with packets when the process has died: pass them from port to port (`open`)
        /// or drop them (`closed`). A clean stop gives the interfaces back, and nothing passes.
        fail: Fail = Or(Fail::Open) => word(), Restart;
        /// What happens to ARP.
        arp: Handling = Or(Handling::Forward) => word(), Live;
        /// What happens to IPv6 neighbour discovery: it crosses without asking the rules (`forward`), or the
        /// rules decide (`judge`).
        nd: NdHandling = Or(NdHandling::Forward) => word(), Live;
        /// What happens to LLDP, by which neighbours learn of each other.
        lldp: Handling = Or(Handling::Forward) => word(), Live;
        /// What happens to spanning tree frames.
        stp: Handling = Or(Handling::Forward) => word(), Live;
        /// What happens to frames of any other EtherType that is not IP.
        unknown: Handling = Or(Handling::Forward) => word(), Live;
    }
}
