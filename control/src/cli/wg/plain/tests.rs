use super::*;
use crate::cli::wg::fixture::interfaces;

/// What is printed of `wg0`. Keys are cut to their last character but one.
fn shown(field: Field, named: bool) -> String {
    lines(&interfaces()[0], field, named)
        .join("\n")
        .replace("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D", "KEY")
}

#[test]
fn fields_of_an_interface_are_one_line() {
    for (field, text) in [
        (Field::PublicKey, "KEY0="),
        (Field::PrivateKey, "(hidden)"),
        (Field::ListenPort, "51820"),
        (Field::Fwmark, "off"),
    ] {
        assert_eq!(shown(field, false), text);
        assert_eq!(shown(field, true), format!("wg0\t{text}"));
    }
}

#[test]
fn fields_of_peers_are_a_line_for_each_in_their_order() {
    for (field, text) in [
        (Field::Peers, "KEY1=\nKEY2=\nKEY3="),
        (Field::PresharedKeys, "KEY1=\t(none)\nKEY2=\t(hidden)\nKEY3=\t(none)"),
        (Field::Endpoints, "KEY1=\t(none)\nKEY2=\t192.0.2.2:51820\nKEY3=\t[2001:db8::7]:40000"),
        (Field::AllowedIps, "KEY1=\t(none)\nKEY2=\t10.20.0.0/16 fd20::/48\nKEY3=\t10.9.0.3/32"),
        (Field::LatestHandshakes, "KEY1=\t0\nKEY2=\t1799999937\nKEY3=\t0"),
        (Field::Transfer, "KEY1=\t0\t0\nKEY2=\t1240\t3166748\nKEY3=\t0\t592"),
        (Field::PersistentKeepalive, "KEY1=\toff\nKEY2=\t25\nKEY3=\toff"),
    ] {
        assert_eq!(shown(field, false), text);
        let named: Vec<_> = text.lines().map(|line| format!("wg0\t{line}")).collect();
        assert_eq!(shown(field, true), named.join("\n"));
    }
    assert!(lines(&interfaces()[1], Field::Peers, true).is_empty());
}

#[test]
fn a_dump_has_everything_but_secrets() {
    assert_eq!(
        shown(Field::Dump, false),
        "\
(hidden)\tKEY0=\t51820\toff
KEY1=\t(none)\t(none)\t(none)\t0\t0\t0\toff
KEY2=\t(hidden)\t192.0.2.2:51820\t10.20.0.0/16,fd20::/48\t1799999937\t1240\t3166748\t25
KEY3=\t(none)\t[2001:db8::7]:40000\t10.9.0.3/32\t0\t0\t592\toff"
    );
    assert!(shown(Field::Dump, true).lines().all(|line| line.starts_with("wg0\t")));
}
