//! What selectors promise for every text. Used by the fuzz target and by `config/tests/selectors.rs`.

use ravelin_config::{
    resources::Labels,
    selector::{Selector, SelectorError},
};

/// Checks one text.
pub(crate) fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let selector = match text.parse::<Selector>() {
        Ok(selector) => selector,
        Err(SelectorError { at, character, found, expected }) => {
            assert_eq!(text[..at].chars().count(), character);
            assert!(!found.is_empty() && !expected.is_empty());
            assert!(!found.chars().any(char::is_control));
            return;
        }
    };
    assert!(text.chars().count() <= Selector::MAX);
    let canonical = selector.to_string();
    assert!(canonical.chars().count() <= Selector::MAX);
    let again: Selector = canonical.parse().expect("the canonical form is a selector");
    assert_eq!(again, selector);
    assert_eq!(again.to_string(), canonical);
    let opposite: Selector = format!("!({text})").parse().unwrap_or_else(|_| Selector::all());
    for labels in [&[][..], &[("a", "x")], &[("a", ""), ("projectcalico.org/namespace", "n")]] {
        let labels: Labels = labels.iter().copied().collect();
        assert_eq!(again.matches(&labels), selector.matches(&labels));
        assert!(opposite.is_all() || opposite.matches(&labels) != selector.matches(&labels));
    }
}
