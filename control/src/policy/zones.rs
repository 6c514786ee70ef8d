use ravelin_config::{Config, resources::Entity, types::IfName};
use ravelin_dataplane::policy::{Zone, ZoneSet};

/// The zones of interfaces; the place of each is its number in the packet path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zones(Vec<IfName>);

impl Zones {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self::new(config.zones().into_iter().cloned())
    }

    /// These.
    pub fn new(names: impl IntoIterator<Item = IfName>) -> Self {
        Self(names.into_iter().collect())
    }

    /// The zone of that name.
    pub fn find(&self, name: &str) -> Option<Zone> {
        let place = self.0.iter().position(|zone| zone.as_str() == name)?;
        u8::try_from(place).ok().and_then(Zone::new)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(IfName::as_str)
    }

    /// Where one side of a rule says that a flow must be. What is no zone of any interface holds nothing.
    pub(super) fn asked_by(&self, entity: &Entity) -> ZoneSet {
        let set = |names: &[IfName]| ZoneSet::of(names.iter().filter_map(|name| self.find(name.as_str())));
        let wanted = if entity.zones.is_empty() { ZoneSet::ANY } else { set(&entity.zones) };
        wanted.without(set(&entity.not_zones))
    }
}
