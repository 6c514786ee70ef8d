//! Documents, lists, names, and what is not understood.

use super::*;

#[test]
fn one_unreadable_document_does_not_hurt_the_others() {
    let yaml = "# first\n--- # nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\nkind: [\n---\n\
                {{ template }}\n...\n%YAML 1.2\n---\n{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"b\"}}\n";
    let Imported { resources, remarks } = imported(yaml);
    let names: Vec<_> = resources.namespaces.iter().map(|namespace| namespace.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let places: Vec<_> = remarks.iter().map(|remark| (remark.document, remark.line)).collect();
    assert_eq!(places, [(2, Some(8)), (3, Some(10))], "{remarks:#?}");
}

#[test]
fn lists_are_taken_apart() {
    let yaml = "
apiVersion: v1
kind: List
metadata: {}
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: a}}
- apiVersion: v1
  kind: NamespaceList
  items:
  - metadata: {name: b}
  - {apiVersion: v1, kind: Namespace, metadata: {name: c}}
";
    let names: Vec<_> = clean(yaml).namespaces.into_iter().map(|namespace| namespace.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn what_is_no_policy_is_counted_by_kind() {
    let yaml = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: b}}
";
    let result = imported(yaml);
    assert!(!result.has_errors());
    assert_eq!(
        remarks(yaml),
        [
            "note: a.yaml: ConfigMap: 1 object of this kind, the first one here; this kind has no part in policy and is not \
             carried over",
            "note: a.yaml: Deployment: 2 objects of this kind, the first one here; this kind has no part in policy and is not \
             carried over",
        ]
    );
}

#[test]
fn policies_of_others_are_errors() {
    for api in ["cilium.io/v2, kind: CiliumNetworkPolicy", "networking.k8s.io/v2, kind: NetworkPolicy"] {
        let result = imported(&format!("{{apiVersion: {api}, metadata: {{name: a}}}}"));
        assert!(result.has_errors(), "{result:?}");
        assert_eq!(result.resources, Resources::default());
    }
}

#[test]
fn the_same_object_twice_counts_once() {
    let mut importer = super::super::Importer::default();
    importer.read(b"{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {x: '1'}}}", "a.yaml");
    importer.read(b"{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {x: '2'}}}", "b.yaml");
    let Imported { resources, remarks } = importer.finish();
    assert_eq!(
        toml(&resources),
        "[[namespace]]\nname = \"a\"\n\n[namespace.labels]\n\"kubernetes.io/metadata.name\" = \"a\"\nx = \"1\"\n"
    );
    assert_eq!(
        remarks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "error: b.yaml: Namespace a: it is there already, in a.yaml, document 1; the object is not carried over"
        ]
    );
}

#[test]
fn what_is_no_object_says_why() {
    for (yaml, problem) in [
        ("[a]", "expected a mapping"),
        ("a: b", "`apiVersion` is missing"),
        ("apiVersion: v1", "`kind` is missing"),
        ("{apiVersion: v1, kind: Pod}", "`metadata` is missing"),
        ("{apiVersion: v1, kind: Pod, metadata: {}}", "`name` is missing"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: ../../etc}}", "`../../etc` cannot be a name"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ''}}", "`` cannot be a name"),
        ("{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: []}}", "expected a mapping"),
        ("a: 1\na: 2", "`a` is there twice"),
    ] {
        let result = imported(yaml);
        let [remark] = &result.remarks[..] else { panic!("{yaml}: {result:?}") };
        assert_eq!((remark.severity, &*remark.problem), (super::super::Severity::Error, problem), "{yaml}");
        assert_eq!(result.resources, Resources::default());
    }
}

#[test]
fn bytes_that_are_no_text_and_files_that_are_too_long_are_refused() {
    let result = import(b"apiVersion: v1\n\xff", "a.yaml");
    assert!(result.has_errors());
    assert_eq!(result.remarks[0].problem, "the file is not UTF-8 from byte 15 on");
    let result = import(&vec![b' '; super::super::MAX_FILE + 1], "a.yaml");
    assert!(result.has_errors());
    assert!(import(&vec![b' '; super::super::MAX_FILE], "a.yaml").remarks.is_empty());
}

#[test]
fn aliases_and_merge_keys_are_what_they_stand_for() {
    let yaml = "
apiVersion: v1
kind: List
items:
- &a {apiVersion: v1, kind: Namespace, metadata: &m {name: a, labels: {x: &x one}}}
- <<: *a
  metadata:
    <<: [{name: b}, *m]
    labels: {y: *x}
";
    let labels: Vec<_> = clean(yaml).namespaces.iter().map(toml::to_string).map(Result::unwrap).collect();
    assert_eq!(
        labels,
        [
            "name = \"a\"\n\n[labels]\n\"kubernetes.io/metadata.name\" = \"a\"\nx = \"one\"\n",
            "name = \"b\"\n\n[labels]\n\"kubernetes.io/metadata.name\" = \"b\"\ny = \"one\"\n",
        ]
    );
}

#[test]
fn alias_bombs_and_deep_nesting_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let aliases = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert_eq!(imported(&bomb).remarks[0].problem, "aliases stand for too much; write out what they mean");
    for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(100_000)] {
        assert!(imported(&deep).has_errors());
    }
    let deepest = format!("a: {}x{}", "[".repeat(99), "]".repeat(99));
    assert_eq!(imported(&deepest).remarks[0].problem, "`apiVersion` is missing");
    let half = "[".repeat(51) + &"]".repeat(51);
    let twice = format!("{{a: &a {half}, b: [*a], c: {}*a{}}}", "[".repeat(49), "]".repeat(49));
    assert_eq!(imported(&twice).remarks[0].problem, "values are nested more than 100 deep");
    assert_eq!(imported("&a [*a]").remarks[0].problem, "an alias within what it stands for");
}

#[test]
fn there_are_never_more_remarks_than_can_be_read() {
    let many = "---\na: b\n".repeat(20_000);
    let remarks = imported(&many).remarks;
    assert_eq!(remarks.len(), 10_000);
    assert_eq!(remarks[9_999].problem, "10001 more remarks");
}
