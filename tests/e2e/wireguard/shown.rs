//! What `ravelin wg show` says of a running appliance.

use ravelin_tests::gateway::{gateway, start};

#[test]
fn without_interfaces_programs_are_told_nothing_and_people_why() {
    let Some(lab) = gateway(&[]) else { return };
    let ravelin = start(&lab, "");
    for arguments in [&["wg", "show"][..], &["wg", "show", "all", "dump"], &["wg", "show", "interfaces"]] {
        assert_eq!(ravelin.ask(arguments).as_deref(), Ok(""), "{arguments:?}");
    }
    assert_eq!(ravelin.show("peers"), serde_json::json!([]));
    let shown = ravelin.ask(&["show", "peers"]).expect("it answers");
    assert!(shown.contains("there is no WireGuard peer"), "{shown}");
    let error = ravelin.ask(&["wg", "show", "wg0", "peers"]).expect_err("there is none");
    assert!(error.contains("there is no WireGuard interface `wg0`"), "{error}");
    ravelin.finish(&[]);
}
