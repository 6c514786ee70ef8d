use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

use super::{files::KeyFiles, key_file};
use crate::{
    api::view::WireguardInterface,
    cli::wg::{fixture::interfaces, keys::Key},
    testing::Directory,
};

const OLD: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const IN_FORCE: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_new_key_takes_the_place_of_the_old_one_which_is_kept() {
    let directory = Directory::new();
    let (file, link) = (directory.file("key"), directory.file("link"));
    fs::write(&file, format!(" {OLD}\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
    symlink("key", &link).unwrap();
    fs::write(directory.file("key.new"), "of somebody who was interrupted").unwrap();
    let files = KeyFiles::lock(&link).unwrap();
    assert!(KeyFiles::lock(&file).is_err(), "one at a time");
    let key = Key::random().unwrap().clamped();
    files.replace(IN_FORCE, &key).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n", key.text()));
    assert_eq!(fs::read_to_string(directory.file("link.previous")).unwrap(), format!("{OLD}\n"));
    assert_eq!((mode(&file), mode(&directory.file("link.previous"))), (0o400, 0o600));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(!directory.file("key.new").exists() && !directory.file("link.previous.new").exists());

    let error = files.replace(IN_FORCE, &key).unwrap_err();
    assert!(format!("{error:?}").contains("another key than the one that is in force"), "{error:?}");
    drop(files);
    let files = KeyFiles::lock(&file).unwrap();
    files.replace(&key.public().text(), &key).unwrap();
}

#[test]
fn what_is_wrong_with_the_files_is_said_without_what_they_hold() {
    let directory = Directory::new();
    let file = directory.file("key");
    assert!(KeyFiles::lock(&file).is_err(), "there is none");
    let key = Key::random().unwrap();
    for text in [&OLD[1..], "", &"A".repeat(2000)] {
        fs::write(&file, text).unwrap();
        let error = format!("{:?}", KeyFiles::lock(&file).unwrap().replace(IN_FORCE, &key).unwrap_err());
        assert!(text.is_empty() || !error.contains(&text[..8]), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "nothing has changed");
        assert!(!directory.file("key.previous").exists());
    }
}

#[test]
fn keys_without_a_file_of_their_own_are_not_made_here() {
    let interface = WireguardInterface { private_key_file: None, ..interfaces().remove(0) };
    assert!(format!("{:?}", key_file(&interface).unwrap_err()).contains("private_key_file"));
}
