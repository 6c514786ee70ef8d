//! Groups of next hops: each different path of a route once, with a number, and where it leads as things stand.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use super::{
    known::Known,
    things::{Link, LinkIndex, NextHop, Object, Path, RouteKind, Via},
};

/// The number of a group. It is kept as long as a route uses the group; then another group may get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// Where packets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To one of these, at least one. None of them is on a link that is down; none on a link without a carrier, unless all are.
    Forward(Vec<Hop>),
    /// To the host itself.
    Local,
    /// To the host itself, as they are for all on a link.
    Broadcast,
    /// To the kernel, which does what is not followed here: multicast, encapsulation.
    Kernel,
    /// Nowhere, in silence.
    Blackhole,
    /// Nowhere; the sender is told that nobody is there.
    Unreachable,
    /// Nowhere; the sender is told that it is forbidden.
    Prohibit,
}

impl Target {
    /// The next hops, if packets go to any.
    pub fn hops(&self) -> &[Hop] {
        match self {
            Self::Forward(hops) => hops,
            Self::Local
            | Self::Broadcast
            | Self::Kernel
            | Self::Blackhole
            | Self::Unreachable
            | Self::Prohibit => &[],
        }
    }
}

/// One of the next hops that packets can take now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface they leave by.
    pub link: LinkIndex,
    /// Whose neighbour entry is needed; `None`: that of the destination itself.
    pub gateway: Option<IpAddr>,
    /// Its share.
    pub weight: u16,
    /// The most bytes of a packet: what the route says, or the link, whichever is less.
    pub mtu: u32,
    /// Whether the gateway counts as on the link whatever its address.
    pub onlink: bool,
}

/// What a group comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing: no next hop can be used, so the kernel looks at the next route.
    Nothing,
    /// The search goes on in the next table.
    Throw,
    /// An answer.
    Found(Target),
}

impl Outcome {
    /// Whether a lookup sees the difference between these without looking into the group.
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What next hops are judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'m> {
    /// The links.
    pub(super) links: &'m Known<LinkIndex, Link>,
    /// The next-hop objects.
    pub(super) objects: &'m Known<u32, Object>,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    numbers: HashMap<Arc<Path>, GroupId>,
    slots: Vec<Option<Slot>>,
    free: Vec<GroupId>,
    /// Groups that may have changed or lost their last user since [`Groups::judge`].
    touched: Vec<GroupId>,
}

#[derive(Debug)]
struct Slot {
    path: Arc<Path>,
    users: u32,
    /// As judged last; `None`: not yet.
    outcome: Option<Outcome>,
    /// What was told of it.
    told: Option<Target>,
}

/// What became of groups.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Groups that lead elsewhere than before, or are new.
    pub(super) changed: Vec<(GroupId, Target)>,
    /// Groups that came to something and now come to nothing, or the other way round: other routes may win.
    pub(super) flipped: Vec<GroupId>,
}

impl Groups {
    /// The group of prefixes that a `throw` keeps from what is said of shorter ones, if no further table says anything.
    pub(super) const NOWHERE: GroupId = GroupId(0);

    /// No groups but [`Groups::NOWHERE`].
    pub(super) fn new() -> Self {
        let mut groups = Self::default();
        groups.take(Path { kind: RouteKind::Unreachable, via: Via::Hops(Vec::new()), mtu: None });
        groups
    }

    /// The group of a path, which gets one user more.
    pub(super) fn take(&mut self, path: Path) -> GroupId {
        if let Some(&id) = self.numbers.get(&path) {
            if let Some(slot) = self.slot_mut(id) {
                slot.users += 1;
            }
            return id;
        }
        let path = Arc::new(path);
        let slot = Slot { path: Arc::clone(&path), users: 1, outcome: None, told: None };
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            GroupId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        if let Some(place) = self.slots.get_mut(id.0 as usize) {
            *place = Some(slot);
        }
        self.numbers.insert(path, id);
        self.touched.push(id);
        id
    }

    /// One user less.
    pub(super) fn leave(&mut self, id: GroupId) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.users = slot.users.saturating_sub(1);
        if slot.users == 0 {
            self.touched.push(id);
        }
    }

    /// The path of a group.
    pub(super) fn path(&self, id: GroupId) -> Option<&Path> {
        self.slot(id).map(|slot| &*slot.path)
    }

    /// What a group came to when it was judged.
    pub(super) fn outcome(&self, id: GroupId) -> &Outcome {
        self.slot(id).and_then(|slot| slot.outcome.as_ref()).unwrap_or(&Outcome::Nothing)
    }

    /// Where a group leads, as it was told.
    pub(super) fn target(&self, id: GroupId) -> Option<&Target> {
        self.slot(id).and_then(|slot| slot.told.as_ref())
    }

    /// Every group with its path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (GroupId, &Path)> {
        self.numbers.iter().map(|(path, id)| (*id, &**path))
    }

    /// Judges groups that are new, or all of them if links or objects have changed.
    pub(super) fn judge(&mut self, around: Around<'_>, all: bool) -> Judged {
        let mut judged = Judged::default();
        let ids: Vec<GroupId> =
            if all { self.iter().map(|(id, _)| id).collect() } else { self.touched.clone() };
        for id in ids {
            let Some(slot) = self.slot_mut(id).filter(|slot| slot.users > 0) else { continue };
            let outcome = judge(&slot.path, around);
            if slot.outcome.as_ref().is_some_and(|before| !before.is_like(&outcome)) {
                judged.flipped.push(id);
            }
            if let Outcome::Found(target) = &outcome
                && slot.told.as_ref() != Some(target)
            {
                slot.told = Some(target.clone());
                judged.changed.push((id, target.clone()));
            }
            slot.outcome = Some(outcome);
        }
        judged
    }

    /// Frees the groups that nobody uses, and returns those that were told. No route may lead to them any more.
    pub(super) fn clear(&mut self) -> Vec<GroupId> {
        let mut gone = Vec::new();
        for id in std::mem::take(&mut self.touched) {
            let Some(place) = self.slots.get_mut(id.0 as usize) else { continue };
            if let Some(slot) = place.take_if(|slot| slot.users == 0) {
                self.numbers.remove(&slot.path);
                self.free.push(id);
                if slot.told.is_some() {
                    gone.push(id);
                }
            }
        }
        gone
    }

    fn slot(&self, id: GroupId) -> Option<&Slot> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    fn slot_mut(&mut self, id: GroupId) -> Option<&mut Slot> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }
}

/// What a path comes to.
fn judge(path: &Path, around: Around<'_>) -> Outcome {
    match path.kind {
        RouteKind::Local => Outcome::Found(Target::Local),
        RouteKind::Broadcast => Outcome::Found(Target::Broadcast),
        RouteKind::Multicast => Outcome::Found(Target::Kernel),
        RouteKind::Blackhole => Outcome::Found(Target::Blackhole),
        RouteKind::Unreachable => Outcome::Found(Target::Unreachable),
        RouteKind::Prohibit => Outcome::Found(Target::Prohibit),
        RouteKind::Throw => Outcome::Throw,
        RouteKind::Unicast => match &path.via {
            Via::Hops(hops) => forward(hops, path.mtu, around),
            Via::Object(id) => match around.objects.get(*id) {
                None => Outcome::Nothing,
                Some(Object::Blackhole) => Outcome::Found(Target::Blackhole),
                Some(Object::Hop(hop)) => forward(std::slice::from_ref(hop), path.mtu, around),
                Some(Object::Group(members)) => {
                    let hop = |(id, weight): &(u32, u16)| match around.objects.get(*id)? {
                        Object::Hop(hop) => Some(NextHop { weight: *weight, ..hop.clone() }),
                        Object::Blackhole | Object::Group(_) => None,
                    };
                    forward(&members.iter().filter_map(hop).collect::<Vec<_>>(), path.mtu, around)
                }
            },
        },
    }
}

/// The hops that can be used. The kernel leaves out those on links that are down without a message. A hop on a link without a
/// carrier it leaves out only if `ignore_routes_with_linkdown` is set; but what it sends there is lost.
fn forward(hops: &[NextHop], mtu: Option<u32>, around: Around<'_>) -> Outcome {
    if hops.iter().any(|hop| hop.beyond) {
        return Outcome::Found(Target::Kernel);
    }
    let link = |hop: &NextHop| around.links.get(hop.link).filter(|link| link.up && !hop.dead);
    let some_carrier = hops.iter().filter_map(link).any(|link| link.carrier);
    let hop = |hop: &NextHop| {
        let link = link(hop).filter(|link| link.carrier || !some_carrier)?;
        let mtu = mtu.unwrap_or(link.mtu).min(link.mtu);
        Some(Hop { link: hop.link, gateway: hop.gateway, weight: hop.weight, mtu, onlink: hop.onlink })
    };
    let usable: Vec<Hop> = hops.iter().filter_map(hop).collect();
    if usable.is_empty() { Outcome::Nothing } else { Outcome::Found(Target::Forward(usable)) }
}
