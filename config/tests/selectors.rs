//! Selectors mean what an evaluator apart from the parser says, and whatever text comes in, the answer is a selector or an error
//! that points into the text. Replays the committed inputs of the fuzz target `selector` as well: every input that ever broke
//! something is to be added to them.

#[path = "../../tests/fuzz/src/selector.rs"]
mod selector;

use proptest::{collection::vec, prelude::*, sample::select};
use ravelin_config::{resources::Labels, selector::Selector};
use std::{collections::BTreeMap, fs, path::Path};

#[test]
fn selector_inputs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/selector");
    let inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    assert!(inputs.len() >= 12, "the corpus in {} is gone", folder.display());
    for input in inputs {
        println!("{}", input.display()); // shown if the check fails
        selector::check(&fs::read(&input).expect("the file can be read"));
    }
}

/// An expression, how it is written, and what it means, apart from the parser's.
#[derive(Clone, Debug)]
enum Tree {
    All,
    Global,
    Has(&'static str),
    /// Operator by its place in `OPERATORS`.
    Compare(&'static str, usize, &'static str),
    /// Negated or not.
    Among(&'static str, bool, Vec<&'static str>),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

/// How an operator may be written, and what it says of a value.
type Operator = (&'static [&'static str], fn(Option<&str>, &str) -> bool);

const OPERATORS: [Operator; 5] = [
    (&["==", " == "], |found, value| found.is_some_and(|found| found == value)),
    (&["!=", "\t!="], |found, value| found.is_none_or(|found| found != value)),
    (&[" contains"], |found, value| found.is_some_and(|found| found.contains(value))),
    (&[" starts with", " startswith"], |found, value| found.is_some_and(|found| found.starts_with(value))),
    (&[" ends  with", " endswith "], |found, value| found.is_some_and(|found| found.ends_with(value))),
];
const LABELS: [&str; 6] = ["a", "b", "all", "in", "x.y/z-1", "projectcalico.org/namespace"];
const VALUES: [&str; 6] = ["", "v", "vw", "it's", "é\"", ") && !"];

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        1 => Just(Tree::All),
        1 => Just(Tree::Global),
        2 => select(&LABELS[..]).prop_map(Tree::Has),
        6 => (select(&LABELS[..]), 0..OPERATORS.len(), select(&VALUES[..]))
            .prop_map(|(label, operator, value)| Tree::Compare(label, operator, value)),
        3 => (select(&LABELS[..]), any::<bool>(), vec(select(&VALUES[..]), 0..4))
            .prop_map(|(label, negated, values)| Tree::Among(label, negated, values)),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Tree::Not(Box::new(inner))),
            vec(inner.clone(), 1..4).prop_map(Tree::And),
            vec(inner, 1..4).prop_map(Tree::Or),
        ]
    })
}

impl Tree {
    /// One of the ways to write it, chosen by `style`.
    fn write(&self, style: &mut impl Iterator<Item = u8>) -> String {
        let pick = |choices: &[&'static str], style: &mut dyn Iterator<Item = u8>| {
            choices[usize::from(style.next().unwrap()) % choices.len()]
        };
        let blank = |style: &mut dyn Iterator<Item = u8>| pick(&["", "", " ", "\t "], style);
        let quoted = |value: &str, style: &mut dyn Iterator<Item = u8>| {
            let quote = match (value.contains('\''), value.contains('"')) {
                (true, _) => "\"",
                (_, true) => "'",
                _ => pick(&["'", "\""], style),
            };
            format!("{}{quote}{value}{quote}{}", blank(style), blank(style))
        };
        let text = match self {
            Self::All => format!("all({})", blank(style)),
            Self::Global => format!("global({})", blank(style)),
            Self::Has(label) => format!("has({}{label}{})", blank(style), blank(style)),
            Self::Compare(label, operator, value) => {
                format!("{label}{}{}", pick(OPERATORS[*operator].0, style), quoted(value, style))
            }
            Self::Among(label, negated, values) => {
                let operator = if *negated { pick(&[" not in", " notin "], style) } else { " in" };
                let values: Vec<_> = values.iter().map(|value| quoted(value, style)).collect();
                let comma = if values.is_empty() { "" } else { pick(&["", ",", ", "], style) };
                format!("{label}{operator}{}{{{}{comma}}}", blank(style), values.join(","))
            }
            Self::Not(inner) => format!("!{}{}", blank(style), inner.within(true, style)),
            Self::And(parts) => {
                parts.iter().map(|part| part.within(true, style)).collect::<Vec<_>>().join("&&")
            }
            Self::Or(parts) => {
                parts.iter().map(|part| part.within(false, style)).collect::<Vec<_>>().join("||")
            }
        };
        format!("{}{text}{}", blank(style), blank(style))
    }

    /// In parentheses if it needs them as a part of `&&` or `!` or, if not `tight`, of `||`; sometimes if it does not.
    fn within(&self, tight: bool, style: &mut impl Iterator<Item = u8>) -> String {
        let needed = tight && matches!(self, Self::And(_) | Self::Or(_));
        if needed || style.next().unwrap().is_multiple_of(4) {
            format!("({})", self.write(style))
        } else {
            self.write(style)
        }
    }

    fn holds(&self, labels: &Labels) -> bool {
        let values: BTreeMap<_, _> = labels.iter().collect();
        let of = |label: &str| values.get(label).copied();
        match self {
            Self::All => true,
            Self::Global => of("projectcalico.org/namespace").is_none(),
            Self::Has(label) => of(label).is_some(),
            Self::Compare(label, operator, value) => OPERATORS[*operator].1(of(label), value),
            Self::Among(label, negated, values) => {
                values.iter().any(|value| of(label) == Some(value)) != *negated
            }
            Self::Not(inner) => !inner.holds(labels),
            Self::And(parts) => parts.iter().all(|part| part.holds(labels)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(labels)),
        }
    }
}

fn some_labels() -> impl Strategy<Value = Labels> {
    vec((select(&LABELS[..]), select(&VALUES[..])), 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

proptest! {
    #[test]
    fn a_selector_means_what_was_written_and_so_does_its_canonical_form(
        tree in tree(),
        style in vec(any::<u8>(), 1..64),
        labels in vec(some_labels(), 8),
    ) {
        let text = tree.write(&mut style.into_iter().cycle());
        prop_assume!(text.chars().count() <= Selector::MAX);
        let selector = text.parse::<Selector>().unwrap();
        let canonical = selector.to_string();
        prop_assert!(canonical.chars().count() <= Selector::MAX);
        prop_assert_eq!(canonical.parse(), Ok(selector.clone()), "{}", canonical);
        let short = format!("{:#}", selector.expression());
        prop_assert_eq!(short.parse(), Ok(selector.clone()), "{}", short);
        prop_assert!(short.chars().count() <= text.chars().count().max("all()".len()), "{}", short);
        for labels in &labels {
            prop_assert_eq!(selector.matches(labels), tree.holds(labels));
        }
    }

    #[test]
    fn any_text_is_a_selector_or_a_mistake_with_a_place(
        pieces in vec(prop_oneof![
            4 => select(&[
                "all()", "global(", "has(", "a", "in", "not in", "notin", "startswith", "contains", "==", "!=", "&&", "||",
                "!", "(", ")", "{", "}", ",", "'x'", "\"", "'", " ", "\t", "\n", "=", "&", "|", "ä",
            ][..]).prop_map(str::to_owned),
            1 => any::<String>(),
        ], 0..12),
    ) {
        selector::check(pieces.concat().as_bytes());
    }

    #[test]
    fn a_changed_selector_is_a_selector_or_a_mistake_with_a_place(
        tree in tree(),
        style in vec(any::<u8>(), 1..64),
        place in any::<prop::sample::Index>(),
        new in any::<char>(),
    ) {
        let mut characters: Vec<_> = tree.write(&mut style.into_iter().cycle()).chars().collect();
        let place = place.index(characters.len());
        characters[place] = new;
        selector::check(characters.iter().collect::<String>().as_bytes());
    }
}
