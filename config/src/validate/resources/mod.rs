//! Who lives on the network and what may talk to what: from what the file says to [`Resources`].

mod convert;

use crate::model::Lists;
use crate::resources::{OnChange, Resources};

/// The resources of lists, which give them away.
pub(super) fn resources(lists: &mut Lists, on_change: OnChange) -> Resources {
    fn take<M, T>(models: &mut Vec<M>, convert: impl FnMut(M) -> Option<T>) -> Vec<T> {
        std::mem::take(models).into_iter().filter_map(convert).collect()
    }
    Resources {
        tiers: take(&mut lists.tiers, convert::tier),
        policies: take(&mut lists.policies, |policy| convert::policy(policy, on_change)),
        profiles: take(&mut lists.profiles, convert::profile),
        namespaces: take(&mut lists.namespaces, convert::namespace),
        endpoints: take(&mut lists.endpoints, convert::endpoint),
        services: take(&mut lists.services, convert::service),
        network_sets: take(&mut lists.network_sets, convert::network_set),
    }
}
