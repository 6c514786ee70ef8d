use crate::resources::{Failsafe, OnChange};
use crate::schema::{
    parser::{failsafe, integer, list, word},
    section,
};
use crate::types::Action;

section! {
    /// How policy is enforced.
    pub struct Enforcement in "enforcement" {
        /// What happens to flows of which neither end is an endpoint.
        unknown: Action = Action::Allow => word(), Live;
        /// What happens to flows that were allowed and that a policy denies after a change, if the policy does not say it: they
        /// go on (`keep`), their packets are dropped (`drop`), or both ends of a TCP connection are sent a reset as well
        /// (`reset`). The same for flows that the end of a tier or a profile denies after a change.
        on_change: OnChange = OnChange::Drop => word(), Live;
        /// Answers to packets of rejected flows that each worker sends in a second.
        reject_rate: u32 = 1000 => integer(1..=100_000), Live;
        /// Ports of hosts that no policy can shut: `"proto:port"`, `"proto:network:port"` with an IPv6 network in brackets, or
        /// `"port"` for TCP, UDP and SCTP. The network is that of the other side. An empty list: none.
        failsafe_inbound: Vec<Failsafe> = Failsafe::inbound() => list("ports", failsafe()).or_empty().plain(), Live;
        /// Ports that hosts reach whatever policies say, in the same form.
        failsafe_outbound: Vec<Failsafe> = Failsafe::outbound() => list("ports", failsafe()).or_empty().plain(), Live;
    }
}
