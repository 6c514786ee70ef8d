mod bridge;
mod live;
mod rotation;

use super::secret;
use crate::report::{Findings, Range};
use crate::types::{IfName, MssClamp};
use crate::wireguard::{KeyPlace, PresharedKey, PrivateKey, Wireguard, WireguardRoutes};
use crate::{Change, Code, Config, Loaded, Report, ReversePath, diff, load};
use std::{
    fs::{self, Permissions},
    num::NonZeroU16,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
};

const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const OTHER: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";
const ALICE: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const BOB: &str = "Tr/+SoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";

/// What every text begins with: its own lines are counted behind these.
const ROUTER: &str = "[[interface]]\nname = 'wan'\nmode = 'route'\nzone = 'out'\n";

/// A directory with keys in it, which goes away with its owner.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let directory = Self(std::env::temp_dir().join(format!("ravelin-wg-{}-{name}", process::id())));
        fs::create_dir_all(&directory.0).unwrap();
        directory.write("key", PRIVATE, 0o600);
        directory.write("other", &format!("\t{OTHER}\r\n\n"), 0o400);
        directory
    }

    fn write(&self, file: &str, text: &str, mode: u32) {
        let path = self.0.join(file);
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, text: &str) -> Result<Loaded, Report> {
        self.write("main.toml", &format!("{ROUTER}{text}"), 0o644);
        load(&self.0.join("main.toml"))
    }

    fn config(&self, text: &str) -> Config {
        self.load(text).unwrap_or_else(|report| panic!("{report}")).config
    }

    fn wg(&self, text: &str) -> Wireguard {
        self.config(text).wireguards[0].clone()
    }

    /// What is found: code and line, in the TOML file or in another.
    fn found(&self, text: &str) -> Vec<(Code, String)> {
        let report = self.load(text).map_or_else(|report| report, |loaded| loaded.warnings);
        let first = ROUTER.lines().count();
        let place = |it: &crate::Diagnostic| {
            let span = it.span.as_ref().unwrap();
            let file = Path::new(&span.file).file_name().unwrap().to_string_lossy().into_owned();
            if file == "main.toml" {
                (span.line - first).to_string()
            } else {
                format!("{file}:{}", span.line)
            }
        };
        report.diagnostics().iter().map(|it| (it.code, place(it))).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn one(code: Code, place: &str) -> Vec<(Code, String)> {
    vec![(code, place.to_owned())]
}

fn section(keys: &str) -> String {
    format!("[[wireguard]]\nname = 'wg0'\nprivate_key_file = 'key'\n{keys}")
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn a_section_says_all_in_toml() {
    let directory = Directory::new("toml");
    let wg = directory.wg(&section(""));
    assert_eq!((wg.name.as_str(), wg.listen_port, wg.mtu, wg.zone), ("wg0", None, None, None));
    assert_eq!(wg.private_key, PRIVATE.parse().unwrap());
    assert_eq!((wg.routes, wg.require_encryption), (WireguardRoutes::Auto, false));
    assert_eq!((wg.mss_clamp, wg.reverse_path), (MssClamp::Path, ReversePath::Loose));
    assert_eq!((wg.addresses.len(), wg.peers.len()), (0, 0));

    let config = directory.config(&section(&format!(
        "listen_port = 51820\naddresses = ['10.8.0.1/24', 'fd00::1']\nmtu = 1400\nzone = 'vpn'\nroutes = 7\n\
        require_encryption = true\nmss_clamp = 1300\nreverse_path = 'strict'\n\
        [[wireguard.peer]]\nname = 'alice'\npublic_key = '{ALICE}'\npreshared_key_file = 'other'\nendpoint = 'vpn.example:1'\n\
        allowed_ips = ['10.8.0.2', '10.9.0.0/16', '10.8.0.2/32']\npersistent_keepalive = 25\nlabels = {{ a = 'b' }}\n\
        [[wireguard.peer]]\npublic_key = '{BOB}'\n"
    )));
    let wg = &config.wireguards[0];
    assert_eq!((wg.listen_port, wg.mtu, wg.routes), (Some(51820), Some(1400), WireguardRoutes::Table(7)));
    assert_eq!(texts(&wg.addresses), ["10.8.0.1/24", "fd00::1/128"], "host bits are kept");
    assert_eq!((wg.mss_clamp, wg.reverse_path), (MssClamp::Most(1300), ReversePath::Strict));
    assert!(wg.require_encryption);
    let [alice, bob] = wg.peers.as_slice() else { panic!("{wg:?}") };
    assert_eq!((alice.called(), alice.public_key.to_string()), ("alice".to_owned(), ALICE.to_owned()));
    assert_eq!(alice.preshared_key, Some(OTHER.parse().unwrap()));
    assert_eq!(alice.endpoint.as_ref().map(ToString::to_string).as_deref(), Some("vpn.example:1"));
    assert_eq!(texts(&alice.allowed_ips), ["10.8.0.2/32", "10.9.0.0/16"]);
    assert_eq!(alice.persistent_keepalive, NonZeroU16::new(25));
    assert_eq!((bob.called(), bob.allowed_ips.len()), (BOB.to_owned(), 0));
    assert_eq!(config.zones().into_iter().map(IfName::as_str).collect::<Vec<_>>(), ["out", "vpn"]);
    assert_eq!(config.files, ["main.toml", "key", "other"].map(|file| directory.0.join(file)));
    let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains(&PRIVATE[..8]) && !shown.contains(&OTHER[..8]), "{shown}");
    assert!(!shown.contains(&format!("{:?}", &config.wireguards[0].private_key.reveal()[..4])));
}

#[test]
fn a_file_of_wg_quick_says_the_same() {
    let directory = Directory::new("conf");
    let conf = format!(
        "[Interface]\nPrivateKey = {PRIVATE}\nListenPort = 51820\nAddress = 10.8.0.1/24, fd00::1\nMTU = 1400\nTable = 7\n\
        [Peer]\nPublicKey = {ALICE}\nPresharedKey = {OTHER}\nEndpoint = vpn.example:1\nAllowedIPs = 10.8.0.2,10.9.0.0/16\n\
        PersistentKeepalive = 25\n[Peer]\nPublicKey={BOB}\nPersistentKeepalive = off\n"
    );
    directory.write("wg.conf", &conf, 0o600);
    let toml = "[[wireguard]]\nname = 'wg0'\nconf = 'wg.conf'\n";
    let of_conf = directory.config(toml);
    let mut of_toml = directory.wg(&section(&format!(
        "listen_port = 51820\naddresses = ['10.8.0.1/24', 'fd00::1']\nmtu = 1400\nroutes = 7\n\
        [[wireguard.peer]]\npublic_key = '{ALICE}'\npreshared_key_file = 'other'\nendpoint = 'vpn.example:1'\n\
        allowed_ips = ['10.8.0.2', '10.9.0.0/16']\npersistent_keepalive = 25\n[[wireguard.peer]]\npublic_key = '{BOB}'\n"
    )));
    let place = KeyPlace::File(directory.0.join("wg.conf"));
    of_toml.private_key_place = place.clone();
    of_toml.peers[0].preshared_key_place = Some(place);
    of_toml.private_key_file = None;
    assert_eq!(of_conf.wireguards, [of_toml]);
    assert_eq!(of_conf.resources.network_sets, []);
    assert_eq!(of_conf.files, ["main.toml", "wg.conf"].map(|file| directory.0.join(file)));

    // TOML adds a zone, a name, and a peer; what only the file can say it cannot say again.
    let third = PRIVATE;
    let peers = format!(
        "zone = 'vpn'\n[[wireguard.peer]]\npublic_key = '{ALICE}'\nname = 'alice'\n[[wireguard.peer]]\npublic_key = '{third}'\n"
    );
    let wg = directory.wg(&format!("{toml}{peers}"));
    let called: Vec<_> = wg.peers.iter().map(|peer| peer.called()).collect();
    assert_eq!(called, ["alice", BOB, third]);
    assert_eq!((texts(&wg.peers[0].allowed_ips).len(), wg.zone.is_some()), (2, true));
    for key in ["listen_port = 1", "addresses = ['10.0.0.1']", "mtu = 1300", "routes = true"] {
        assert_eq!(directory.found(&format!("{toml}{key}\n")), one(Code::Combination, "4"), "{key}");
    }
    let twice = format!("{toml}[[wireguard.peer]]\npublic_key = '{ALICE}'\n");
    assert_eq!(directory.found(&format!("{twice}endpoint = '1.2.3.4:5'\n")), one(Code::Combination, "6"));
    let thrice = format!("{twice}[[wireguard.peer]]\npublic_key = '{ALICE}'\n");
    assert_eq!(directory.found(&thrice), one(Code::PeerTaken, "7"));

    // What does not stand in the file may stand in TOML.
    directory.write("wg.conf", &format!("[Interface]\nPrivateKey = {PRIVATE}\nListenPort = 0\n"), 0o600);
    assert_eq!(directory.found(&format!("{toml}mtu = 1300\nroutes = false\n")), []);
    assert_eq!(directory.wg(toml).listen_port, None);
    directory.write("wg.conf", "[Interface]\n", 0o644);
    assert_eq!(directory.found(toml), one(Code::MissingKey, "3"), "it holds no secret, but should");
    fs::write(directory.0.join("wg.conf"), b"[Interface]\n\xff").unwrap();
    assert_eq!(directory.found(toml), one(Code::Unreadable, "3"));
}

#[test]
fn files_of_keys_are_private_and_hold_one() {
    let directory = Directory::new("keys");
    let cases = [
        ("", 0o600, "is empty, and should hold a key"),
        (" \n\n", 0o600, "is empty, and should hold a key"),
        (&format!("{PRIVATE}\n{PRIVATE}"), 0o600, "should hold one line, the key, and has more"),
        (&PRIVATE[..20], 0o600, "holds no key: a key has 44 characters of base64, this one has 20"),
        (&format!("{}=", "A".repeat(43)), 0o600, "holds no key: a key of zeros is none"),
        (PRIVATE, 0o640, "holds a secret key, and its mode 640 lets others use it"),
        (PRIVATE, 0o601, "holds a secret key, and its mode 601 lets others use it"),
        (&" ".repeat(2000), 0o600, "it has more than 1024 bytes"),
    ];
    for (text, mode, problem) in cases {
        directory.write("key", text, mode);
        let report = directory.load(&section("")).unwrap_err();
        let [found] = report.diagnostics() else { panic!("{report}") };
        assert_eq!(found.code, Code::KeyFile);
        assert!(found.message.ends_with(problem), "{report}");
        let help = (mode != 0o600).then(|| format!("chmod 600 {}", directory.0.join("key").display()));
        assert_eq!(found.help, help);
    }
    assert_eq!(directory.found(&section("").replace("'key'", "'.'")), one(Code::KeyFile, "3"));
    assert_eq!(directory.found(&section("").replace("'key'", "'/dev/zero'")), one(Code::KeyFile, "3"));
}

#[test]
fn credentials_are_not_for_us_to_protect() {
    let directory = Directory::new("credentials");
    directory.write("wg", OTHER, 0o444);
    let mut findings = Findings::default();
    findings.read("text".into(), "t".into());
    let place = findings.place(Range { start: 0, end: 4 });
    let read = |directory, name: &str, findings: &mut Findings| {
        secret::credential::<PrivateKey>(directory, name, &place, findings)
    };
    assert_eq!(read(Some(directory.0.as_path()), "wg", &mut findings), Some(OTHER.parse().unwrap()));
    assert!(!findings.has_errors());
    assert_eq!(read(None, "wg", &mut findings), None);
    assert_eq!(read(Some(Path::new("")), "wg", &mut findings), None);
    assert_eq!(read(Some(directory.0.as_path()), "missing", &mut findings), None);
    let report = findings.into_report();
    let codes: Vec<_> = report.diagnostics().iter().map(|it| it.code).collect();
    assert_eq!(codes, [Code::KeyFile; 3]);
    assert!(report.to_string().contains("$CREDENTIALS_DIRECTORY is not set"), "{report}");
    assert!(OTHER.parse::<PresharedKey>().is_ok());
}

#[test]
fn sections_go_together() {
    let directory = Directory::new("together");
    let found = |text: &str| directory.found(text);
    let bridge = "[[bridge]]\nname = 'b'\nports = ['wg0', 'x']\n";
    assert_eq!(found(&format!("{}{bridge}", section(""))), one(Code::DuplicateName, "2"));
    let long = section("").replace("wg0", "0123456789");
    assert_eq!(found(&long), [], "rvln-0123456789 has 15 bytes");
    let our_end = format!("{}[[interface]]\nname = 'rvln-wg0'\nmode = 'route'\n", section(""));
    assert_eq!(found(&our_end), one(Code::DuplicateName, "2"));
    assert_eq!(found(&section("zone = 'wan'\n")), one(Code::Combination, "4"));
    assert_eq!(found(&section("zone = 'wg0'\n")), one(Code::Combination, "4"));
    for (mtu, code) in
        [(576, Code::ShortMtu), (1279, Code::ShortMtu), (575, Code::OutOfRange), (9001, Code::OutOfRange)]
    {
        assert_eq!(
            found(&section(&format!("mtu = {mtu}\naddresses = ['10.0.0.1', 'fd00::1']\n"))),
            one(code, "4")
        );
    }
    assert_eq!(found(&section("mtu = 1280\naddresses = ['fd00::1']\n")), []);
    assert_eq!(found(&section("mtu = 1000\naddresses = ['10.0.0.1']\n")), []);
    let two =
        format!("{}{}", section("listen_port = 7\n"), section("listen_port = 7\n").replace("wg0", "wg1"));
    assert_eq!(found(&two), one(Code::PeerTaken, "8"));
    let many: String = (0..17).map(|n| section("").replace("wg0", &format!("wg{n}"))).collect();
    assert_eq!(found(&many), one(Code::TooLarge, "50"));
    // Nothing routes.
    directory.write("main.toml", &section(""), 0o600);
    let report = load(&directory.0.join("main.toml")).unwrap_err();
    assert_eq!(
        report.diagnostics()[0].message,
        "`wg0` needs an interface with mode = \"route\", and there is none"
    );
    assert_eq!(report.diagnostics().len(), 1);
}

#[test]
fn there_are_at_most_65536_peers() {
    let directory = Directory::new("many");
    let peer = |n: u32| {
        let mut key = [1; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        let key = crate::wireguard::PublicKey(key);
        format!("[Peer]\nPublicKey = {key}\nAllowedIPs = {}\n", std::net::Ipv4Addr::from(n))
    };
    let conf = |count: u32| {
        let peers: String = (0..count).map(peer).collect();
        directory.write("wg.conf", &format!("[Interface]\nPrivateKey = {PRIVATE}\n{peers}"), 0o600);
    };
    let toml = "[[wireguard]]\nname = 'wg0'\nconf = 'wg.conf'\n";
    conf(65_536);
    assert_eq!(directory.wg(toml).peers.len(), 65_536);
    conf(65_537);
    assert_eq!(directory.found(toml), one(Code::TooLarge, &format!("wg.conf:{}", 2 + 65_536 * 3 + 2)));
}

#[test]
fn zones_and_names_can_be_named_elsewhere() {
    let directory = Directory::new("zones");
    let text = section(
        "zone = 'vpn'\n[[policy]]\nname = 'p'\n[[policy.ingress]]\naction = 'allow'\nsource.zones = ['vpn']\n\
        [[nat.source]]\nout = ['wg0', 'out']\nsources = ['10.0.0.0/8']\n\
        [[nat.destination]]\naddress = 'wg0'\nto = '10.0.0.1'\n[[nat.destination]]\nin = ['vpn']\naddress = '192.0.2.1'\nto = '10.0.0.1'\n",
    );
    let nat = directory.config(&text).nat;
    assert_eq!(texts(&nat.sources[0].out), ["wg0", "wan"]);
    assert_eq!(texts(&nat.destinations[0].entries), ["wan", "wg0"], "all that route");
    assert_eq!(texts(&nat.destinations[1].entries), ["wg0"]);
    let wrong = text.replace("zones = ['vpn']", "zones = ['vpm']");
    assert_eq!(directory.found(&wrong), one(Code::UnknownZone, "9"));
    // One mistake is one finding, although nobody knows what else routes.
    assert_eq!(directory.found(&text.replace("zone = 'vpn'", "zone = 7")), one(Code::WrongType, "4"));
}

#[test]
fn peers_are_network_sets() {
    let directory = Directory::new("sets");
    let peers = format!(
        "[[wireguard.peer]]\nname = 'alice'\npublic_key = '{ALICE}'\nallowed_ips = ['10.0.0.2']\n\
        labels = {{ team = 'a', \"ravelin.io/peer\" = 'bob' }}\n\
        [[wireguard.peer]]\npublic_key = '{BOB}'\nallowed_ips = ['10.0.0.3']\nlabels = {{ team = 'b' }}\n\
        [[wireguard.peer]]\npublic_key = '{PRIVATE}'\n"
    );
    let sets = directory.config(&section(&peers)).resources.network_sets;
    let [alice, bob] = sets.as_slice() else { panic!("{sets:?}") };
    assert_eq!((alice.name.as_str(), bob.name.as_str()), ("alice", "wg0-Tr_-SoP4"));
    assert_eq!(
        (texts(&alice.nets), texts(&bob.nets)),
        (vec!["10.0.0.2/32".into()], vec!["10.0.0.3/32".into()])
    );
    let labels: Vec<_> = alice.labels.iter().collect();
    assert_eq!(labels, [("ravelin.io/peer", "alice"), ("ravelin.io/wireguard", "wg0"), ("team", "a")]);
    assert_eq!(bob.labels.iter().next(), Some(("ravelin.io/peer", "wg0-Tr_-SoP4")));

    let set = |name: &str, namespace: &str| {
        format!("[[network_set]]\nname = '{name}'\nnets = ['10.0.0.0/8']\n{namespace}")
    };
    let found = |name: &str| directory.found(&section(&format!("{peers}{}", set(name, ""))));
    assert_eq!(found("alice"), one(Code::DuplicateName, "5"));
    assert_eq!(found("wg0-Tr_-SoP4"), one(Code::DuplicateName, "12"));
    assert_eq!(found("carol"), []);
    let elsewhere = format!("{}{}", set("alice", "namespace = 'n'\n"), "[[namespace]]\nname = 'n'\n");
    assert_eq!(directory.found(&section(&format!("{peers}{elsewhere}"))), []);
    let second = section(&format!("[[wireguard.peer]]\nname = 'alice'\npublic_key = '{ALICE}'\n"))
        .replace("wg0", "wg1");
    assert_eq!(directory.found(&section(&format!("{peers}{second}"))), one(Code::DuplicateName, "19"));
}

#[test]
fn changes_are_shown_by_name_and_without_secrets() {
    let directory = Directory::new("diff");
    let peer = |name: &str, key: &str, more: &str| {
        format!("[[wireguard.peer]]\n{name}public_key = '{key}'\npersistent_keepalive = 1\n{more}\n")
    };
    let changes = |old: &str, new: &str| -> Vec<(String, bool)> {
        let changes = diff(&directory.config(old), &directory.config(new));
        let of_wg = changes.into_iter().filter(|Change { field, .. }| field.starts_with("wireguard"));
        of_wg.map(|change| (change.field, change.live)).collect()
    };
    let alice = peer(
        "name = 'alice'\n",
        ALICE,
        "allowed_ips = ['10.0.0.2']\nlabels = { a = 'b' }\npreshared_key_file = 'key'",
    );
    let old = section(&format!("{alice}{}{}", peer("", BOB, ""), peer("name = 'gone'\n", OTHER, "")));
    assert_eq!(changes(&old, &old), []);
    let reordered = section(&format!("{}{alice}{}", peer("name = 'gone'\n", OTHER, ""), peer("", BOB, "")));
    assert_eq!(changes(&old, &reordered), []);

    let alice = peer("name = 'alice'\n", PRIVATE, "endpoint = 'a:1'\npreshared_key_file = 'other'")
        .replace("= 1\n", "= 2\n");
    let new = section(&format!(
        "listen_port = 1\naddresses = ['10.0.0.1']\nmtu = 1400\nzone = 'z'\nroutes = false\nrequire_encryption = true\n\
        mss_clamp = false\nreverse_path = 'off'\n{alice}{}",
        peer("", ALICE, "")
    ));
    let expected = [
        ("wireguard[wg0].private_key", true),
        ("wireguard[wg0].listen_port", false),
        ("wireguard[wg0].addresses", true),
        ("wireguard[wg0].mtu", false),
        ("wireguard[wg0].zone", true),
        ("wireguard[wg0].routes", true),
        ("wireguard[wg0].require_encryption", true),
        ("wireguard[wg0].mss_clamp", true),
        ("wireguard[wg0].reverse_path", true),
        (&format!("wireguard[wg0].peer[{BOB}]"), true),
        ("wireguard[wg0].peer[gone]", true),
        ("wireguard[wg0].peer[alice].public_key", true),
        ("wireguard[wg0].peer[alice].preshared_key", true),
        ("wireguard[wg0].peer[alice].endpoint", true),
        ("wireguard[wg0].peer[alice].allowed_ips", true),
        ("wireguard[wg0].peer[alice].persistent_keepalive", true),
        ("wireguard[wg0].peer[alice].labels", true),
        (&format!("wireguard[wg0].peer[{ALICE}]"), true),
    ];
    let new = new.replace("private_key_file = 'key'", "private_key_file = 'other'");
    assert_eq!(changes(&old, &new), expected.map(|(field, live)| (field.to_owned(), live)));
    let other = section("").replace("wg0", "wg1");
    let expected = [("wireguard[wg0]".to_owned(), false), ("wireguard[wg1]".to_owned(), false)];
    assert_eq!(changes(&section(""), &other), expected);
}
