//! What the tests of the whole appliance share: namespaces, links, processes, traffic, packets and scenarios.
//!
//! Promises: whatever a test makes, namespaces, processes, files, is gone when the test ends, also by panic; nothing waits for
//! a fixed time, only for conditions; a test that cannot run fails and names what is missing (see [`requirements`]).
//! Refuses: to be used by anything but tests. Its functions panic when the machine does not do what they ask, because
//! that is how a test says so.
//! Read next: [`topology::Lab`] for end-to-end tests (`tests/e2e/`), [`vm::Vm`] for those in a virtual machine, [`scenario`] for captures (`tests/scenarios/`), [`oracle`]
//! for what policy means, [`conformance`] for what Kubernetes says about that, [`wireguard::Peer`] for whom the appliance has tunnels with.

pub mod binary;
pub mod compiled;
pub mod conformance;
pub mod counters;
pub mod echo;
pub mod explain;
pub mod flood;
pub mod gateway;
pub mod generate;
pub mod lossy;
pub mod netns;
pub mod oracle;
pub mod packets;
pub mod process;
pub mod ravelin;
pub mod requirements;
pub mod scenario;
pub mod topology;
pub mod vectors;
pub mod vm;
pub mod wire;
pub mod wireguard;
