//! Who lives on the network and what may talk to what: from what the file says to [`Resources`].

mod convert;

use crate::model::Model;
use crate::resources::Resources;

/// The resources of a model, which gives them away.
pub(super) fn resources(model: &mut Model) -> Resources {
    fn take<M, T>(models: &mut Vec<M>, convert: impl FnMut(M) -> Option<T>) -> Vec<T> {
        std::mem::take(models).into_iter().filter_map(convert).collect()
    }
    let on_change = model.policy.on_change;
    Resources {
        tiers: take(&mut model.tiers, convert::tier),
        policies: take(&mut model.policies, |policy| convert::policy(policy, on_change)),
        profiles: take(&mut model.profiles, convert::profile),
        namespaces: take(&mut model.namespaces, convert::namespace),
        endpoints: take(&mut model.endpoints, convert::endpoint),
        services: take(&mut model.services, convert::service),
        network_sets: take(&mut model.network_sets, convert::network_set),
    }
}
