//! Files of WireGuard: what is wrong with them is said, what is secret in them is not.

use proptest::prelude::*;
use ravelin_config::{Code, load, wireguard::check_conf};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process,
};

#[path = "../../tests/fuzz/src/wireguard.rs"]
mod promises;

/// The secret keys of these tests.
const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const PRESHARED: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

/// Characters of a key in a row that nobody may see.
const TOO_MANY: usize = 8;

/// A directory with files, which goes away with its owner.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, files: &[(&str, &str, u32)]) -> Self {
        let directory =
            Self(std::env::temp_dir().join(format!("ravelin-wireguard-{}-{name}", process::id())));
        fs::create_dir_all(directory.0.join("directory")).unwrap();
        for (file, text, mode) in files {
            let path = directory.0.join(file);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
        }
        directory
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shows(text: &str, key: &str) -> bool {
    (0..key.len() - TOO_MANY).any(|at| text.contains(&key[at..at + TOO_MANY]))
}

/// Mistakes in sections, in the file that one of them names, and in files of keys: all of them at once, and no key in what is said.
#[test]
fn mistakes_are_shown_with_carets_and_without_keys() {
    let directory = Directory::new(
        "mistakes",
        &[
            ("main.toml", include_str!("wireguard_mistakes.toml"), 0o644),
            ("wireguard_mistakes.conf", include_str!("wireguard_mistakes.conf"), 0o644),
            ("open.key", &format!("{PRIVATE}\n"), 0o640),
            ("empty.key", "\n", 0o600),
            ("two.key", &format!("{PRIVATE}\n{PRESHARED}\n"), 0o600),
            ("wrong.key", &PRIVATE[1..], 0o604),
        ],
    );
    let report = load(&directory.0.join("main.toml")).unwrap_err();
    let shown = format!("{report:1000}").replace(&format!("{}/", directory.0.display()), "");
    for key in [PRIVATE, PRESHARED] {
        assert!(!shows(&shown, key) && !shows(&serde_json::to_string(&report).unwrap(), key), "{shown}");
    }
    assert_eq!(shown, include_str!("wireguard_mistakes.txt").trim_end());
}

/// A key that stands in TOML is not shown either, however broken the rest of it is.
#[test]
fn keys_in_toml_are_not_shown() {
    for text in [
        format!("[[wireguard]]\nprivate_key = {PRIVATE}\n"),
        format!("[[wireguard]]\nprivate_key = \"{PRIVATE}\n"),
        format!("[[wireguard]]\nprivate_key = \"\"\"\n{PRIVATE}\"\"\"\n"),
        format!("[[wireguard]]\n\"private_key\" = \"{}\"\n", &PRIVATE[..30]),
        format!("[[wireguard]]\nprivat_key = '{PRIVATE}'\n"),
        format!("[[wireguard]]\nprivate_key_file = '{PRIVATE}'\nlisten_port = '{PRIVATE}'\n"),
        format!(
            "[[wireguard]]\npeer = [{{ public_key = '{}', preshared_key = '{PRIVATE}' }}]\n",
            &PRIVATE[..30]
        ),
        format!("[[wireguard]]\npeer = [{{ endpoint = '{PRIVATE}', allowed_ips = ['{PRIVATE}'] }}]\n"),
        format!("private_key = \"{PRIVATE}\"\n"),
        format!("[[wireguard]]\nprivate_key_credential = '{PRIVATE}/'\naddresses = ['{PRIVATE}']\n"),
    ] {
        let report = ravelin_config::parse(&text, "t.toml").unwrap_err();
        assert!(!shows(&report.to_string(), PRIVATE), "{text}\n{report}");
    }
}

/// A line of a file of WireGuard, right or wrong. `KEY` stands for a secret key.
fn line() -> impl Strategy<Value = String> {
    let words = [
        "[Interface]",
        "[Peer]",
        "[ peer ] # KEY",
        "[KEY]",
        "PrivateKey",
        "PresharedKey",
        "PrivatKey",
        "ListenPort",
        "Address",
        "AllowedIPs",
        "Endpoint",
        "PersistentKeepalive",
        "DNS",
        "PostUp",
        "Table",
        "MTU",
        "FwMark",
        "SaveConfig",
        "KEY",
        "",
    ];
    let values = [
        "KEY",
        " KEY ",
        "KEY:51820",
        "10.0.0.0/8, KEY",
        "1 # KEY",
        "off",
        "é",
        "",
        "KEYKEY",
        "\"KEY\"",
        "x KEY",
    ];
    let separators = ["=", " = ", "", " ", ":", "==", "=\u{a0}"];
    use proptest::sample::select;
    let end = select(vec!["\n", "\r\n", "\n\n"]);
    (select(words.to_vec()), select(separators.to_vec()), select(values.to_vec()), end)
        .prop_map(|(word, separator, value, end)| format!("{word}{separator}{value}{end}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        promises::check(&bytes);
    }

    #[test]
    fn any_characters_are_no_panic(text in "(\\[peer\\]\n)?([A-Za-z=,#\\[\\]0-9./: \t\r\u{feff}é日]{0,20}\n){0,8}") {
        promises::check(text.as_bytes());
    }

    /// The key is one that no word of a message has a piece of.
    #[test]
    fn no_key_of_any_file_is_shown(
        lines in prop::collection::vec(line(), 0..30),
        key in "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=",
    ) {
        let text = lines.concat().replace("KEY", &key);
        promises::check(text.as_bytes());
        let report = check_conf(&text, "wg0.conf");
        prop_assert!(!shows(&report.to_string(), &key), "{}\n{}", text, report);
    }

    #[test]
    fn no_key_is_shown_wherever_it_stands(
        lines in prop::collection::vec(line(), 1..10),
        place in any::<usize>(),
    ) {
        let mut text = lines.concat().replace("KEY", "value");
        let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        text.insert_str(places[place % places.len()], PRIVATE);
        let report = check_conf(&text, "wg0.conf");
        prop_assert!(!shows(&report.to_string(), PRIVATE), "{}\n{}", text, report);
    }
}

#[test]
fn promises_hold_for_the_seeds_of_the_fuzz_target() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/wireguard");
    let seeds: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(seeds.len() >= 2);
    seeds.iter().for_each(|seed| promises::check(&fs::read(seed).unwrap()));
}

/// A file as wg-quick(8) takes it is taken, with all liberties that it grants.
#[test]
fn a_file_of_wg_quick_is_read() {
    let text = "\u{feff}# office\r\n[ interface ]\r\nprivateKEY=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\r\n\
        Address = 10.8.0.1/24 10.8.1.1/24,\nADDRESS=fd00::1/64 # two\nListenPort=0\nTable = off\nFwMark = off\nSaveConfig = false\n\
        [Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nAllowedIPs =\nPersistentKeepalive = off\n\
        [PEER]\nPublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=\nAllowedIPs = 10.0.0.0/8,fd00::/8\nAllowedIPs = 10.0.0.1\n";
    let report = check_conf(text, "wg0.conf");
    assert!(report.is_empty(), "{report}");
    let report = check_conf("[Peer]\n", "wg0.conf");
    assert_eq!(report.diagnostics()[0].code, Code::MissingKey);
}
