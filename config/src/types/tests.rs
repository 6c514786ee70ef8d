use super::{BridgeName, IfName, IfNameError, NameError, PortRange, Protocol};

#[test]
fn interface_names_are_those_of_the_kernel() {
    for name in ["a", "eth0", "enp0s31f6", "veth.100", "...", "exactly15bytes_", "日本"] {
        assert_eq!(name.parse::<IfName>().unwrap().as_str(), name);
    }
    let error = |name: &str| name.parse::<IfName>().unwrap_err();
    assert_eq!(error(""), IfNameError::Empty);
    assert_eq!(error("sixteen_bytes_ab"), IfNameError::TooLong { bytes: 16 });
    assert_eq!(error("日本日本日本"), IfNameError::TooLong { bytes: 18 });
    assert_eq!(error("."), IfNameError::Reserved { text: ".".to_owned() });
    assert_eq!(error(".."), IfNameError::Reserved { text: "..".to_owned() });
    for (name, character) in [("a/b", '/'), ("a:b", ':'), ("a b", ' '), ("a\tb", '\t'), ("a\u{0}", '\u{0}')] {
        assert_eq!(error(name), IfNameError::Character { character });
    }
}

#[test]
fn names_are_printable() {
    let long = "ä".repeat(63);
    for name in ["a", "no telnet", &long] {
        assert_eq!(name.parse::<BridgeName>().unwrap().as_str(), name);
        assert_eq!(name.parse::<BridgeName>().unwrap().to_string(), name);
    }
    let error = |name: &str| name.parse::<BridgeName>().unwrap_err();
    assert_eq!(error(""), NameError::Empty);
    assert_eq!(error(&"a".repeat(64)), NameError::TooLong { characters: 64 });
    assert_eq!(error(" a"), NameError::Margin);
    assert_eq!(error("a\n"), NameError::Margin);
    assert_eq!(error("a\u{1b}b"), NameError::Character { character: '\u{1b}' });
}

#[test]
fn ports_and_protocols_are_written_as_they_are_read() {
    for text in ["0", "65535", "1-2"] {
        assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
    }
    for text in ["tcp", "icmpv6", "200"] {
        assert_eq!(text.parse::<Protocol>().unwrap().to_string(), text);
    }
    for number in 0..=u8::MAX {
        assert_eq!(Protocol(number).to_string().parse(), Ok(Protocol(number)));
    }
}
