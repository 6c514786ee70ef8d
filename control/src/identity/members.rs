//! Network sets whose members come and go.

use ravelin_config::types::IpNet;
use ravelin_dataplane::policy::AddressSet;

use super::{Identities, ItemId, Kind, SelectorId};

impl Identities {
    /// Lets networks leave and join a network set, and says which addresses leave and which join it.
    pub fn change_network_set(
        &mut self,
        item: ItemId,
        leave: &[IpNet],
        join: &[IpNet],
    ) -> (AddressSet, AddressSet) {
        match item.kind() {
            Kind::NetworkSet => self.networks.change(item.index(), leave, join),
            Kind::Endpoint => (AddressSet::empty(), AddressSet::empty()),
        }
    }

    /// The items that a registered selector matches.
    pub fn members(&self, selector: SelectorId) -> Vec<ItemId> {
        self.matching_registered(selector)
    }

    /// The part of `some` that belongs to an item.
    pub fn within(&self, item: ItemId, some: &AddressSet) -> AddressSet {
        match item.kind() {
            Kind::NetworkSet => some.intersection(self.networks.addresses(item.index())),
            Kind::Endpoint => some.intersection(&self.addresses(item)),
        }
    }
}
