use super::*;

#[test]
fn the_oracle_says_what_the_tables_say() {
    check(by_oracle);
}

#[test]
fn there_are_enough_cases_and_both_answers_in_most() {
    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    let states = cases.iter().flat_map(|case| &case.states);
    let (allowed, denied): (Vec<_>, Vec<_>) =
        states.flat_map(State::questions).partition(|question| question.allowed);
    assert!(allowed.len() > 10_000 && denied.len() > 10_000, "{} {}", allowed.len(), denied.len());
}

#[test]
fn a_wrong_table_is_noticed() {
    let row = "x/a  ... ..X ... .\n";
    let rows: String = ENDS.iter().map(|end| row.replace("x/a ", &format!("{end:<4}"))).collect();
    let head = "     xxx yyy zzz out\n     abc abc abc\n";
    let table = Table::parse("tcp/80 udp/53 ipv6", &format!("{head}{rows}")).expect("it is a table");
    assert!(table.is_about(Protocol::UDP, 53, true) && !table.is_about(Protocol::UDP, 53, false));
    assert_eq!(table.cells().filter(|(_, cell)| *cell == Cell::Denied).count(), 10);
    assert!(table.cells().any(|found| found == ((9, 5), Cell::Denied)));
    for wrong in [
        rows.replacen("x/b", "x/d", 1),
        rows.replacen("..X", "..x", 1),
        rows.replacen(" ... .\n", " ...\n", 1),
        rows.replacen(row, "", 1),
    ] {
        assert!(Table::parse("tcp/80", &format!("{head}{wrong}")).is_err(), "{wrong}");
    }
    assert!(Table::parse("tcp", &format!("{head}{rows}")).is_err());
    assert!(Table::parse("tcp/80", &rows).is_err());
}

#[test]
fn an_object_is_known_by_kind_namespace_and_name() {
    let identity_of =
        |metadata: &str| identity(&format!("apiVersion: v1\nkind: Pod\nmetadata: {metadata}\n"));
    assert_eq!(identity_of("{namespace: x, name: a, labels: {name: b}}"), "Pod x/a");
    assert_eq!(identity_of("{name: a}"), "Pod a");
}
