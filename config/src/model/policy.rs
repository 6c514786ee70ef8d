use crate::resources::{
    IpVersion, Labels, OnChange, Order, PortMatch, RateLimit, RuleAction, StagedAction, TierDefault, Types,
};
use crate::schema::{
    entry,
    parser::{
        boolean, description, domain, integer, ip_version, labels, list, name, order, port_match, prefix,
        protocol, resource_name, selector, types, word,
    },
    reader::At,
};
use crate::selector::Selector;
use crate::types::{IfName, IpNet, Protocol};

entry! {
    /// A group of policies that is asked before or behind other groups. There are three unless they are declared otherwise:
    /// `kube-admin` (order 1000, `pass`), `default` (order 1000000, `deny`) and `kube-baseline` (order 10000000, `pass`).
    struct TierModel in "tier" {
        /// What policies call it. Unique.
        name: String = Required => resource_name(), Live;
        /// Its place among tiers: lower numbers first, equal ones by name.
        order: Order = Means("last") => order(), Live;
        /// What happens to a flow that none of its policies decides, if one of them selects the endpoint: it is denied (`deny`),
        /// or the next tier is asked (`pass`).
        default: TierDefault = Or(TierDefault::Deny) => word(), Live;
    }
}

entry! {
    /// Rules for the endpoints that a selector chooses. They decide about the first packet of a flow: its source's `egress`
    /// rules, then its destination's `ingress` rules. The first rule that matches decides.
    struct PolicyModel in "policy" {
        /// What traces and commands call it. Unique in its tier and namespace; a staged policy may be called as the one that it
        /// would replace.
        name: String = Required => resource_name(), Live;
        /// Where it lives: it selects only endpoints of this namespace.
        namespace: String = Means("global") => resource_name(), Live;
        /// The tier that it belongs to.
        tier: String = Or("default".to_owned()) => resource_name(), Live;
        /// Its place in the tier: lower numbers first, equal ones by name, then namespace.
        order: Order = Means("last") => order(), Live;
        /// The policy is only tried out: it would be made, or replace the one of the same tier, namespace and name (`set`), or
        /// that one would go away (`delete`).
        staged: StagedAction = Means("enforced") => word(), Live;
        /// The endpoints that it applies to.
        selector: Selector = Or(Selector::all()) => selector(), Live;
        /// Only endpoints of the namespaces with such labels. Global policies only.
        namespace_selector: Selector = Means("any") => selector(), Live;
        /// Only endpoints whose service accounts have such labels.
        service_account_selector: Selector = Means("any") => selector(), Live;
        /// The directions that it governs: what none of its tier's policies allows there is left to the tier's `default`.
        types: Types = Means("the directions with rules; `[\"ingress\"]` if there are none") => types(), Live;
        /// What happens to flows that were allowed and that it denies after a change: they go on (`keep`), their packets are
        /// dropped (`drop`), or both ends of a TCP connection are sent a reset as well (`reset`).
        on_change: OnChange = Means("`on_change` of the section `[enforcement]`") => word(), Live;
    }
    entries {
        /// Rules about flows to its endpoints, in the order in which they are asked.
        ingress: PolicyRuleModel;
        /// Rules about flows from its endpoints, in the order in which they are asked.
        egress: PolicyRuleModel;
    }
}

entry! {
    /// Rules and labels that endpoints share by name. The rules are asked when no tier has decided. There are, unless they are
    /// declared otherwise: `projectcalico-default-allow`, `default-allow` and `kns.<namespace>` for each namespace, which allow
    /// everything.
    struct ProfileModel in "profile" {
        /// What endpoints call it. Unique.
        name: String = Required => resource_name(), Live;
        /// Labels that the endpoints inherit.
        labels_to_apply: Labels = Means("none") => labels(), Live;
    }
    entries {
        /// Rules about flows to its endpoints, in the order in which they are asked.
        ingress: PolicyRuleModel;
        /// Rules about flows from its endpoints, in the order in which they are asked.
        egress: PolicyRuleModel;
    }
}

entry! {
    /// A rule. All that it mentions must hold; what it does not mention it does not ask for.
    struct PolicyRuleModel in "policy.ingress", "policy.egress", "profile.ingress", "profile.egress" {
        /// What happens to a flow that matches: its packets go on (`allow`), are dropped (`deny`), or are dropped and the sender is
        /// told (`reject`: a reset for TCP, else ICMP). Or it is noted and the next rule is asked (`log`), or the rest of the tier
        /// is skipped (`pass`; in a profile this denies).
        action: RuleAction = Required => word(), Live;
        /// Why it is there.
        description: String = Means("none") => description(), Live;
        /// The version of IP. ICMP implies 4, ICMPv6 implies 6.
        ip_version: IpVersion = Means("any") => ip_version(), Live;
        /// The protocol that IP carries.
        protocol: Protocol = Means("any") => protocol(), Live;
        /// Any other protocol than this.
        not_protocol: Protocol = Means("none") => protocol(), Live;
        /// The most new flows that it matches in a time, such as `"100/second"`, by `second`, `minute`, `hour` or `day`. Beyond
        /// that their packets are dropped.
        rate_limit: RateLimit = Means("none") => name("number of flows in a time"), Live;
        /// Whether the packets of each flow that meets the rule, from before and after that, are saved to a file: see
        /// `[capture.trigger]`. Needs a `[capture.ring]`.
        capture: bool = Or(false) => boolean(), Live;
    }
    tables {
        /// ICMP messages like this, of ICMP or ICMPv6; `protocol` may say which.
        icmp: IcmpModel;
        /// ICMP messages unlike this, of ICMP or ICMPv6; `protocol` may say which.
        not_icmp: IcmpModel;
        /// The side that opens the flow.
        source: EntityModel;
        /// The other side.
        destination: EntityModel;
    }
}

entry! {
    /// ICMP messages, in a rule.
    struct IcmpModel in "icmp", "not_icmp" as Inner {
        /// The type.
        r#type: u8 = Required => integer(0..=254), Live;
        /// The code.
        code: u8 = Means("any") => integer(0..=255), Live;
    }
}

entry! {
    /// One side of a flow, in a rule.
    struct EntityModel in "source", "destination" as Inner {
        /// In one of these networks. IPv4 and IPv6 do not mix within a rule.
        nets: Vec<At<IpNet>> = Means("any") => list("addresses or prefixes", prefix()), Live;
        /// In none of these networks.
        not_nets: Vec<At<IpNet>> = Means("none") => list("addresses or prefixes", prefix()), Live;
        /// An endpoint or network set with such labels; of the policy's own namespace, unless there is a `namespace_selector`.
        selector: Selector = Means("any") => selector(), Live;
        /// Anything but an endpoint or network set with such labels; addresses that are neither included.
        not_selector: Selector = Means("none") => selector(), Live;
        /// Of a namespace with such labels; `global()` for what belongs to none.
        namespace_selector: Selector = Means("any") => selector(), Live;
        /// At one of these ports, by number, range (`"8000-8099"`) or the name that endpoints give it. Needs the protocol `tcp`,
        /// `udp` or `sctp`.
        ports: Vec<At<PortMatch>> = Means("any") => list("ports", port_match()), Live;
        /// At none of these ports.
        not_ports: Vec<At<PortMatch>> = Means("none") => list("ports", port_match()), Live;
        /// In one of these zones, as `zone` of `[[interface]]` says: of a source, of the interface where its packets come in; of a
        /// destination, of the interface by which they leave. The appliance itself and interfaces without `zone` are in none.
        zones: Vec<At<IfName>> = Means("any") => list("names of zones", name("name of a zone")), Live;
        /// In none of these zones. What is in no zone at all is in none of these.
        not_zones: Vec<At<IfName>> = Means("none") => list("names of zones", name("name of a zone")), Live;
        /// Under one of these names. Kept, but not acted upon yet: a rule with domains matches nothing.
        domains: Vec<At<String>> = Means("any") => list("domain names", domain()), Live;
    }
    tables {
        /// Under one of these service accounts.
        service_accounts: ServiceAccountsModel;
        /// Behind this service, at its ports.
        services: ServiceRefModel;
    }
}

entry! {
    /// Service accounts, in `source` or `destination`. Names and labels must both hold.
    struct ServiceAccountsModel in "service_accounts" as Inner {
        /// One of these.
        names: Vec<At<String>> = Means("any") => list("names", resource_name()), Live;
        /// With such labels.
        selector: Selector = Means("any") => selector(), Live;
    }
}

entry! {
    /// A service, in `source` or `destination`.
    struct ServiceRefModel in "services" as Inner {
        /// Its name.
        name: String = Required => resource_name(), Live;
        /// Its namespace.
        namespace: String = Means("the policy's own") => resource_name(), Live;
    }
}
