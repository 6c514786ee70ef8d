//! Each model becomes what it describes. `None` if a key that it cannot do without is unusable, which is reported already.

use crate::model::{
    EndpointModel, EntityModel, IcmpModel, NamedPortModel, NamespaceModel, NetworkSetModel, PolicyModel,
    PolicyRuleModel, ProfileModel, ServiceAccountsModel, ServiceModel, ServicePortModel, ServiceRefModel,
    TierModel,
};
use crate::resources::{
    Endpoint, Entity, IcmpMatch, NamedPort, Namespace, NetworkSet, OnChange, Order, Policy, PolicyRule,
    Profile, Service, ServiceAccounts, ServicePort, ServiceRef, TargetPort, Tier, Types,
};

pub(super) fn tier(model: TierModel) -> Option<Tier> {
    Some(Tier {
        name: model.name.into_value()?,
        order: model.order.into_value().unwrap_or(Order::LAST),
        default: model.default.into_value()?,
    })
}

pub(super) fn policy(model: PolicyModel, on_change: OnChange) -> Option<Policy> {
    let inferred = Types {
        ingress: !model.ingress.is_empty() || model.egress.is_empty(),
        egress: !model.egress.is_empty(),
    };
    Some(Policy {
        name: model.name.into_value()?,
        namespace: model.namespace.into_value(),
        tier: model.tier.into_value()?,
        order: model.order.into_value().unwrap_or(Order::LAST),
        staged: model.staged.into_value(),
        selector: model.selector.into_value()?,
        namespace_selector: model.namespace_selector.into_value(),
        service_account_selector: model.service_account_selector.into_value(),
        types: model.types.into_value().unwrap_or(inferred),
        on_change: model.on_change.into_value().unwrap_or(on_change),
        ingress: rules(model.ingress),
        egress: rules(model.egress),
    })
}

pub(super) fn profile(model: ProfileModel) -> Option<Profile> {
    Some(Profile {
        name: model.name.into_value()?,
        labels_to_apply: model.labels_to_apply.into_value().unwrap_or_default(),
        ingress: rules(model.ingress),
        egress: rules(model.egress),
    })
}

fn rules(models: Vec<PolicyRuleModel>) -> Vec<PolicyRule> {
    models.into_iter().filter_map(rule).collect()
}

fn rule(model: PolicyRuleModel) -> Option<PolicyRule> {
    Some(PolicyRule {
        action: model.action.into_value()?,
        description: model.description.into_value(),
        ip_version: model.ip_version.into_value(),
        protocol: model.protocol.into_value(),
        not_protocol: model.not_protocol.into_value(),
        icmp: model.icmp.and_then(|model| icmp(*model)),
        not_icmp: model.not_icmp.and_then(|model| icmp(*model)),
        source: model.source.map(|model| entity(*model)).unwrap_or_default(),
        destination: model.destination.map(|model| entity(*model)).unwrap_or_default(),
        rate_limit: model.rate_limit.into_value(),
        capture: model.capture.into_value().unwrap_or(false),
    })
}

fn icmp(model: IcmpModel) -> Option<IcmpMatch> {
    Some(IcmpMatch { icmp_type: model.r#type.into_value()?, code: model.code.into_value() })
}

fn entity(model: EntityModel) -> Entity {
    Entity {
        nets: model.nets.into_list(),
        not_nets: model.not_nets.into_list(),
        selector: model.selector.into_value(),
        not_selector: model.not_selector.into_value(),
        namespace_selector: model.namespace_selector.into_value(),
        service_accounts: model.service_accounts.map(|model| service_accounts(*model)),
        services: model.services.and_then(|model| service_ref(*model)),
        ports: model.ports.into_list(),
        not_ports: model.not_ports.into_list(),
        zones: model.zones.into_list(),
        not_zones: model.not_zones.into_list(),
        domains: model.domains.into_list(),
    }
}

fn service_accounts(model: ServiceAccountsModel) -> ServiceAccounts {
    ServiceAccounts { names: model.names.into_list(), selector: model.selector.into_value() }
}

fn service_ref(model: ServiceRefModel) -> Option<ServiceRef> {
    Some(ServiceRef { name: model.name.into_value()?, namespace: model.namespace.into_value() })
}

pub(super) fn namespace(model: NamespaceModel) -> Option<Namespace> {
    Some(Namespace { name: model.name.into_value()?, labels: model.labels.into_value().unwrap_or_default() })
}

pub(super) fn endpoint(model: EndpointModel) -> Option<Endpoint> {
    Some(Endpoint {
        name: model.name.into_value()?,
        namespace: model.namespace.into_value(),
        kind: model.kind.into_value()?,
        addresses: model.addresses.into_list(),
        labels: model.labels.into_value().unwrap_or_default(),
        service_account: model.service_account.into_value(),
        ports: model.ports.into_iter().filter_map(named_port).collect(),
        profiles: model.profiles.into_list(),
    })
}

fn named_port(model: NamedPortModel) -> Option<NamedPort> {
    Some(NamedPort {
        name: model.name.into_value()?,
        protocol: model.protocol.into_value()?,
        port: model.port.into_value()?,
    })
}

pub(super) fn service(model: ServiceModel) -> Option<Service> {
    Some(Service {
        name: model.name.into_value()?,
        namespace: model.namespace.into_value(),
        selector: model.selector.into_value(),
        addresses: model.addresses.into_list(),
        ports: model.ports.into_iter().filter_map(service_port).collect(),
    })
}

fn service_port(model: ServicePortModel) -> Option<ServicePort> {
    let port = model.port.into_value()?;
    Some(ServicePort {
        name: model.name.into_value(),
        protocol: model.protocol.into_value()?,
        port,
        target: model.target.into_value().unwrap_or(TargetPort::Number(port)),
    })
}

pub(super) fn network_set(model: NetworkSetModel) -> Option<NetworkSet> {
    Some(NetworkSet {
        name: model.name.into_value()?,
        namespace: model.namespace.into_value(),
        labels: model.labels.into_value().unwrap_or_default(),
        nets: model.nets.into_list(),
        nets_file: model.nets_file.into_value(),
        except: model.except.into_list(),
        domains: model.domains.into_list(),
    })
}
