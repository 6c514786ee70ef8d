use super::*;

const LINE: &str = "[[bridge]]\nname = 'line'\nports = ['eth0', 'eth1']\nfail = 'closed'\n";

#[test]
fn on_a_bridge_there_is_no_interface_of_the_host() {
    let directory = Directory::new("bridge");
    let peer = format!("[[wireguard.peer]]\npublic_key = '{ALICE}'\nallowed_ips = ['10.0.2.0/24']\n");
    let on_bridge = |keys: &str| section(&format!("bridge = 'line'\nlisten_port = 1\n{keys}")) + &peer + LINE;
    let good = "local_ips = ['10.0.1.0/24', 'fd01::/64']\nrequire_encryption = true\n";
    let config = directory.config(&on_bridge(good));
    let bridge = config.wireguards[0].bridge.as_ref().unwrap();
    assert_eq!((bridge.name.to_string(), bridge.outside.as_str()), ("line".to_owned(), "eth0"));
    assert_eq!(texts(&bridge.local_ips), ["10.0.1.0/24", "fd01::/64"]);
    assert_eq!(config.wireguard_devices().count(), 0);
    // Nothing routes, and nothing has to.
    directory.write("bridge.toml", &on_bridge(good), 0o644);
    load(&directory.0.join("bridge.toml")).unwrap();

    let found = |text: &str| directory.found(text);
    assert_eq!(found(&on_bridge("")), one(Code::MissingKey, "4"));
    let on_any = on_bridge(good).replace("listen_port = 1\n", "");
    assert_eq!(found(&on_any), one(Code::MissingKey, "4"));
    assert_eq!(found(&on_bridge(good).replace("'closed'", "'open'")), one(Code::Combination, "7"));
    assert_eq!(
        found(&on_bridge(good).replace("bridge = 'line'", "bridge = 'lime'")),
        one(Code::Combination, "4")
    );
    for key in ["addresses = ['10.9.0.1/24']", "zone = 'x'", "routes = true", "reverse_path = 'off'"] {
        assert_eq!(found(&on_bridge(&format!("{good}{key}\n"))), one(Code::Combination, "8"), "{key}");
    }
    let known = on_bridge(good).replace("allowed_ips", "endpoint = '192.0.2.1:1'\nallowed_ips");
    assert_eq!(found(&known), one(Code::Combination, "10"));
    let twice = on_bridge(good)
        + &section(&format!("bridge = 'line'\nlisten_port = 2\n{good}")).replace("wg0", "wg1");
    assert_eq!(found(&twice), one(Code::Combination, "18"));
    assert_eq!(found(&section("local_ips = ['10.0.1.0/24']\n")), one(Code::Combination, "4"));
}
