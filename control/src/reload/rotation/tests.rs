use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use ravelin_config::wireguard::PublicKey;

use super::*;
use crate::{compile::PortFacts, reload::prepare, testing::Directory};

const OLD: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const NEW: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";
const ALICE: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const FACTS: PortFacts = PortFacts { mtu: 1500, partial_checksums: false };

fn secret(directory: &Directory, name: &str, text: &str) {
    let path = directory.write(name, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn begin(directory: &Directory) -> (Reloader, IfName) {
    secret(directory, "key", OLD);
    let text = format!(
        "[[interface]]\nname = 'wan'\nmode = 'route'\n[[wireguard]]\nname = 'wg0'\nprivate_key_file = 'key'\n\
        [[wireguard.peer]]\npublic_key = '{ALICE}'\nallowed_ips = ['10.0.0.2']\n"
    );
    let path = directory.write("ravelin.toml", text);
    let (loaded, _) = prepare(&path, None).unwrap();
    let reloader = Reloader::begin(path, loaded.config, loaded.library, 1, |_| FACTS).unwrap();
    (reloader, "wg0".parse().unwrap())
}

/// The public keys: the one that is, and the one that was.
fn keys(reloader: &Reloader, name: &IfName) -> (String, Option<String>) {
    let text = |key| PublicKey(key).to_string();
    let (identity, _) = reloader.tunnels().identity(name).unwrap();
    let previous = reloader.tunnels().previous(name).map(|(identity, _)| text(identity.public_key()));
    (text(identity.public_key()), previous)
}

#[test]
fn another_key_is_served_beside_the_one_before_until_that_is_over() {
    let directory = Directory::new();
    let (mut reloader, name) = begin(&directory);
    let alice: PublicKey = ALICE.parse().unwrap();
    let peer = |reloader: &Reloader| Arc::clone(reloader.tunnels().peer(&name, &alice.0).unwrap());
    let (before, (old, none)) = (peer(&reloader), keys(&reloader, &name));
    assert_eq!(none, None);

    secret(&directory, "key", NEW);
    secret(&directory, "key.previous", OLD);
    // What the file says besides is none of its business.
    directory.write("ravelin.toml", "no = [configuration");
    assert_eq!(reloader.take_keys("wg0", Timestamp::now()).unwrap(), name);
    let (new, previous) = keys(&reloader, &name);
    assert!(new != old && previous.as_ref() == Some(&old));
    assert!(Arc::ptr_eq(&before, &peer(&reloader)), "who is there stays");
    assert_eq!(reloader.generation(), 2);

    let until = reloader.running().wireguards[0].previous_key.as_ref().unwrap().until;
    let early = until.checked_sub(Duration::from_secs(1)).unwrap();
    assert_eq!(reloader.end_rotations(early).unwrap(), []);
    assert_eq!(keys(&reloader, &name), (new.clone(), Some(old)));
    assert_eq!(reloader.end_rotations(until).unwrap(), [(name.clone(), 0)]);
    assert_eq!(keys(&reloader, &name), (new, None));
    assert!(Arc::ptr_eq(&before, &peer(&reloader)), "who is there stays");
    assert_eq!((reloader.end_rotations(until).unwrap(), reloader.generation()), (vec![], 3));
}

#[test]
fn keys_that_cannot_be_used_change_nothing() {
    let directory = Directory::new();
    let (mut reloader, name) = begin(&directory);
    let before = keys(&reloader, &name);
    let unknown = reloader.take_keys("wg1", Timestamp::now()).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no WireGuard interface `wg1`");
    for (file, text) in [("key", &OLD[1..]), ("key.previous", "")] {
        secret(&directory, file, text);
        let error = reloader.take_keys("wg0", Timestamp::now()).unwrap_err().to_string();
        assert!(error.contains(file) && !error.contains(&OLD[1..9]), "{error}");
        assert_eq!((keys(&reloader, &name), reloader.generation()), (before.clone(), 1));
        secret(&directory, "key", OLD);
    }
    // With the same keys everything is the same.
    fs::remove_file(directory.file("key.previous")).unwrap();
    reloader.take_keys("wg0", Timestamp::now()).unwrap();
    assert_eq!(keys(&reloader, &name), before);
}
