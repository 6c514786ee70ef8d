//! Files, in whatever order they are named.

use super::super::load;
use crate::testing::Directory;

fn namespace(label: &str) -> String {
    format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: a, labels: {{x: {label}}}}}}}\n")
}

#[test]
fn files_are_read_in_the_order_of_their_names_and_each_once() {
    let scratch = Directory::new();
    let first = scratch.write("a.yaml", namespace("first"));
    let second = scratch.write("b.yaml", namespace("second"));
    let imported = load(&[second.clone(), first.clone(), second.clone()]).unwrap();
    assert_eq!(imported, load(&[first.clone(), second.clone()]).unwrap());
    let [namespace] = &imported.resources.namespaces[..] else { panic!("{imported:?}") };
    assert!(namespace.labels.iter().any(|label| label == ("x", "first")));
    let [remark] = &imported.remarks[..] else { panic!("{imported:?}") };
    assert_eq!(*remark.file, *second.display().to_string());
    assert_eq!(remark.problem, format!("it is there already, in {}, document 1", first.display()));
    assert!(imported.has_errors());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let scratch = Directory::new();
    let there = scratch.write("a.yaml", namespace("x"));
    let error = load(&[there, scratch.file("b.yaml")]).unwrap_err();
    assert!(error.to_string().contains("b.yaml"), "{error}");
}

#[test]
fn a_file_that_is_too_long_is_not_read_to_its_end() {
    let bytes = super::super::limited(std::io::repeat(b' ')).unwrap();
    assert_eq!(bytes.len(), super::super::MAX_FILE + 1);
    assert!(super::super::import(&bytes, "a.yaml").has_errors());
}
