//! Objects of Calico.

use super::*;

/// An object of Calico's API; the namespace is of no meaning for kinds without.
fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop, labels: {{x: y}}}}\nspec: \
         {spec}\n"
    )
}

/// The egress rules of a global policy that comes over without a remark.
#[track_caller]
fn egress(list: &str) -> Vec<String> {
    rules(&only(clean(&object("GlobalNetworkPolicy", "p", &format!("{{egress: {list}}}")))).egress)
}

#[test]
fn tiers() {
    let yaml = [
        object("Tier", "security", "{order: 100.5, defaultAction: Pass}"),
        object("Tier", "last", "{}"),
        object("Tier", "bare", "null"),
    ]
    .join("---\n");
    assert_eq!(
        toml(&clean(&yaml)),
        "[[tier]]\nname = \"security\"\norder = 100.5\ndefault = \"pass\"\n\n[[tier]]\nname = \"last\"\ndefault = \
         \"deny\"\n\n[[tier]]\nname = \"bare\"\ndefault = \"deny\"\n"
    );
    for spec in ["{defaultAction: Allow}", "{order: .inf}", "{order: '1'}"] {
        assert!(imported(&object("Tier", "t", spec)).has_errors(), "{spec}");
    }
}

#[test]
fn policies_lose_the_prefix_of_their_tier() {
    for (name, tier, expected) in [
        ("security.block", "tier: security, ", "block"),
        ("block", "tier: security, ", "block"),
        ("default.block", "", "block"),
        ("block", "", "block"),
        ("security.block", "", "security.block"),
        ("knp.default.x", "", "knp.default.x"),
    ] {
        let policy = only(clean(&object("NetworkPolicy", name, &format!("{{{tier}order: 5}}"))));
        assert_eq!(policy.name, expected);
        assert_eq!(policy.namespace.as_deref(), Some("shop"));
        assert_eq!(policy.tier, if tier.is_empty() { "default" } else { "security" });
    }
}

#[test]
fn a_policy_with_everything() {
    let spec = "{tier: t, order: -1.5, selector: a == 'b', serviceAccountSelector: c == 'd', types: [Ingress, Egress], \
                performanceHints: [AssumeNeededOnEveryNode]}";
    assert_eq!(
        toml(&clean(&object("NetworkPolicy", "t.p", spec))),
        "[[policy]]\nname = \"p\"\nnamespace = \"shop\"\ntier = \"t\"\norder = -1.5\nselector = \"a == 'b'\"\n\
         service_account_selector = \"c == 'd'\"\ntypes = [\"ingress\", \"egress\"]\non_change = \"drop\"\n"
    );
    let global =
        only(clean(&object("GlobalNetworkPolicy", "p", "{namespaceSelector: has(n), doNotTrack: false}")));
    assert_eq!(global.namespace, None);
    assert_eq!(global.namespace_selector.unwrap().to_string(), "has(n)");
    assert!(global.selector.is_all());
    // A namespaced policy has no such field.
    assert!(!imported(&object("NetworkPolicy", "p", "{namespaceSelector: has(n)}")).remarks.is_empty());
}

#[test]
fn types_are_inferred_from_rules() {
    for (spec, ingress, egress) in [
        ("{}", true, false),
        ("{ingress: [{action: Allow}]}", true, false),
        ("{egress: [{action: Allow}]}", false, true),
        ("{ingress: [{action: Allow}], egress: [{action: Allow}]}", true, true),
        ("{types: [Egress]}", false, true),
    ] {
        let types = only(clean(&object("NetworkPolicy", "p", spec))).types;
        assert_eq!((types.ingress, types.egress), (ingress, egress), "{spec}");
    }
    let left_out = imported(&object("NetworkPolicy", "p", "{egress: [{action: Allow, http: {}}]}"));
    assert!(only(left_out.resources).types.egress);
}

#[test]
fn staged_policies() {
    use ravelin_config::resources::StagedAction::{Delete, Set};
    for kind in ["StagedNetworkPolicy", "StagedGlobalNetworkPolicy"] {
        for (spec, staged) in
            [("{}", Set), ("{stagedAction: Set}", Set), ("{stagedAction: Delete, tier: t}", Delete)]
        {
            assert_eq!(only(clean(&object(kind, "p", spec))).staged, Some(staged), "{kind} {spec}");
        }
        for action in ["Learn", "Ignore"] {
            let result = imported(&object(kind, "p", &format!("{{stagedAction: {action}}}")));
            assert_eq!((result.remarks.len(), result.has_errors()), (1, false));
            assert_eq!(result.resources, Resources::default());
        }
        assert!(imported(&object(kind, "p", "{stagedAction: Try}")).has_errors());
    }
    for name in ["p", "knp.default.p"] {
        let spec = "{podSelector: {matchLabels: {a: b}}, ingress: [{}], stagedAction: Set}";
        let policy = only(clean(&object("StagedKubernetesNetworkPolicy", name, spec)));
        assert_eq!(
            (&*policy.name, policy.staged, policy.order.number()),
            ("knp.default.p", Some(Set), Some(1000.0))
        );
        assert_eq!(policy.selector.to_string(), "projectcalico.org/orchestrator == 'k8s' && a == 'b'");
        assert_eq!(policy.ingress.len(), 1);
    }
    let delete = "{stagedAction: Delete, egress: [{action: Allow}]}";
    assert_eq!(only(clean(&object("StagedNetworkPolicy", "p", delete))).egress, []);
    // A staged policy may have the name of the one that it would replace.
    let both = [object("NetworkPolicy", "p", "{}"), object("StagedNetworkPolicy", "p", "{}")].join("---\n");
    assert_eq!(clean(&both).policies.len(), 2);
}

#[test]
fn forwarding() {
    for (spec, carried, errors) in [
        ("{doNotTrack: true, applyOnForward: true}", 0, true),
        ("{preDNAT: true, applyOnForward: true}", 0, true),
        ("{applyOnForward: true}", 1, false),
    ] {
        let result = imported(&object("GlobalNetworkPolicy", "p", spec));
        assert_eq!(result.resources.policies.len(), carried, "{spec}");
        assert_eq!((result.remarks.len(), result.has_errors()), (1, errors), "{spec}");
    }
}

#[test]
fn every_field_of_a_rule() {
    assert_eq!(egress("[{action: Allow}, {action: Deny}, {action: Log}, {action: Pass}]").len(), 4);
    for (yaml, toml) in [
        ("protocol: TCP", "protocol = \"tcp\""),
        ("protocol: UDPLite", "protocol = \"udplite\""),
        ("protocol: 47", "protocol = \"gre\""),
        ("notProtocol: SCTP", "not_protocol = \"sctp\""),
        ("ipVersion: 6", "ip_version = 6"),
        ("protocol: ICMP, icmp: {type: 8, code: 0}", "protocol = \"icmp\"; [icmp]; type = 8; code = 0"),
        ("protocol: ICMPv6, notICMP: {type: 1}", "protocol = \"icmpv6\"; [not_icmp]; type = 1"),
        ("protocol: ICMP, icmp: {}", "protocol = \"icmp\""),
        ("metadata: {annotations: {a: b}}, protocol: TCP", "protocol = \"tcp\""),
        ("source: {nets: [10.1.2.3/8, 192.0.2.1]}", "[source]; nets = [\"10.0.0.0/8\", \"192.0.2.1/32\"]"),
        ("destination: {notNets: ['fd00::/8']}", "[destination]; not_nets = [\"fd00::/8\"]"),
        ("source: {selector: a == 'b'}", "[source]; selector = \"a == 'b'\""),
        ("source: {selector: ''}", ""),
        ("source: {notSelector: has(a)}", "[source]; not_selector = \"has(a)\""),
        ("source: {namespaceSelector: global()}", "[source]; namespace_selector = \"global()\""),
        (
            "source: {serviceAccounts: {names: [a, b], selector: c == 'd'}}",
            "[source.service_accounts]; names = [\"a\", \"b\"]; selector = \"c == 'd'\"",
        ),
        (
            "destination: {services: {name: web, namespace: shop}}",
            "[destination.services]; name = \"web\"; namespace = \"shop\"",
        ),
        (
            "protocol: TCP, destination: {ports: [80, '443', 1000:2000, http], notPorts: [81]}",
            "protocol = \"tcp\"; [destination]; ports = [80, 443, \"1000-2000\", \"http\"]; not_ports = [81]",
        ),
        ("protocol: UDP, source: {ports: [53]}", "protocol = \"udp\"; [source]; ports = [53]"),
    ] {
        let expected = if toml.is_empty() { toml.to_owned() } else { format!("; {toml}") };
        assert_eq!(
            egress(&format!("[{{action: Allow, {yaml}}}]")),
            [format!("action = \"allow\"{expected}")]
        );
    }
}

#[test]
fn networks_of_both_families_become_a_rule_for_each() {
    let rule = |sides: &str| egress(&format!("[{{action: Deny, {sides}}}]"));
    assert_eq!(
        rule("source: {nets: [10.0.0.0/8, 'fd00::/8']}, destination: {notNets: [192.0.2.0/24]}"),
        [
            "action = \"deny\"; ip_version = 4; [source]; nets = [\"10.0.0.0/8\"]; [destination]; not_nets = [\"192.0.2.0/24\"]",
            "action = \"deny\"; ip_version = 6; [source]; nets = [\"fd00::/8\"]",
        ]
    );
    assert_eq!(
        rule("destination: {notNets: [192.0.2.0/24, 'fd00::/8']}"),
        [
            "action = \"deny\"; ip_version = 4; [destination]; not_nets = [\"192.0.2.0/24\"]",
            "action = \"deny\"; ip_version = 6; [destination]; not_nets = [\"fd00::/8\"]",
        ]
    );
    assert_eq!(rule("ipVersion: 6, source: {nets: [10.0.0.0/8, 'fd00::/8']}").len(), 1);
    assert_eq!(rule("protocol: ICMP, source: {nets: [10.0.0.0/8, 'fd00::/8']}").len(), 1);
    assert_eq!(rule("ipVersion: 6, source: {notNets: [10.0.0.0/8]}"), ["action = \"deny\"; ip_version = 6"]);
    for never in [
        "source: {nets: [10.0.0.0/8]}, destination: {nets: ['fd00::/8']}",
        "ipVersion: 6, source: {nets: [10.0.0.0/8]}",
    ] {
        let result = imported(&object(
            "GlobalNetworkPolicy",
            "p",
            &format!("{{egress: [{{action: Deny, {never}}}]}}"),
        ));
        assert_eq!((result.remarks.len(), result.has_errors()), (1, false));
        assert_eq!(only(result.resources).egress, []);
    }
    assert_eq!(rule("source: {nets: ['fd00::/8']}, destination: {notNets: ['fd01::/16']}").len(), 1);
}

#[test]
fn rules_that_are_not_understood_fail_closed() {
    for rule in [
        "http: {methods: [GET]}",
        "destination: {domains: [example.org], zone: a}",
        "source: {domains: [example.org]}",
        "source: {ports: [80]}",
        "protocol: ICMP, source: {ports: [80]}",
        "protocol: ICMP, ipVersion: 6",
        "protocol: TCP, icmp: {type: 8}",
        "protocol: ICMP, icmp: {code: 1}",
        "protocol: ICMP, icmp: {type: 255}",
        "protocol: ICMP, notICMP: {}",
        "protocol: 0",
        "protocol: SPX",
        "ipVersion: 5",
        "source: {nets: [nowhere]}",
        "source: {notNets: [0.0.0.0/0]}",
        "source: {selector: 'has (x)'}",
        "source: {selector: global()}",
        "source: {services: {name: a}}",
        "source: {services: {name: a, namespace: b}, selector: all()}",
        "protocol: TCP, destination: {services: {name: a, namespace: b}, ports: [80]}",
        "protocol: TCP, destination: {services: {name: a, namespace: b}, notPorts: [80]}",
        "protocol: TCP, destination: {ports: ['2:1']}",
        "protocol: TCP, destination: {ports: [1-5]}",
        "protocol: TCP, destination: {ports: [70000]}",
        "when: later",
    ] {
        for (action, kept) in [
            ("Allow", None),
            ("Log", None),
            ("Deny", Some("deny")),
            ("Pass", Some("deny")),
            ("Reject", Some("deny")),
        ] {
            let spec = format!("{{egress: [{{action: {action}, {rule}}}]}}");
            let result = imported(&object("GlobalNetworkPolicy", "p", &spec));
            assert_eq!((result.remarks.len(), result.has_errors()), (1, action != "Log"), "{action} {rule}");
            let expected: Vec<_> = kept.iter().map(|action| format!("action = \"{action}\"")).collect();
            assert_eq!(rules(&only(result.resources).egress), expected, "{action} {rule}");
        }
    }
}

#[test]
fn domains_are_kept_and_said_to_match_nothing() {
    let rule = "{action: Allow, destination: {domains: ['*.example.org']}}";
    let result = imported(&object("GlobalNetworkPolicy", "p", &format!("{{egress: [{rule}]}}")));
    assert_eq!((result.remarks.len(), result.has_errors()), (1, false));
    assert_eq!(
        rules(&only(result.resources).egress),
        ["action = \"allow\"; [destination]; domains = [\"*.example.org\"]"]
    );
    // As in Calico, they are for leaving only, and for allowing only.
    assert!(imported(&object("GlobalNetworkPolicy", "p", &format!("{{ingress: [{rule}]}}"))).has_errors());
    let deny = rule.replace("Allow", "Deny");
    assert!(imported(&object("GlobalNetworkPolicy", "p", &format!("{{egress: [{deny}]}}"))).has_errors());
}

#[test]
fn services_of_namespaced_policies_are_those_of_the_namespace() {
    let spec = "{egress: [{action: Allow, destination: {services: {name: a}}}]}";
    let policy = only(clean(&object("NetworkPolicy", "p", spec)));
    assert_eq!(rules(&policy.egress), ["action = \"allow\"; [destination.services]; name = \"a\""]);
}

#[test]
fn what_is_longer_than_allowed_is_divided_if_that_means_the_same() {
    let nets = (0..600).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect::<Vec<_>>().join(", ");
    let ports = (0..60).map(|n| (n * 2 + 1).to_string()).collect::<Vec<_>>().join(", ");
    let lists = |rule: &str| {
        let spec = format!("{{egress: [{{action: Allow, protocol: TCP, {rule}}}]}}");
        let rules = only(clean(&object("GlobalNetworkPolicy", "p", &spec))).egress;
        rules.iter().map(|rule| (rule.source.nets.len(), rule.destination.ports.len())).collect::<Vec<_>>()
    };
    assert_eq!(
        lists(&format!("source: {{nets: [{nets}]}}, destination: {{ports: [{ports}]}}")),
        [(256, 50), (256, 10), (256, 50), (256, 10), (88, 50), (88, 10)]
    );
    for (rule, problem) in [
        (format!("source: {{notNets: [{nets}]}}"), "more than 256 networks or 50 ports that must not match"),
        (
            format!("source: {{notPorts: [{ports}]}}"),
            "more than 256 networks or 50 ports that must not match",
        ),
    ] {
        let spec = format!("{{egress: [{{action: Pass, protocol: TCP, {rule}}}]}}");
        let result = imported(&object("GlobalNetworkPolicy", "p", &spec));
        assert_eq!((result.remarks.len(), &*result.remarks[0].problem), (1, problem));
        assert_eq!(rules(&only(result.resources).egress), ["action = \"deny\""]);
    }
    let list = |length: usize, member: &str| format!("[{}]", format!("{member}, ").repeat(length));
    let (nets, ports) = (list(20_000, "10.0.0.0/8"), list(5_000, "1"));
    let side = format!("{{nets: {nets}, ports: {ports}}}");
    let spec = format!("{{egress: [{{action: Deny, protocol: TCP, source: {side}, destination: {side}}}]}}");
    let result = imported(&object("GlobalNetworkPolicy", "p", &spec));
    assert_eq!(result.remarks[0].problem, "the rule has too many networks and ports");
}

#[test]
fn policies_with_too_many_rules_are_not_carried_over() {
    let policy = |rules: usize| {
        object("NetworkPolicy", "p", &format!("{{ingress: [{}]}}", "{action: Log}, ".repeat(rules)))
    };
    assert_eq!(only(clean(&policy(1024))).ingress.len(), 1024);
    let result = imported(&policy(1025));
    assert!(result.has_errors());
    assert_eq!(result.remarks[0].field.as_deref(), Some("spec.ingress[1024]"));
    assert_eq!(result.resources, Resources::default());
}

#[test]
fn the_names_of_policies_stay_within_what_is_allowed() {
    let result = imported(&object("StagedKubernetesNetworkPolicy", &"a".repeat(250), "{podSelector: {}}"));
    assert!(result.has_errors() && result.resources.policies.is_empty());
}

#[test]
fn network_sets() {
    let yaml = [
        object("NetworkSet", "a", "{nets: [10.0.0.0/8, 192.0.2.1, 'fd00::/8']}"),
        object("GlobalNetworkSet", "a", "{nets: [10.0.0.0/8]}"),
    ]
    .join("---\n");
    assert_eq!(
        toml(&clean(&yaml)),
        "[[network_set]]\nname = \"a\"\nnamespace = \"shop\"\nnets = [\"10.0.0.0/8\", \"192.0.2.1/32\", \"fd00::/8\"]\n\n\
         [network_set.labels]\nx = \"y\"\n\n[[network_set]]\nname = \"a\"\nnets = [\"10.0.0.0/8\"]\n\n[network_set.labels]\nx = \"y\"\n"
    );
    let empty = imported(&object("GlobalNetworkSet", "a", "null"));
    assert_eq!((empty.resources, empty.remarks.len()), (Resources::default(), 1));
    let result = imported(&object("GlobalNetworkSet", "a", "{allowedEgressDomains: [example.org]}"));
    assert_eq!((result.remarks.len(), result.has_errors()), (1, false));
    assert_eq!(result.resources.network_sets[0].domains, ["example.org"]);
}

#[test]
fn host_endpoints_need_addresses() {
    let spec = "{node: n1, interfaceName: eth0, expectedIPs: [192.0.2.1, 'fd00::1'], profiles: [p], ports: [{name: ssh, \
                protocol: TCP, port: 22}]}";
    assert_eq!(
        toml(&clean(&object("HostEndpoint", "n1-eth0", spec))),
        "[[endpoint]]\nname = \"n1-eth0\"\nkind = \"host\"\naddresses = [\"192.0.2.1/32\", \"fd00::1/128\"]\nprofiles = \
         [\"p\"]\n\n[endpoint.labels]\nx = \"y\"\n\n[[endpoint.ports]]\nname = \"ssh\"\nprotocol = \"tcp\"\nport = 22\n"
    );
    let result = imported(&object("HostEndpoint", "n1-eth0", "{node: n1, interfaceName: '*'}"));
    assert!(result.has_errors());
    assert_eq!(result.resources, Resources::default());
}

#[test]
fn the_workload_endpoint_of_a_pod_is_that_pod() {
    let spec = "{orchestrator: k8s, pod: web-1, node: n1, endpoint: eth0, containerID: c, interfaceName: cali1, \
                ipNetworks: [10.0.0.1/32], profiles: [kns.shop, ksa.shop.default], serviceAccountName: default, ports: \
                [{name: http, protocol: TCP, port: 80}]}";
    let yaml = object("WorkloadEndpoint", "n1-k8s-web--1-eth0", spec);
    let endpoint = clean(&yaml).endpoints.remove(0);
    assert_eq!((&*endpoint.name, endpoint.namespace.as_deref()), ("web-1", Some("shop")));
    assert_eq!(endpoint.profiles, ["kns.shop"]);
    assert_eq!(
        endpoint.labels.iter().collect::<Vec<_>>(),
        [("projectcalico.org/orchestrator", "k8s"), ("x", "y")]
    );
    let pod = "---\n{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop}, spec: {}, status: {podIP: 10.0.0.1}}";
    let both = imported(&(yaml + pod));
    assert_eq!((both.resources.endpoints.len(), both.has_errors()), (1, true));
    let result = imported(&object("WorkloadEndpoint", "w", "{orchestrator: k8s}"));
    assert_eq!((result.remarks.len(), result.has_errors()), (1, false));
}

#[test]
fn profiles() {
    let spec = "{labelsToApply: {a: b}, ingress: [{action: Allow}], egress: [{action: Deny, protocol: TCP}]}";
    assert_eq!(
        toml(&clean(&object("Profile", "p", spec))),
        "[[profile]]\nname = \"p\"\n\n[profile.labels_to_apply]\na = \"b\"\n\n[[profile.ingress]]\naction = \"allow\"\n\n\
         [[profile.egress]]\naction = \"deny\"\nprotocol = \"tcp\"\n"
    );
}

#[test]
fn labels_of_stored_objects_are_in_an_annotation() {
    let yaml = r#"
apiVersion: crd.projectcalico.org/v1
kind: GlobalNetworkSet
metadata:
  name: a
  annotations:
    projectcalico.org/metadata: '{"uid":"1","creationTimestamp":null,"labels":{"feed":"bad","x":"\ud83d\ude00"}}'
spec: {nets: [10.0.0.0/8]}
"#;
    let set = clean(yaml).network_sets.remove(0);
    assert_eq!(set.labels.iter().collect::<Vec<_>>(), [("feed", "bad"), ("x", "😀")]);
    assert!(imported(&yaml.replace("{\"uid\"", "[")).has_errors());
    assert!(imported(&yaml.replace("/v1\n", "/v3\n")).has_errors());
}
