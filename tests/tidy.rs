//! House rules that no compiler checks: sizes, arrows between crates, examples, generated pages. Licences are
//! cargo-deny's (`.deny.toml`).

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use ravelin_tests::{
    binary::{self, root},
    process::{attempt, run},
};
use serde_json::Value;

/// The crates from bottom to top; bench and tests stand side by side.
const TIERS: [(&str, u8); 5] = [
    ("ravelin-config", 0),
    ("ravelin-dataplane", 1),
    ("ravelin-control", 2),
    ("ravelin-bench", 3),
    ("ravelin-tests", 3),
];

/// Every text file of ours, by its path from the root.
fn files() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the repository is readable") {
            let path = entry.expect("the repository is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                let made = ["target", ".git", "artifacts"].contains(&name.as_str());
                // A submodule or worktree has a file of that name; the repository itself a folder.
                if !made && !path.is_symlink() {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let short = path.strip_prefix(root()).expect("it lies below the root").to_owned();
                found.insert(short, text);
            }
        }
    }
    found
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known))
}

fn metadata(arguments: &[&str]) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--offline"]).args(arguments).current_dir(root());
    serde_json::from_str(&run(&mut command)).expect("cargo prints JSON")
}

#[test]
fn files_stay_under_500_lines() {
    let long: Vec<String> = files()
        .iter()
        .filter(|(path, _)| has_extension(path, &["rs", "c", "h", "sh"]) || path.as_os_str() == "x")
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > 500)
        .map(|(path, lines)| format!("{} has {lines}", path.display()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn arrows_between_crates_never_point_up() {
    let tier = |name: &str| TIERS.iter().find(|(known, _)| *known == name).map(|(_, tier)| *tier);
    for package in metadata(&["--no-deps"])["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let own = tier(name).unwrap_or_else(|| panic!("{name} has no place among the crates"));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let below = dependency["name"].as_str().expect("a name");
            if let Some(below_tier) = tier(below) {
                assert!(below_tier < own, "{name} must not use {below}");
            }
        }
    }
}

#[test]
fn the_dataplane_uses_nothing_of_config_but_its_vocabulary() {
    for (path, text) in files() {
        if !path.starts_with("dataplane") || !has_extension(&path, &["rs"]) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let beyond = line.split("ravelin_config::").skip(1).any(|rest| !rest.starts_with("types"));
            assert!(!beyond, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn nothing_is_left_for_later_and_no_machine_is_named() {
    // Put together here, or this file would find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
    ];
    let ignored = [concat!("#[ig", "nore"), concat!("to", "do!(")];
    for (path, text) in files() {
        let checked =
            has_extension(&path, &["rs", "c", "h", "sh", "toml", "md", "run"]) || path.as_os_str() == "x";
        for (number, line) in text.lines().enumerate().filter(|_| checked) {
            let found = marks.iter().chain(&ignored).find(|mark| line.contains(**mark));
            assert!(found.is_none(), "{}:{}: {}", path.display(), number + 1, found.unwrap_or(&""));
        }
    }
}

#[test]
fn every_example_configuration_passes_the_check() {
    let examples: Vec<PathBuf> = fs::read_dir(root().join("config/examples"))
        .expect("there are examples")
        .map(|entry| entry.expect("the repository is readable").path())
        .filter(|path| has_extension(path, &["toml"]))
        .collect();
    assert!(!examples.is_empty());
    // Beside the key that one of them names: a repository has no secrets.
    let folder = std::env::temp_dir().join(format!("ravelin-tidy-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("there is room for copies");
    let key = folder.join("wg0.key");
    fs::write(&key, "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n").expect("there is room for a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
    for path in examples {
        let copy = folder.join(path.file_name().unwrap_or_default());
        fs::copy(&path, &copy).expect("there is room for copies");
        let (status, out, err) = attempt(Command::new(binary::ravelin()).arg("check").arg(&copy));
        assert!(status.success(), "{}: {out}{err}", path.display());
    }
    fs::remove_dir_all(&folder).expect("it is ours");
}

#[test]
fn the_configuration_reference_is_current() {
    let page = fs::read_to_string(root().join("docs/config.md")).expect("docs/config.md");
    assert!(
        page == ravelin_config::reference(),
        "docs/config.md is out of date; its head says how it is generated"
    );
}
