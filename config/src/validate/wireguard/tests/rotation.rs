use super::*;
use jiff::Timestamp;
use std::{
    fs::File,
    time::{Duration, SystemTime},
};

#[test]
fn the_key_before_counts_while_its_file_is_young() {
    let directory = Directory::new("rotation");
    let key_file = directory.0.join("key");
    let wg = directory.wg(&section(""));
    assert_eq!((wg.previous_key.as_ref(), wg.rotation_grace), (None, Duration::from_hours(24)));
    assert_eq!(wg.private_key_file.as_deref(), Some(&*key_file));

    let write = |text: &str, mode: u32, age: Duration| {
        directory.write("key.previous", text, 0o600);
        let path = directory.0.join("key.previous");
        File::options().append(true).open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    let minute = Duration::from_mins(1);
    write(OTHER, 0o600, minute);
    let rotated = directory.wg(&section("rotation_grace = '1h'"));
    let previous = rotated.previous_key.clone().unwrap();
    assert_eq!(previous.key, OTHER.parse().unwrap());
    let left = previous.until.duration_since(Timestamp::now()).as_secs();
    assert!((58 * 60..=59 * 60).contains(&left), "{left}");
    assert_eq!(directory.config(&section("")).files.len(), 3);
    assert_eq!(directory.wg(&section("rotation_grace = '30s'")).previous_key, None);
    let changes = diff(
        &directory.config(&section("rotation_grace = '30s'")),
        &directory.config(&section("rotation_grace = '1h'")),
    );
    let changes: Vec<_> = changes.iter().map(|Change { field, live }| (field.as_str(), *live)).collect();
    assert_eq!(
        changes,
        [("wireguard[wg0].previous_key", true), ("wireguard[wg0].rotation_grace", true)],
        "and who changed which"
    );
    assert_eq!(rotated.with_keys_of(Timestamp::now()).unwrap(), rotated);
    assert_eq!(
        rotated.with_keys_of(previous.until).unwrap(),
        Wireguard { previous_key: None, ..rotated.clone() }
    );
    let shown = format!("{rotated:?}{}", serde_json::to_string(&rotated).unwrap());
    assert!(!shown.contains(&OTHER[..8]), "{shown}");

    // One that was written before the key it was kept for: there is one key.
    write(PRIVATE, 0o600, minute);
    assert_eq!(directory.wg(&section("")).previous_key, None);

    for (text, mode) in [(OTHER, 0o640), (&OTHER[1..], 0o600), ("", 0o600), ("a\nb", 0o600)] {
        write(text, mode, minute);
        assert_eq!(directory.found(&section("")), one(Code::KeyFile, "3"), "{text} {mode}");
        let report = rotated.with_keys_of(Timestamp::now()).unwrap_err().to_string();
        assert!(
            report.contains("key.previous") && (text.len() < 8 || !report.contains(&text[..8])),
            "{report}"
        );
        // What is over is not looked at.
        write(text, mode, Duration::from_hours(48));
        assert_eq!(directory.found(&section("")), []);
    }
    fs::remove_file(directory.0.join("key.previous")).unwrap();
    fs::create_dir(directory.0.join("key.previous")).unwrap();
    assert_eq!(directory.found(&section("")), one(Code::KeyFile, "3"));
    assert_eq!(
        directory.found("[[wireguard]]\nname = 'wg0'\nconf = 'wg.conf'\nrotation_grace = '1h'\n"),
        [(Code::KeyFile, "3".to_owned()), (Code::Combination, "4".to_owned())]
    );
    assert_eq!(directory.found(&section("rotation_grace = '0s'")), one(Code::OutOfRange, "4"));
}
