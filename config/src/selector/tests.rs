use super::{Expression, Selector};
use crate::resources::Labels;

/// Labels from `a=1 b=2`.
fn labels(text: &str) -> Labels {
    text.split_whitespace().map(|pair| pair.split_once('=').unwrap()).collect()
}

fn parsed(selector: &str) -> Selector {
    selector.parse().unwrap_or_else(|error| panic!("{selector}: {error}"))
}

fn matches(selector: &str, with: &str) -> bool {
    parsed(selector).matches(&labels(with))
}

fn canonical(selector: &str) -> String {
    parsed(selector).to_string()
}

fn error(selector: &str) -> String {
    selector.parse::<Selector>().unwrap_err().to_string()
}

#[test]
fn every_line_of_the_grammar_has_a_canonical_form() {
    for (selector, expected) in [
        ("", "all()"),
        (" \t ", "all()"),
        ("all()", "all()"),
        ("all(\t )", "all()"),
        ("global( )", "global()"),
        ("has(x)", "has(x)"),
        ("has( x\t)", "has(x)"),
        ("a=='1'", "a == '1'"),
        ("a!=\"1\"", "a != '1'"),
        ("a contains 'it'", "a contains 'it'"),
        ("a contains'it'", "a contains 'it'"),
        ("a starts with ''", "a starts with ''"),
        ("a startswith 'v'", "a starts with 'v'"),
        ("a starts \t with'v'", "a starts with 'v'"),
        ("a ends with 'v'", "a ends with 'v'"),
        ("a endswith\"v\"", "a ends with 'v'"),
        ("a in {}", "a in {}"),
        ("a in{'v'}", "a in {'v'}"),
        ("a in { 'v' , }", "a in {'v'}"),
        ("a in {'w','v','w'}", "a in {'v', 'w'}"),
        ("a not in {'v',}", "a not in {'v'}"),
        ("a notin {'v'}", "a not in {'v'}"),
        ("a not\tin{'v'}", "a not in {'v'}"),
        ("!has(x)", "!has(x)"),
        ("! ! !has(x)", "!has(x)"),
        ("!!has(x)", "has(x)"),
        ("!(!has(x))", "has(x)"),
        ("!a == '1'", "!(a == '1')"),
        ("!a in {}", "!(a in {})"),
        ("((has(x)))", "has(x)"),
        ("has(x) && has(y)", "has(x) && has(y)"),
        ("has(x)&&(has(y)&&has(z))", "has(x) && has(y) && has(z)"),
        ("has(x)||(has(y)||has(z))", "has(x) || has(y) || has(z)"),
        ("has(x) || has(y) && has(z)", "has(x) || (has(y) && has(z))"),
        ("(has(x) || has(y)) && has(z)", "(has(x) || has(y)) && has(z)"),
        ("!(has(x) && has(y))", "!(has(x) && has(y))"),
    ] {
        assert_eq!(canonical(selector), expected, "{selector}");
        assert_eq!(parsed(expected), parsed(selector));
    }
}

#[test]
fn words_are_what_their_place_makes_them() {
    // Behind a label a word is an operator, elsewhere a label; a function is one with its parenthesis.
    assert!(matches("all == 'x'", "all=x"));
    assert!(matches("has == 'x' && global != 'x'", "has=x"));
    assert!(matches("has(has)", "has=x"));
    assert!(matches("in in {'in'} && not not in {'in'}", "in=in"));
    assert!(matches("contains contains 'contains'", "contains=contains"));
    assert!(matches("starts starts with 's' && with endswith 'h'", "starts=s with=h"));
    assert!(matches("xall == '1'", "xall=1"));
    // Any character that may be in a label may be the first one.
    assert!(matches("-a./B_9 == '1' && 7 == '7' && . == '.' && / == '/'", "-a./B_9=1 7=7 .=. /=/"));
    assert!(matches("projectcalico.org/namespace == 'n'", "projectcalico.org/namespace=n"));
    // Nothing in a string has a meaning but its end.
    assert!(
        parsed(r#"a == "it's" && b == '"' && c == '\' && d == 'é&& ('"#).matches(
            &[("a", "it's"), ("b", "\""), ("c", "\\"), ("d", "é&& (")].into_iter().collect::<Labels>()
        )
    );
    assert_eq!(canonical(r#"a == "it's""#), r#"a == "it's""#);
    assert!(matches(&format!("{} == '1'", "x".repeat(512)), &format!("{}=1", "x".repeat(512))));
}

#[test]
fn precedence_and_negation_are_calicos() {
    assert!(matches("a == '1' || b == '2' && c == '3'", "a=1"));
    assert!(!matches("(a == '1' || b == '2') && c == '3'", "a=1"));
    assert!(matches("!a == '1'", "a=2"));
    assert!(!matches("!!a == '1'", "a=2"));
    assert!(matches("!a == '1' && b == '2'", "b=2"));
    assert!(!matches("!(a == '1' || b == '2')", "b=2"));
    assert!(!matches("!all()", "a=1"));
    assert!(matches("global()", "a=1"));
    assert!(!matches("global()", "projectcalico.org/namespace=n"));
}

#[test]
fn an_absent_label_makes_the_negative_comparisons_true_and_the_others_false() {
    for (comparison, absent, same, other) in [
        ("k == 'v'", false, true, false),
        ("k != 'v'", true, false, true),
        ("k contains 'v'", false, true, false),
        ("k starts with 'v'", false, true, false),
        ("k ends with 'v'", false, true, false),
        ("k in {'v'}", false, true, false),
        ("k not in {'v'}", true, false, true),
        ("k in {}", false, false, false),
        ("k not in {}", true, true, true),
        ("has(k)", false, true, true),
        ("k == ''", false, false, false),
        ("k != ''", true, true, true),
        ("k contains ''", false, true, true),
    ] {
        for (with, expected) in [("", absent), ("k=v", same), ("k=x", other)] {
            assert_eq!(matches(comparison, with), expected, "{comparison} with {with:?}");
            assert_eq!(matches(&format!("!{comparison}"), with), !expected, "!{comparison} with {with:?}");
        }
    }
}

#[test]
fn mistakes_are_shown_where_they_are() {
    const OPERATOR: &str = "an operator: ==, !=, contains, starts with, ends with, in or not in";
    const START: &str = "a label, has(…), all(), global() or `(`";
    for (selector, expected, character, found) in [
        ("has (x)", OPERATOR, 5, "`(x)`"),
        ("all ()", OPERATOR, 5, "`()`"),
        ("has(", "a label", 5, "the end"),
        ("has()", "a label", 5, "`)`"),
        ("has(x y)", "`)`", 7, "`y)`"),
        ("has('x')", "a label", 5, "`'x')`"),
        ("all(x)", "`)`", 5, "`x)`"),
        ("a", OPERATOR, 2, "the end"),
        ("a b", OPERATOR, 3, "`b`"),
        ("a = '1'", OPERATOR, 3, "`= '1'`"),
        ("= '1'", "`==`", 1, "`= '1'`"),
        ("a == '1' & b == '2'", "`&&`", 10, "`& b == '2'`"),
        ("a == '1' | b == '2'", "`||`", 10, "`| b == '2'`"),
        ("a == 1", "a string in quotes", 6, "`1`"),
        ("a ==", "a string in quotes", 5, "the end"),
        ("a == 'x", "a string that is closed", 6, "`'x`"),
        ("a == 'x\"", "a string that is closed", 6, "`'x\"`"),
        ("a containsx 'y'", OPERATOR, 3, "`containsx 'y'`"),
        ("a contains b", OPERATOR, 3, "`contains b`"),
        ("a starts 'y'", OPERATOR, 3, "`starts 'y'`"),
        ("a not {'y'}", OPERATOR, 3, "`not {'y'}`"),
        ("a in 'y'", "`{`", 6, "`'y'`"),
        ("a in {y}", "a string in quotes", 7, "`y}`"),
        ("a in {'x' 'y'}", "`,` or `}`", 11, "`'y'}`"),
        ("a in {,}", "a string in quotes", 7, "`,}`"),
        ("a in {'x',,}", "a string in quotes", 11, "`,}`"),
        ("a in {'x'", "`,` or `}`", 10, "the end"),
        ("(all()", "&&, || or `)`", 7, "the end"),
        ("all())", "&&, || or the end", 6, "`)`"),
        ("all() all()", "&&, || or the end", 7, "`all()`"),
        ("all() && ", START, 10, "the end"),
        ("&& all()", START, 1, "`&& all()`"),
        ("()", START, 2, "`)`"),
        ("!", START, 2, "the end"),
        ("'x' == a", START, 1, "`'x' == a`"),
        ("a == '1'\n&& b == '2'", "a label, a string or an operator", 9, "`\\n&& b == '2'`"),
        ("a\u{a0}== '1'", OPERATOR, 2, "`\\u{a0}== '1'`"),
        ("ä == '1'", "a label, a string or an operator", 1, "`ä == '1'`"),
        ("a == 'ä' ?", "a label, a string or an operator", 10, "`?`"),
        (
            "a == '1' # and so on and so forth",
            "a label, a string or an operator",
            10,
            "`# and so on and so f…`",
        ),
    ] {
        assert_eq!(error(selector), format!("expected {expected} at character {character}, found {found}"));
    }
    let long = error(&format!("{} == '1'", "x".repeat(513)));
    assert!(long.starts_with("expected a label of at most 512 characters at character 1, found"), "{long}");
}

#[test]
fn a_selector_has_at_most_1024_characters_whatever_is_in_it() {
    let filled = |length: usize| format!("a == '{}'", "ä".repeat(length - 7));
    assert_eq!(canonical(&filled(1024)), filled(1024));
    assert!(
        error(&filled(1025)).starts_with("expected at most 1024 characters at character 1025, found `'`")
    );
    let blank = error(&" ".repeat(2000));
    assert!(blank.starts_with("expected at most 1024 characters at character 1025, found"), "{blank}");
}

#[test]
fn the_deepest_nesting_fits_a_small_stack() {
    let deep = |open: &str, times: usize| format!("{}all(){}", open.repeat(times), ")".repeat(times));
    let texts = [
        deep("(", 509),
        deep("!(", 339),
        deep("all()||!(", 101),
        deep("all()||(all()&&(", 56) + &")".repeat(56),
        "(".repeat(1024),
        format!("{}all()", "!".repeat(1019)),
    ];
    let answers = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || {
        let check = |text: &String| {
            let selector = text.parse::<Selector>().ok()?;
            assert_eq!(selector.to_string().parse(), Ok(selector.clone()));
            assert_eq!(selector.expression().prefixed("").to_string(), selector.expression().to_string());
            Some(selector.matches(&Labels::default()))
        };
        texts.iter().map(check).collect::<Vec<_>>()
    });
    let answers = answers.unwrap().join().unwrap();
    assert_eq!(answers, [Some(true), Some(false), Some(true), Some(true), None, Some(false)]);
}

#[test]
fn joining_nothing_is_the_neutral_element() {
    assert_eq!(Selector::new(Expression::And(Vec::new())), Selector::all());
    assert_eq!(Selector::new(Expression::Or(Vec::new())).to_string(), "!all()");
    assert!(parsed("").is_all() && !parsed("!all()").is_all());
}

#[test]
fn a_prefix_goes_before_every_label() {
    let selector = parsed("has(a) && !(b == '1' || c in {'2'} || d not in {'3'}) && all() && global()");
    assert_eq!(
        selector.expression().prefixed("pcns.").to_string(),
        "has(pcns.a) && !(pcns.b == '1' || pcns.c in {'2'} || pcns.d not in {'3'}) && all() && global()"
    );
}

#[test]
fn a_selector_is_written_as_its_canonical_form() {
    assert_eq!(serde_json::to_string(&parsed("a=='1'")).unwrap(), "\"a == '1'\"");
    assert_eq!(format!("{:>10}|{:<10}|", parsed(""), parsed("")), "     all()|all()     |");
}
