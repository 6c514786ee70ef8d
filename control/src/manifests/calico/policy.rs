use ravelin_config::resources::{OnChange, Policy, StagedAction, Types};
use ravelin_config::selector::Selector;

use super::{
    inventory,
    rule::{self, Home, local},
};
use crate::manifests::{
    fields::{At, Fault, Fields},
    kubernetes,
    object::{Header, Importer, name_of},
    rules::{self, Direction},
};

/// `NetworkPolicy`.
pub(super) fn network_policy(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    policy(header.name, Some(header.namespace), false, root, into)
}

/// `GlobalNetworkPolicy`.
pub(super) fn global_network_policy(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    policy(header.name, None, false, root, into)
}

/// `StagedNetworkPolicy`.
pub(super) fn staged_network_policy(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    policy(header.name, Some(header.namespace), true, root, into)
}

/// `StagedGlobalNetworkPolicy`.
pub(super) fn staged_global_network_policy(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    policy(header.name, None, true, root, into)
}

/// `StagedKubernetesNetworkPolicy`: a `NetworkPolicy` of Kubernetes that is tried out.
pub(super) fn staged_kubernetes_network_policy(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    let at = root.need("spec")?;
    let mut spec = at.fields()?;
    let Some(staged) = staged(&mut spec, into)? else { return Ok(()) };
    let mut policy = kubernetes::network_policy(header, spec, into)?;
    if staged == StagedAction::Delete {
        (policy.ingress, policy.egress) = Default::default();
    }
    into.add_policy(Policy { staged: Some(staged), ..policy })
}

/// What is tried out. `None` for what is not active, which is left out.
fn staged(spec: &mut Fields<'_>, into: &mut Importer) -> Result<Option<StagedAction>, Fault> {
    let Some(at) = spec.get("stagedAction") else { return Ok(Some(StagedAction::Set)) };
    match at.text()? {
        "Set" => Ok(Some(StagedAction::Set)),
        "Delete" => Ok(Some(StagedAction::Delete)),
        "Learn" | "Ignore" => {
            into.remarks.warning(at.fault("the policy is not active"), "the policy is left out");
            Ok(None)
        }
        _ => Err(at.fault("expected Set, Delete, Learn or Ignore")),
    }
}

fn policy(
    name: String,
    namespace: Option<String>,
    is_staged: bool,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    let at = root.need("spec")?;
    let mut spec = at.fields()?;
    let staged = if is_staged {
        let Some(staged) = staged(&mut spec, into)? else { return Ok(()) };
        Some(staged)
    } else {
        None
    };
    let tier = spec.get("tier").map_or(Ok("default".to_owned()), |at| name_of(&at))?;
    let (home, namespace_selector) = match namespace {
        Some(_) => (Home::Namespace, None),
        None => {
            forwarding(&mut spec, into)?;
            (Home::Global, local(&mut spec, "namespaceSelector")?)
        }
    };
    let order = inventory::order(&mut spec)?;
    let selector = local(&mut spec, "selector")?.unwrap_or_else(Selector::all);
    let service_account_selector = local(&mut spec, "serviceAccountSelector")?;
    let given = types(&spec.list("types")?)?;
    let mut ingress = rule::all(&mut spec, "ingress", Direction::Ingress, home, into)?;
    let mut egress = rule::all(&mut spec, "egress", Direction::Egress, home, into)?;
    // What a rule was meant for counts, even if it was left out.
    let types = match given {
        Some(types) => types,
        None => {
            let (has_ingress, has_egress) =
                (!spec.list("ingress")?.is_empty(), !spec.list("egress")?.is_empty());
            Types { ingress: has_ingress || !has_egress, egress: has_egress }
        }
    };
    if staged == Some(StagedAction::Delete) {
        // Nothing is left to be asked.
        (ingress, egress) = Default::default();
    }
    rules::only_governed(types, &mut ingress, &mut egress, &mut into.remarks);
    spec.ignore(&["performanceHints"]);
    into.ignored(&spec);
    let prefix = format!("{tier}.");
    let name = match name.strip_prefix(&prefix) {
        Some(short) if !short.is_empty() => short.to_owned(),
        Some(_) | None => name,
    };
    into.add_policy(Policy {
        name,
        namespace,
        tier,
        order,
        staged,
        selector,
        namespace_selector,
        service_account_selector,
        types,
        on_change: OnChange::default(),
        ingress,
        egress,
    })
}

/// What global policies say about packets that pass through a host.
fn forwarding(spec: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    for (key, what) in [
        ("doNotTrack", "policies for untracked packets are not supported"),
        ("preDNAT", "policies for packets before their destination is translated are not supported"),
    ] {
        if let Some(at) = spec.get(key)
            && at.truth()?
        {
            return Err(at.fault(what));
        }
    }
    if let Some(at) = spec.get("applyOnForward")
        && at.truth()?
    {
        into.remarks.note(
            at.fault("forwarded packets"),
            "all policies apply to them here, with this field or without",
        );
    }
    Ok(())
}

/// The directions that a policy names.
fn types(given: &[At<'_>]) -> Result<Option<Types>, Fault> {
    let mut types = None;
    for at in given {
        let types = types.get_or_insert(Types { ingress: false, egress: false });
        match at.text()? {
            "Ingress" => types.ingress = true,
            "Egress" => types.egress = true,
            _ => return Err(at.fault("expected Ingress or Egress")),
        }
    }
    Ok(types)
}
