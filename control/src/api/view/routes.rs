use serde::{Deserialize, Serialize};

/// `GET /routes`: routes of one table, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// The VRF that they belong to; absent for the main table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrf: Option<String>,
    /// The VRFs that there are.
    pub vrfs: Vec<String>,
    /// Routes in the table.
    pub total: usize,
    /// The routes, at most as many as were asked for.
    pub routes: Vec<Route>,
    /// How many come behind them.
    pub behind: usize,
    /// What the kernel would do otherwise than workers do.
    pub not_followed: Vec<String>,
    /// Interfaces for which the kernel does not forward, so that workers do not either.
    pub not_forwarding: Vec<String>,
}

/// Where the packets to a prefix go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destinations.
    pub prefix: String,
    /// Where it leads.
    pub leads: Leads,
    /// If that is the kernel: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The next hops. Each flow has one of them, by its hash and their weights.
    pub next_hops: Vec<NextHop>,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leads {
    /// Workers send packets to its next hops.
    On,
    /// To the host itself.
    Host,
    /// To the kernel, which forwards packets or says why not.
    Kernel,
    /// Nowhere, in silence.
    Nowhere,
}

/// Where packets go next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHop {
    /// The gateway; absent, if the destination itself is on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The interface they leave through.
    pub interface: String,
    /// The longest packet that may go there, in bytes.
    pub mtu: u32,
    /// Its share of the flows, against the others.
    pub weight: u16,
    /// Who is there; absent unless an address was asked for, or if packets leave through an interface that is not ours, or in a
    /// tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbour: Option<Neighbour>,
}

/// `GET /neighbours`: who is on the links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbours {
    /// How many there are.
    pub total: usize,
    /// The neighbours, at most as many as were asked for.
    pub neighbours: Vec<Neighbour>,
}

/// Who is at an address of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface.
    pub interface: String,
    /// The address.
    pub address: String,
    /// The Ethernet address, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// What is known of it.
    pub state: Acquaintance,
    /// What the kernel calls that; absent if it has never heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Whether workers sent packets there in the last seconds.
    pub used: bool,
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acquaintance {
    /// Its Ethernet address: workers send packets there.
    Known,
    /// The kernel has asked who it is; packets are the kernel's until there is an answer.
    Asked,
    /// Nothing, or that nobody has answered; packets are the kernel's, which asks.
    Unknown,
}
