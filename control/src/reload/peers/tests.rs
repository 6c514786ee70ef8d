use std::{fs, num::NonZeroU16, os::unix::fs::PermissionsExt};

use ravelin_config::{
    types::PublicKey,
    wireguard::change::{PeerChange, PeerFate, Setting},
};
use ravelin_dataplane::wireguard::Peer;

use super::*;
use crate::{compile::PortFacts, reload::prepare, testing::Directory};

const FACTS: PortFacts = PortFacts { mtu: 1500, partial_checksums: false };

/// The keys of the example of wg(8), and one that is nobody's.
const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const SITE: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const PHONE: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
const OTHER: &str = "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=";

/// A router with two peers, of which one has a name; whose labels a rule asks for.
fn begin(directory: &Directory) -> Reloader {
    let key = directory.write("wg0.key", PRIVATE);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "manifests = [\"*.yaml\"]\n[[interface]]\nname = \"lan\"\nmode = \"route\"\n\
         [[wireguard]]\nname = \"wg0\"\nprivate_key_file = \"wg0.key\"\n\
         [[wireguard.peer]]\nname = \"site\"\npublic_key = \"{SITE}\"\nallowed_ips = [\"10.9.0.2/32\", \"10.20.0.0/16\"]\n\
         labels = {{ role = \"branch\" }}\n\
         [[wireguard.peer]]\npublic_key = \"{PHONE}\"\nallowed_ips = [\"10.9.0.3/32\"]\nendpoint = \"192.0.2.3:1\"\n\
         [[policy]]\nname = \"branches\"\n[[policy.ingress]]\naction = \"allow\"\nsource.selector = \"role == 'branch'\"\n"
    );
    let path = directory.write("ravelin.toml", text);
    let (loaded, _) = prepare(&path, None).unwrap();
    Reloader::begin(path, loaded.config, loaded.library, 1, |_| FACTS).unwrap()
}

fn name() -> IfName {
    "wg0".parse().unwrap()
}

fn change(key: &str, allowed_ips: Option<&str>) -> PeerChange {
    let nets = |text: &str| text.split_whitespace().map(|net| net.parse().unwrap()).collect();
    PeerChange {
        public_key: key.parse().unwrap(),
        fate: PeerFate::There,
        preshared_key: Setting::Stays,
        endpoint: None,
        persistent_keepalive: Setting::Stays,
        allowed_ips: allowed_ips.map(nets),
    }
}

/// Makes a change; says what differs.
fn set(reloader: &mut Reloader, peers: Vec<PeerChange>) -> Vec<String> {
    let changed = reloader.change_peers(&name(), &PeersChange { replaces: false, peers }).unwrap();
    changed.changes.into_iter().map(|change| change.field).collect()
}

fn held(reloader: &Reloader, key: &str) -> Option<Arc<Peer>> {
    let key: PublicKey = key.parse().unwrap();
    reloader.tunnels().peer(&name(), &key.0).cloned()
}

/// What the network set of the peer with a name has.
fn set_of_site(reloader: &Reloader) -> Vec<String> {
    let sets = &reloader.running().resources.network_sets;
    let set = sets.iter().find(|set| set.name == "site").unwrap();
    let engine = reloader.engine.resources();
    let other = engine.network_sets.iter().find(|set| set.name == "site").unwrap();
    let mut nets: Vec<_> = set.nets.iter().map(ToString::to_string).collect();
    let mut others: Vec<_> = other.nets.iter().map(ToString::to_string).collect();
    nets.sort();
    others.sort();
    assert_eq!(nets, others, "policy knows the same");
    nets
}

#[test]
fn who_does_not_change_stays_who_it_is_and_sets_follow() {
    let directory = Directory::new();
    let mut reloader = begin(&directory);
    let (site, phone) = (held(&reloader, SITE).unwrap(), held(&reloader, PHONE).unwrap());
    assert_eq!(set_of_site(&reloader), ["10.20.0.0/16", "10.9.0.2/32"]);
    let fields =
        set(&mut reloader, vec![change(OTHER, Some("10.20.0.0/16")), change(SITE, Some("+10.21.0.0/16"))]);
    let other = format!("wireguard[wg0].peer[{OTHER}]");
    assert_eq!(fields, ["wireguard[wg0].peer[site].allowed_ips", &other, "network_set[site]"]);
    assert_eq!(reloader.generation(), 2);
    assert_eq!(set_of_site(&reloader), ["10.21.0.0/16", "10.9.0.2/32"]);
    assert!(Arc::ptr_eq(&held(&reloader, SITE).unwrap(), &site));
    assert!(Arc::ptr_eq(&held(&reloader, PHONE).unwrap(), &phone));
    let touched = reloader.current().change.clone().unwrap().addresses;
    let touches = |address: &str| touched.contains(address.parse().unwrap());
    assert!(touches("10.20.0.1") && touches("10.21.0.1") && !touches("10.9.0.2"), "flows of others go on");
    let origins = |reloader: &Reloader| reloader.origins(&reloader.running().wireguards[0]);
    assert_eq!(origins(&reloader), [Origin::Changed, Origin::Configuration, Origin::Added]);

    // Nothing is published for nothing.
    assert!(set(&mut reloader, vec![change(OTHER, None), change(PHONE, Some("10.9.0.3/32"))]).is_empty());
    assert_eq!(reloader.generation(), 2);

    // Who is gone has nothing; who is back has its name.
    let gone = PeerChange { fate: PeerFate::Gone, ..change(SITE, None) };
    set(&mut reloader, vec![gone]);
    assert!(held(&reloader, SITE).is_none() && set_of_site(&reloader).is_empty());
    set(&mut reloader, vec![change(SITE, Some("10.9.0.9/32"))]);
    assert_eq!(set_of_site(&reloader), ["10.9.0.9/32"]);
    assert_eq!(origins(&reloader), [Origin::Configuration, Origin::Added, Origin::Changed]);
    assert!(!Arc::ptr_eq(&held(&reloader, SITE).unwrap(), &site));

    // Who gets a keepalive is somebody else, where it was.
    let keepalive = Setting::Is(NonZeroU16::new(25).unwrap());
    set(&mut reloader, vec![PeerChange { persistent_keepalive: keepalive, ..change(OTHER, None) }]);
    assert_eq!(held(&reloader, OTHER).unwrap().keys.keepalive, NonZeroU16::new(25));
}

#[test]
fn what_cannot_be_changes_nothing() {
    let directory = Directory::new();
    let mut reloader = begin(&directory);
    let before = Arc::clone(reloader.running());
    let own = PublicKey(reloader.tunnels().identity(&name()).unwrap().0.public_key()).to_string();
    let peers = vec![change(OTHER, Some("10.9.0.2/32")), change(&own, None)];
    let error = reloader.change_peers(&name(), &PeersChange { replaces: false, peers }).unwrap_err();
    assert!(error.to_string().contains("is the interface itself"), "{error}");
    let error = reloader.change_peers(&"wg7".parse().unwrap(), &PeersChange::default()).unwrap_err();
    assert_eq!(error.to_string(), "there is no WireGuard interface `wg7`");
    assert!(Arc::ptr_eq(reloader.running(), &before) && held(&reloader, OTHER).is_none());
    assert_eq!((reloader.generation(), set_of_site(&reloader).len()), (1, 2));
}

#[test]
fn a_reload_takes_back_what_no_file_says_and_a_changed_manifest_does_not() {
    let directory = Directory::new();
    let mut reloader = begin(&directory);
    let peers = vec![change(OTHER, Some("10.20.0.0/16"))];
    let replace = PeersChange { replaces: true, peers };
    reloader.change_peers(&name(), &replace).unwrap();
    let other = held(&reloader, OTHER).unwrap();
    assert_eq!(reloader.running().wireguards[0].peers.len(), 1);
    let followed = reloader.follow_files(|_| FACTS).unwrap();
    assert!(followed.changes.is_empty(), "{:?}", followed.changes);
    assert!(Arc::ptr_eq(&held(&reloader, OTHER).unwrap(), &other));
    assert!(set_of_site(&reloader).is_empty());

    directory.write("ravelin.toml", "[");
    reloader.reload(|_| FACTS).unwrap_err();
    assert!(
        Arc::ptr_eq(&held(&reloader, OTHER).unwrap(), &other),
        "a reload that is refused takes nothing back"
    );
    drop(begin(&directory));
    let fields: Vec<_> = reloader.reload(|_| FACTS).unwrap().changes.into_iter().map(|it| it.field).collect();
    assert!(fields.contains(&format!("wireguard[wg0].peer[{OTHER}]")), "{fields:?}");
    assert!(held(&reloader, OTHER).is_none() && held(&reloader, PHONE).is_some());
    assert_eq!(set_of_site(&reloader).len(), 2);
    assert_eq!(reloader.origins(&reloader.running().wireguards[0]), [Origin::Configuration; 2]);
}

#[test]
fn on_a_bridge_no_peer_has_an_endpoint() {
    let directory = Directory::new();
    let key = directory.write("wg0.key", PRIVATE);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = "[[bridge]]\nname = \"line\"\nports = [\"a\", \"b\"]\n\
         [[wireguard]]\nname = \"wg0\"\nbridge = \"line\"\nlocal_ips = [\"10.0.1.0/24\"]\nlisten_port = 1\nprivate_key_file = \"wg0.key\"\n";
    let path = directory.write("ravelin.toml", text);
    let (loaded, _) = prepare(&path, None).unwrap();
    let mut reloader = Reloader::begin(path, loaded.config, loaded.library, 1, |_| FACTS).unwrap();
    let endpoint = Some("192.0.2.1:1".parse().unwrap());
    let peers = vec![PeerChange { endpoint, ..change(SITE, Some("10.0.2.0/24")) }];
    let refused = reloader.change_peers(&name(), &PeersChange { replaces: false, peers });
    assert!(matches!(refused, Err(PeersError::OnBridge(_))), "{refused:?}");
    assert!(held(&reloader, SITE).is_none());
    set(&mut reloader, vec![change(SITE, Some("10.0.2.0/24"))]);
    assert!(held(&reloader, SITE).is_some());
}
