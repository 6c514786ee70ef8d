use std::{
    fs::{self, Permissions},
    path::PathBuf,
};

use super::*;
use crate::testing::Directory;

const KEY: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

#[test]
fn a_key_is_read_from_a_file_of_ones_own() {
    let directory = Directory::new();
    let file = |text: &str, mode: u32| -> PathBuf {
        let path = directory.write("key", text);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let found = key(&file(&format!(" {KEY}\n"), 0o600)).unwrap().unwrap();
    assert_eq!((found.0.as_str(), format!("{found:?}")), (KEY, "***".to_owned()));
    assert_eq!(key(Path::new("/dev/null")).unwrap(), None);
    for (text, mode, says) in [
        (KEY, 0o640, "its mode 640 lets others use it"),
        ("", 0o600, "is empty, and should hold a key"),
        ("\n", 0o600, "name /dev/null"),
        (&format!("{KEY}\n{KEY}"), 0o600, "should hold one line"),
        (&KEY[1..], 0o600, "holds no key: a key has 44 characters"),
        (&KEY.repeat(30), 0o600, "it has more than 1024 bytes"),
    ] {
        let error = key(&file(text, mode)).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains(&KEY[1..9]), "{error}");
    }
    for path in ["/", KEY] {
        let error = key(Path::new(path)).unwrap_err().to_string();
        assert!(error.contains("cannot read") && !error.contains(&KEY[1..9]), "{error}");
    }
}

#[test]
fn a_pipe_is_a_file_as_well() {
    let (reader, mut writer) = io::pipe().unwrap();
    io::Write::write_all(&mut writer, KEY.as_bytes()).unwrap();
    drop(writer);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    assert_eq!(key(Path::new(&path)).unwrap().unwrap().0.as_str(), KEY);
    let content = Content::conf(Path::new("/dev/null")).unwrap();
    assert!(content.text().is_empty() && content.private(Path::new("/dev/null")).is_ok());
}
