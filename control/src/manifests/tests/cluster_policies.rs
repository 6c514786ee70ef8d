//! `ClusterNetworkPolicy`, `AdminNetworkPolicy` and `BaselineAdminNetworkPolicy`.

use super::*;

fn policy(kind: &str, spec: &str) -> String {
    let version = if kind == "ClusterNetworkPolicy" { "v1alpha2" } else { "v1alpha1" };
    format!(
        "apiVersion: policy.networking.k8s.io/{version}\nkind: {kind}\nmetadata: {{name: p}}\nspec: {spec}\nstatus: {{}}\n"
    )
}

fn cluster(rules: &str) -> String {
    policy(
        "ClusterNetworkPolicy",
        &format!("{{tier: Admin, priority: 7, subject: {{namespaces: {{}}}}, {rules}}}"),
    )
}

#[test]
fn each_kind_has_its_tier_order_and_name() {
    let ingress = "subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]";
    for (kind, spec, name, tier, order) in [
        ("ClusterNetworkPolicy", "tier: Admin, priority: 0", "kcnp.p", "kube-admin", 0.0),
        ("ClusterNetworkPolicy", "tier: Baseline, priority: 1000", "kcnp.p", "kube-baseline", 1000.0),
        ("AdminNetworkPolicy", "priority: 3", "kanp.p", "kube-admin", 3.0),
        ("BaselineAdminNetworkPolicy", "", "kbanp.p", "kube-baseline", 1000.0),
    ] {
        let comma = if spec.is_empty() { "" } else { ", " };
        let policy = only(clean(&policy(kind, &format!("{{{spec}{comma}{ingress}}}"))));
        assert_eq!((&*policy.name, &*policy.tier, policy.order.number()), (name, tier, Some(order)));
        assert_eq!(policy.namespace, None);
    }
    for spec in ["tier: Root, priority: 1", "tier: Admin, priority: 1001", "tier: Admin", "priority: 1"] {
        let result = imported(&policy("ClusterNetworkPolicy", &format!("{{{spec}, {ingress}}}")));
        assert!(result.has_errors() && result.resources.policies.is_empty(), "{spec}");
    }
}

#[test]
fn subjects_are_pods_of_namespaces() {
    let rules = "ingress: [{action: Pass, from: [{namespaces: {}}]}]";
    for (subject, selector, namespaces) in [
        ("namespaces: {}", "projectcalico.org/orchestrator == 'k8s'", "all()"),
        ("namespaces: {matchLabels: {a: b}}", "projectcalico.org/orchestrator == 'k8s'", "a == 'b'"),
        (
            "pods: {namespaceSelector: {matchLabels: {a: b}}, podSelector: {matchLabels: {c: d}}}",
            "projectcalico.org/orchestrator == 'k8s' && c == 'd'",
            "a == 'b'",
        ),
        ("pods: {podSelector: {}}", "projectcalico.org/orchestrator == 'k8s'", "all()"),
    ] {
        let spec = format!("{{tier: Admin, priority: 1, subject: {{{subject}}}, {rules}}}");
        let policy = only(clean(&policy("ClusterNetworkPolicy", &spec)));
        assert_eq!(policy.selector.to_string(), selector);
        assert_eq!(policy.namespace_selector.unwrap().to_string(), namespaces);
        assert!(policy.types.ingress && !policy.types.egress);
    }
    for subject in ["", "nodes: {}", "namespaces: {}, pods: {podSelector: {}}"] {
        let spec = format!("{{tier: Admin, priority: 1, subject: {{{subject}}}, {rules}}}");
        assert!(imported(&policy("ClusterNetworkPolicy", &spec)).has_errors());
    }
}

#[test]
fn a_direction_without_rules_is_not_governed() {
    let result = imported(&cluster("ingress: []"));
    assert_eq!(result.resources, Resources::default());
    assert_eq!((result.remarks.len(), result.has_errors()), (1, false));
}

#[test]
fn peers_and_protocols_of_cluster_network_policies() {
    let policy = only(clean(&cluster(
        "egress: [{name: dns, action: Accept, to: [{networks: [10.0.0.0/8, 'fd00::/8', 192.0.2.1/24]}], protocols: [{udp: \
         {destinationPort: {number: 53}}}, {tcp: {destinationPort: {range: {start: 1, end: 5}}}}, {tcp: {destinationPort: \
         {number: 6}}}]}, {action: Deny, to: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}}], \
         protocols: [{sctp: {}}]}, {action: Pass, to: [{namespaces: {}}], protocols: [{destinationNamedPort: http}]}]",
    )));
    let pod = "selector = \"projectcalico.org/orchestrator == 'k8s'";
    assert_eq!(
        rules(&policy.egress),
        [
            "action = \"allow\"; description = \"dns\"; ip_version = 4; protocol = \"udp\"; [destination]; nets = [\"10.0.0.0/8\", \"192.0.2.0/24\"]; ports = [53]".to_owned(),
            "action = \"allow\"; description = \"dns\"; ip_version = 6; protocol = \"udp\"; [destination]; nets = [\"fd00::/8\"]; ports = [53]".to_owned(),
            "action = \"allow\"; description = \"dns\"; ip_version = 4; protocol = \"tcp\"; [destination]; nets = [\"10.0.0.0/8\", \"192.0.2.0/24\"]; ports = [\"1-6\"]".to_owned(),
            "action = \"allow\"; description = \"dns\"; ip_version = 6; protocol = \"tcp\"; [destination]; nets = [\"fd00::/8\"]; ports = [\"1-6\"]".to_owned(),
            format!("action = \"deny\"; protocol = \"sctp\"; [destination]; {pod} && a == 'b'\"; namespace_selector = \"all()\""),
            format!("action = \"pass\"; protocol = \"tcp\"; [destination]; {pod}\"; namespace_selector = \"all()\"; ports = [\"http\"]"),
            format!("action = \"pass\"; protocol = \"udp\"; [destination]; {pod}\"; namespace_selector = \"all()\"; ports = [\"http\"]"),
            format!("action = \"pass\"; protocol = \"sctp\"; [destination]; {pod}\"; namespace_selector = \"all()\"; ports = [\"http\"]"),
        ]
    );
}

#[test]
fn ports_of_admin_network_policies() {
    let policy = only(clean(&policy(
        "AdminNetworkPolicy",
        "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}], ports: [{portNumber: \
         {protocol: UDP, port: 53}}, {portRange: {start: 80, end: 90}}, {namedPort: web}]}]}",
    )));
    let rules = rules(&policy.ingress);
    let ports: Vec<_> = rules
        .iter()
        .map(|rule| {
            rule.split("; ")
                .filter(|part| part.contains("proto") || part.contains("ports"))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(
        ports,
        [
            "protocol = \"udp\" ports = [53, \"web\"]",
            "protocol = \"tcp\" ports = [\"80-90\", \"web\"]",
            "protocol = \"sctp\" ports = [\"web\"]",
        ]
    );
}

#[test]
fn rules_that_are_not_understood_fail_closed() {
    for content in [
        "to: [{nodes: {}}]",
        "to: [{domainNames: ['*.example.org']}]",
        "to: [{planets: {}}]",
        "to: [{}]",
        "to: []",
        "from: [{namespaces: {}}]",
        "to: [{namespaces: {}, networks: [10.0.0.0/8]}]",
        "to: [{networks: [10.0.0.0]}]",
        "to: [{namespaces: {}}], protocols: [{}]",
        "to: [{namespaces: {}}], protocols: [{icmp: {}}]",
        "to: [{namespaces: {}}], protocols: [{tcp: {}, udp: {}}]",
        "to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {}}}]",
        "to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 2, end: 1}}}}]",
        "to: [{namespaces: {}}], protocols: [{tcp: {sourcePort: {number: 1}}}]",
        "to: [{namespaces: {}}], when: later",
    ] {
        for (action, kept) in [
            ("Accept", "action = \"pass\""),
            ("Deny", "action = \"deny\""),
            ("Pass", "action = \"deny\""),
            ("Allow", "action = \"deny\""),
            ("[]", "action = \"deny\""),
        ] {
            let rest = "{action: Pass, to: [{networks: [10.0.0.0/8]}]}";
            let result = imported(&cluster(&format!("egress: [{{action: {action}, {content}}}, {rest}]")));
            assert_eq!((result.remarks.len(), result.has_errors()), (1, true), "{action} {content}");
            let rules = rules(&only(result.resources).egress);
            assert_eq!(rules[0].split(';').next(), Some(kept), "{action} {content}");
            assert_eq!(rules.len(), if action == "Accept" { 1 } else { 2 }, "{action} {content}");
        }
    }
}
