//! Namespaces, pods, services and network policies.

use super::*;

/// A network policy in the namespace `shop`.
fn policy(spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {spec}\n"
    )
}

/// The ingress rules of a policy that comes over without a remark.
#[track_caller]
fn ingress(list: &str) -> Vec<String> {
    rules(&only(clean(&policy(&format!("{{podSelector: {{}}, ingress: {list}}}")))).ingress)
}

#[test]
fn a_network_policy_has_its_place_in_the_default_tier() {
    let yaml = policy(
        "{podSelector: {matchLabels: {b: '2', a: '1'}, matchExpressions: [{key: c, operator: NotIn, values: [y, x]}, \
         {key: d, operator: Exists}, {key: e, operator: DoesNotExist}, {key: f, operator: In, values: [z]}]}}",
    );
    assert_eq!(
        toml(&clean(&yaml)),
        r#"[[policy]]
name = "knp.default.p"
namespace = "shop"
tier = "default"
order = 1000.0
selector = "projectcalico.org/orchestrator == 'k8s' && a == '1' && b == '2' && c not in {'x', 'y'} && has(d) && !has(e) && f in {'z'}"
types = ["ingress"]
on_change = "drop"
"#
    );
    let everywhere = only(clean(&policy("{}").replace(", namespace: shop", "")));
    assert_eq!(everywhere.namespace.as_deref(), Some("default"));
    assert_eq!(everywhere.selector.to_string(), "projectcalico.org/orchestrator == 'k8s'");
}

#[test]
fn types_are_inferred_from_egress_rules() {
    for (spec, types) in [
        ("{podSelector: {}}", (true, false)),
        ("{podSelector: {}, egress: []}", (true, false)),
        ("{podSelector: {}, egress: [{}]}", (true, true)),
        ("{podSelector: {}, policyTypes: []}", (true, false)),
        ("{podSelector: {}, policyTypes: [Egress]}", (false, true)),
        ("{podSelector: {}, policyTypes: [Egress, Ingress]}", (true, true)),
    ] {
        let found = only(clean(&policy(spec))).types;
        assert_eq!((found.ingress, found.egress), types, "{spec}");
    }
}

#[test]
fn rules_of_a_direction_that_is_not_governed_are_left_out() {
    let result = imported(&policy("{podSelector: {}, policyTypes: [Egress], ingress: [{}], egress: [{}]}"));
    assert_eq!((result.remarks.len(), result.has_errors()), (1, false));
    assert_eq!(result.remarks[0].field.as_deref(), Some("spec.ingress"));
    let policy = only(result.resources);
    assert_eq!((policy.ingress.len(), policy.egress.len()), (0, 1));
}

#[test]
fn an_empty_rule_allows_everything_and_an_empty_list_of_rules_nothing() {
    assert_eq!(ingress("[]"), [""; 0]);
    assert_eq!(ingress("[{}]"), ["action = \"allow\""]);
    // An empty list of peers or ports is as good as none.
    assert_eq!(ingress("[{from: [], ports: []}]"), ["action = \"allow\""]);
    assert_eq!(ingress("[{from: null, ports: ~}]"), ["action = \"allow\""]);
}

#[test]
fn peers_are_pods_namespaces_or_networks() {
    let pod = "projectcalico.org/orchestrator == 'k8s'";
    assert_eq!(
        ingress("[{from: [{podSelector: {}}]}]"),
        [format!("action = \"allow\"; [source]; selector = \"{pod}\"")]
    );
    assert_eq!(
        ingress("[{from: [{podSelector: {matchLabels: {app: web}}}]}]"),
        [format!("action = \"allow\"; [source]; selector = \"{pod} && app == 'web'\"")]
    );
    assert_eq!(
        ingress("[{from: [{namespaceSelector: {}}]}]"),
        [format!("action = \"allow\"; [source]; selector = \"{pod}\"; namespace_selector = \"all()\"")]
    );
    assert_eq!(
        ingress(
            "[{from: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: b}}}]}]"
        ),
        [format!(
            "action = \"allow\"; [source]; selector = \"{pod} && app == 'b'\"; namespace_selector = \"team == 'a'\""
        )]
    );
    assert_eq!(
        ingress(
            "[{from: [{ipBlock: {cidr: 10.1.2.3/8, except: [10.1.0.0/16, 10.2.0.0/16]}}, {ipBlock: {cidr: 'fd00::/8'}}]}]"
        ),
        [
            "action = \"allow\"; [source]; nets = [\"10.0.0.0/8\"]; not_nets = [\"10.1.0.0/16\", \"10.2.0.0/16\"]",
            "action = \"allow\"; [source]; nets = [\"fd00::/8\"]",
        ]
    );
}

#[test]
fn egress_rules_name_destinations() {
    let yaml = policy(
        "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 53, protocol: UDP}]}]}",
    );
    assert_eq!(
        rules(&only(clean(&yaml)).egress),
        ["action = \"allow\"; protocol = \"udp\"; [destination]; nets = [\"10.0.0.0/8\"]; ports = [53]"]
    );
}

#[test]
fn there_is_a_rule_for_each_peer_and_protocol_and_ports_become_ranges() {
    let ports = "{port: 80}, {port: 81, protocol: TCP}, {port: 90, endPort: 95}, {port: 94, endPort: 99}, {port: http}, \
                 {port: 53, protocol: UDP}, {protocol: SCTP}, {port: 7, protocol: SCTP}, {port: http}";
    assert_eq!(
        ingress(&format!("[{{ports: [{ports}]}}]")),
        [
            "action = \"allow\"; protocol = \"tcp\"; [destination]; ports = [\"80-81\", \"90-99\", \"http\"]",
            "action = \"allow\"; protocol = \"udp\"; [destination]; ports = [53]",
            "action = \"allow\"; protocol = \"sctp\"",
        ]
    );
    let both = ingress(
        "[{from: [{ipBlock: {cidr: 1.0.0.0/8}}, {ipBlock: {cidr: 2.0.0.0/8}}], ports: [{port: 1}, {port: 2, protocol: UDP}]}]",
    );
    assert_eq!(both.len(), 4);
}

#[test]
fn a_rule_that_is_not_understood_is_left_out_and_the_others_stay() {
    for (rule, field, problem) in [
        ("{form: [{podSelector: {}}]}", ".form", "this field is not known"),
        ("{from: [{podSelector: {}, zone: a}]}", ".from[0].zone", "this field is not known"),
        (
            "{from: [{podSelector: {matchLabel: {a: b}}}]}",
            ".from[0].podSelector.matchLabel",
            "this field is not known",
        ),
        ("{from: [{}]}", ".from[0]", "it names no peer"),
        ("{from: [{podSelector: null}]}", ".from[0]", "it names no peer"),
        ("{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}", ".from[0].ipBlock.cidr", "invalid IP address syntax"),
        (
            "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/8']}}]}",
            ".from[0].ipBlock.except[0]",
            "fd00::/8 is no part of 10.0.0.0/8",
        ),
        (
            "{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}",
            ".from[0]",
            "`ipBlock` cannot stand beside other selectors",
        ),
        (
            "{from: [{podSelector: {matchExpressions: [{key: a, operator: Gt, values: ['1']}]}}]}",
            ".from[0].podSelector.matchExpressions[0].operator",
            "expected In, NotIn, Exists or DoesNotExist",
        ),
        (
            "{from: [{podSelector: {matchExpressions: [{key: a, operator: In}]}}]}",
            ".from[0].podSelector.matchExpressions[0]",
            "`values` are missing",
        ),
        ("{from: {podSelector: {}}}", ".from", "expected a list"),
        ("{ports: [{port: 80, protocol: ICMP}]}", ".ports[0].protocol", "expected TCP, UDP or SCTP"),
        ("{ports: [{port: 65536}]}", ".ports[0].port", "65536 is not possible here"),
        ("{ports: [{port: '80'}]}", ".ports[0].port", "expected a number or the name of a port"),
        ("{ports: [{endPort: 80}]}", ".ports[0].endPort", "`endPort` needs a `port`"),
        ("{ports: [{port: http, endPort: 80}]}", ".ports[0].port", "expected a number"),
        (
            "{ports: [{port: 81, endPort: 80}]}",
            ".ports[0].endPort",
            "port range 81-80 is reversed: the first port must not be greater than the last",
        ),
        ("{ports: [{port: 80, hostPort: 80}]}", ".ports[0].hostPort", "this field is not known"),
    ] {
        let result =
            imported(&policy(&format!("{{podSelector: {{}}, ingress: [{rule}, {{ports: [{{port: 1}}]}}]}}")));
        let [remark] = &result.remarks[..] else { panic!("{rule}: {:#?}", result.remarks) };
        assert_eq!(remark.field.as_deref(), Some(&*format!("spec.ingress[0]{field}")));
        assert_eq!((&*remark.problem, result.has_errors()), (problem, true), "{rule}");
        let kept = rules(&only(result.resources).ingress);
        assert_eq!(kept, ["action = \"allow\"; protocol = \"tcp\"; [destination]; ports = [1]"], "{rule}");
    }
}

#[test]
fn a_policy_whose_endpoints_are_not_understood_is_not_carried_over() {
    for spec in [
        "{podSelector: {matchLabel: {}}}",
        "{policyTypes: [Forward]}",
        "[]",
        "{podSelector: {matchLabels: {'a b': c}}}",
    ] {
        let result = imported(&policy(spec));
        assert!(result.has_errors(), "{spec}");
        assert_eq!(result.resources, Resources::default(), "{spec}");
    }
    let result = imported(&policy("{podSelector: {}, ordre: 5}"));
    assert_eq!((result.resources.policies.len(), result.has_errors()), (1, false));
    assert_eq!(
        remarks(&policy("{podSelector: {}, ordre: 5}")),
        ["warning: a.yaml:4: NetworkPolicy shop/p: spec.ordre: this field is not known; it is ignored"]
    );
}

#[test]
fn pods_become_endpoints() {
    let yaml = "
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}}
spec:
  nodeName: n1
  serviceAccountName: runner
  initContainers:
  - {name: i, ports: [{name: init, containerPort: 1}]}
  - {name: s, restartPolicy: Always, ports: [{name: side, containerPort: 9, protocol: UDP}]}
  containers:
  - {name: a, image: x, ports: [{name: http, containerPort: 8080}, {containerPort: 1}, {name: http, containerPort: 8080, protocol: TCP}]}
status:
  phase: Running
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: runner, namespace: shop, labels: {role: r}}}
";
    assert_eq!(
        toml(&clean(yaml)),
        r#"[[profile]]
name = "ksa.shop.runner"

[profile.labels_to_apply]
"pcsa.projectcalico.org/name" = "runner"
"pcsa.role" = "r"

[[endpoint]]
name = "web-1"
namespace = "shop"
kind = "workload"
addresses = ["10.0.0.1/32", "fd00::1/128"]
service_account = "runner"
profiles = ["kns.shop", "ksa.shop.runner"]

[endpoint.labels]
app = "web"
"projectcalico.org/orchestrator" = "k8s"

[[endpoint.ports]]
name = "http"
protocol = "tcp"
port = 8080

[[endpoint.ports]]
name = "side"
protocol = "udp"
port = 9
"#
    );
}

#[test]
fn a_service_account_of_which_nothing_is_known_is_the_default_one_without_a_profile() {
    let yaml = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {}, status: {podIP: 10.0.0.1}}";
    let endpoint = clean(yaml).endpoints.remove(0);
    assert_eq!(endpoint.service_account.as_deref(), Some("default"));
    assert_eq!(endpoint.profiles, ["kns.default"]);
}

#[test]
fn pods_without_addresses_of_their_own_are_left_out() {
    for (spec, status, problem) in [
        ("{hostNetwork: true}", "{podIP: 10.0.0.1}", "it uses the network of its host"),
        ("{}", "{podIP: 10.0.0.1, phase: Succeeded}", "it has ended"),
        ("{}", "{podIP: 10.0.0.1, phase: Failed}", "it has ended"),
        ("{}", "{phase: Pending}", "its status tells no address"),
        ("{}", "null", "its status tells no address"),
    ] {
        let result = imported(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {spec}, status: {status}}}"
        ));
        assert_eq!(result.resources, Resources::default());
        assert_eq!((result.remarks.len(), result.has_errors()), (1, false));
        assert_eq!(result.remarks[0].problem, problem);
    }
}

#[test]
fn services_choose_endpoints_and_translate_ports() {
    let yaml = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {x: y}}
spec:
  selector: {app: web, tier: front}
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, 'fd00::1']
  ports:
  - {name: http, port: 80, targetPort: web}
  - {port: 53, protocol: UDP}
  - {name: tls, port: 443, targetPort: 8443, nodePort: 30000}
---
{apiVersion: v1, kind: Service, metadata: {name: headless, namespace: shop}, spec: {clusterIP: None, ports: [{port: 1}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: out, namespace: shop}, spec: {type: ExternalName, externalName: a.example, selector: {a: b}}}
";
    assert_eq!(
        toml(&clean(yaml)),
        r#"[[service]]
name = "web"
namespace = "shop"
selector = "app == 'web' && tier == 'front'"
addresses = ["10.96.0.1", "fd00::1"]

[[service.ports]]
name = "http"
protocol = "tcp"
port = 80
target = "web"

[[service.ports]]
protocol = "udp"
port = 53
target = 53

[[service.ports]]
name = "tls"
protocol = "tcp"
port = 443
target = 8443

[[service]]
name = "headless"
namespace = "shop"

[[service.ports]]
protocol = "tcp"
port = 1
target = 1

[[service]]
name = "out"
namespace = "shop"
"#
    );
}

#[test]
fn many_networks_are_put_together_where_rules_would_be_too_many() {
    let blocks: String =
        (0..2000).map(|n| format!("{{ipBlock: {{cidr: 10.{}.{}.0/24}}}}, ", n / 256, n % 256)).collect();
    let rules = |more: &str| {
        let yaml = policy(&format!("{{podSelector: {{}}, ingress: [{{from: [{blocks}{more}]}}]}}"));
        only(clean(&yaml)).ingress
    };
    let nets: Vec<_> = rules("{podSelector: {}}").iter().map(|rule| rule.source.nets.len()).collect();
    assert_eq!(nets, [0, 256, 256, 256, 256, 256, 256, 256, 208]);
    assert_eq!(rules("{ipBlock: {cidr: 11.0.0.0/8, except: [11.1.0.0/16]}}").len(), 9);
    let yaml = policy(&format!(
        "{{podSelector: {{}}, ingress: [{{from: [{}]}}]}}",
        "{podSelector: {}}, ".repeat(1025)
    ));
    assert!(imported(&yaml).has_errors());
}

#[test]
fn two_endpoints_cannot_have_one_address() {
    let pod = |name: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{}}, status: {{podIP: 10.0.0.1}}}}\n"
        )
    };
    let result = imported(&(pod("a") + &pod("b")));
    assert_eq!(result.resources.endpoints.len(), 1);
    assert_eq!(result.remarks[0].problem, "its address 10.0.0.1/32 is there already, in a.yaml, document 1");
}
