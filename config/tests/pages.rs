//! Example files load, the reference page is current, and its defaults are the real ones.

use ravelin_config::{Config, load, parse, reference};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

fn examples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

/// In a directory of their own, beside the key that one of them names: a repository has no secrets.
#[test]
fn every_example_loads_without_a_warning_and_can_run() {
    let directory = std::env::temp_dir().join(format!("ravelin-examples-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let key = directory.join("wg0.key");
    fs::write(&key, "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n").unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let examples = examples();
    assert!(examples.len() >= 3);
    for path in examples {
        let copy = directory.join(path.file_name().unwrap());
        fs::copy(&path, &copy).unwrap();
        let loaded = load(&copy).unwrap_or_else(|report| panic!("{report}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        loaded.config.check_runnable().unwrap();
    }
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_reference_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let page = fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == reference(),
        "docs/config.md is out of date: cargo run -p ravelin-config --example reference > docs/config.md"
    );
}

/// Writes every default of the reference page into a file, which must then mean the same as an empty one.
#[test]
fn the_defaults_of_the_reference_page_are_the_real_ones() {
    let mut text = String::new();
    // Entries have required keys, and are not in an empty file.
    let mut in_entry = false;
    for line in reference().lines() {
        if let Some(header) = line.strip_prefix("## `[").and_then(|rest| rest.strip_suffix("]`")) {
            in_entry = header.starts_with('[');
            if !in_entry {
                text.push_str(&format!("[{header}]\n"));
            }
        } else if let (Some(row), false) = (line.strip_prefix("| `"), in_entry) {
            let cells: Vec<_> = row.split(" | ").collect();
            if let Some(default) = cells[2].strip_prefix('`').and_then(|it| it.strip_suffix('`')) {
                text.push_str(&format!("{} = {default}\n", cells[0].trim_end_matches('`')));
            }
        }
    }
    assert!(text.contains("tcp_established = \"1h\""), "{text}");
    let loaded = parse(&text, "defaults.toml").unwrap_or_else(|report| panic!("{report}\n{text}"));
    assert_eq!(loaded.config, Config::default());
    assert_eq!(parse("", "empty.toml").unwrap().config, Config::default());
}
