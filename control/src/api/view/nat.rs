use serde::{Deserialize, Serialize};

/// `GET /nat`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat {
    /// The outside addresses.
    pub addresses: Vec<NatAddress>,
    /// What is published.
    pub published: Vec<NatPublished>,
    /// Mappings that flows use.
    pub seen: u64,
    /// Those with the most flows, at most as many as were asked for.
    pub mappings: Vec<NatMapping>,
    /// Workers that did not answer in time, so that their mappings are missing.
    pub missing: Vec<u8>,
}

/// An outside address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatAddress {
    /// The address.
    pub address: String,
    /// Its ports that inside ends may be known at, for TCP, UDP and ICMP.
    pub ports: [u32; 3],
    /// Those that flows use.
    pub used: [u32; 3],
}

/// What is sent on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatPublished {
    /// The protocol, or `any`.
    pub proto: String,
    /// What it is sent to.
    pub at: String,
    /// Where it goes.
    pub to: String,
    /// Flows that go there.
    pub flows: u64,
}

/// An inside end and what it is known as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatMapping {
    /// The protocol.
    pub proto: String,
    /// Address and port; for ICMP, the identifier of an echo.
    pub inside: String,
    /// What it is known as.
    pub outside: String,
    /// Flows that use it.
    pub flows: u64,
}
