use super::{Labelled, Selector};

/// Labels as a list of pairs.
struct Pairs<'p>(&'p [(&'p str, &'p str)]);

impl Labelled for Pairs<'_> {
    fn label(&self, label: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == label).map(|(_, value)| *value)
    }
}

fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
    selector.parse::<Selector>().unwrap().matches(&Pairs(labels))
}

#[test]
fn precedence_and_negation_are_calicos() {
    assert!(matches("a == '1' || b == '2' && c == '3'", &[("a", "1")]));
    assert!(matches("!a == '1'", &[("a", "2")]));
    assert!(!matches("!!a == '1'", &[("a", "2")]));
    assert!(matches("role != 'x'", &[]));
}
