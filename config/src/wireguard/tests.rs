use super::{EndpointError, KeyError, PeerEndpoint, PresharedKey, PrivateKey, PublicKey, WireguardRoutes};

/// The keys of the example of wg(8).
const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const PUBLIC: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

#[test]
fn keys_are_written_as_wg_writes_them() {
    let key: PublicKey = PUBLIC.parse().unwrap();
    assert_eq!((key.0[0], key.0[31]), (0xc5, 0x38));
    assert_eq!(key.to_string(), PUBLIC);
    assert_eq!(format!("{key:?}"), PUBLIC);
    assert_eq!(serde_json::to_value(key).unwrap(), PUBLIC);
    assert_eq!(PublicKey([0; 32]).to_string(), format!("{}=", "A".repeat(43)));

    let wrong = |text: &str| text.parse::<PublicKey>().unwrap_err();
    let cut = &PUBLIC[..43];
    assert_eq!(wrong(""), KeyError::Length { characters: 0 });
    assert_eq!(wrong(cut), KeyError::Length { characters: 43 });
    assert_eq!(wrong(&format!(" {PUBLIC}")), KeyError::Length { characters: 45 });
    assert_eq!(wrong(&format!("{cut}A")), KeyError::Padding);
    assert_eq!(wrong(&format!("{cut}-")), KeyError::Character { at: 44 });
    assert_eq!(wrong(&format!("{}==", &PUBLIC[..42])), KeyError::Padding);
    assert_eq!(wrong(&PUBLIC.replace('U', "-")), KeyError::Character { at: 10 });
    assert_eq!(wrong(&PUBLIC.replace("Dg=", "Dh=")), KeyError::Remainder);
    assert_eq!(wrong(&"é".repeat(44)), KeyError::Character { at: 1 });
    assert_eq!(
        wrong(cut).to_string(),
        "a key has 44 characters of base64, this one has 43",
        "what was expected is said"
    );
}

#[test]
fn secret_keys_are_shown_by_nothing() {
    let private: PrivateKey = PRIVATE.parse().unwrap();
    let preshared: PresharedKey = PRIVATE.parse().unwrap();
    assert_eq!(private.reveal()[..2], [0xc8, 0x09]);
    assert_eq!(private.reveal(), preshared.reveal());
    assert_eq!(private, PrivateKey::from(preshared.reveal()));
    assert_eq!(format!("{private:?} {preshared:#?}"), "*** ***");
    assert_eq!(serde_json::to_string(&(private, preshared)).unwrap(), "[\"***\",\"***\"]");

    let zero = PublicKey([0; 32]).to_string();
    assert_eq!(zero.parse::<PrivateKey>(), Err(KeyError::Zero));
    assert!(zero.parse::<PresharedKey>().is_ok());
}

#[test]
fn endpoints_are_addresses_or_names_with_a_port() {
    for text in
        ["1.2.3.4:51820", "[2001:db8::1]:51820", "vpn.example.org:51820", "a_b-c.:1", "10.example:65535"]
    {
        let endpoint: PeerEndpoint = text.parse().unwrap();
        assert_eq!(endpoint.to_string(), text);
        assert_eq!(
            matches!(endpoint, PeerEndpoint::Address(_)),
            text.ends_with(":51820") && !text.contains('v')
        );
    }
    assert_eq!("vpn:7".parse(), Ok(PeerEndpoint::Host { name: "vpn".to_owned(), port: 7 }));

    let wrong = |text: &str| text.parse::<PeerEndpoint>().unwrap_err();
    for text in ["", "1.2.3.4", "vpn.example.org", "[2001:db8::1]"] {
        assert_eq!(wrong(text), EndpointError::NoPort, "{text}");
    }
    for text in ["1.2.3.4:0", "vpn:0", "vpn:", "vpn:65536", "vpn:+1", "vpn:http", "[::1]:0"] {
        assert_eq!(wrong(text), EndpointError::Port, "{text}");
    }
    for text in ["::1", "2001:db8::1:51820", "a:b:1"] {
        assert_eq!(wrong(text), EndpointError::Brackets, "{text}");
    }
    let long = format!("{}:1", "a".repeat(64));
    for text in [
        ":1",
        "1.2.3:1",
        "1.2.3.4.5:1",
        "256.1.1.1:1",
        "-a:1",
        "a-.b:1",
        "a..b:1",
        "é:1",
        "a b:1",
        "[a]:1",
        &long,
    ] {
        assert_eq!(wrong(text), EndpointError::Host, "{text}");
    }
}

#[test]
fn routes_are_written_as_they_are_configured() {
    let all = [WireguardRoutes::Auto, WireguardRoutes::Off, WireguardRoutes::Table(7)];
    assert_eq!(all.map(|routes| routes.to_string()), ["true", "false", "7"]);
    assert_eq!(serde_json::to_string(&all).unwrap(), "[true,false,7]");
}
