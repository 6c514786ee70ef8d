//! `ravelin import` as an operator sees it. `UPDATE=1` writes what is expected in `tests/import` anew.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ravelin-import-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The texts below a directory, hidden ones included.
    fn texts(&self, name: &str) -> BTreeMap<String, String> {
        texts(&self.0.join(name))
    }

    /// Runs `ravelin` here.
    fn ravelin(&self, line: &str, input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ravelin"))
            .args(line.split(' '))
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that fails early does not read.
        let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs `ravelin` and gives what it prints.
    #[track_caller]
    fn expect(&self, code: i32, line: &str) -> String {
        let output = self.ravelin(line, "");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn texts(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

const NAMESPACE: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n";
const POLICY: &str =
    "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: a}, spec: {}}\n";

#[test]
fn what_is_written_and_said_is_as_expected() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let scratch = Directory::new();
    for (name, text) in texts(&golden.join("in")) {
        scratch.write(&format!("in/{name}"), &text);
    }
    let report = scratch.expect(1, "import in -o out");
    let mut made = scratch.texts("out");
    made.insert("report.txt".to_owned(), report.clone());
    if std::env::var_os("UPDATE").is_some() {
        let out = golden.join("out");
        let _absent = fs::remove_dir_all(&out);
        fs::create_dir_all(&out).unwrap();
        made.iter().for_each(|(name, text)| fs::write(out.join(name), text).unwrap());
    }
    let expected = texts(&golden.join("out"));
    assert_eq!(made.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, text) in &made {
        assert_eq!(text, &expected[name], "{name}");
    }

    // Once more, in another order and by another name, it is the same.
    assert_eq!(scratch.expect(1, "import in/shop.yaml in -o out"), report);
    made.remove("report.txt");
    assert_eq!(scratch.texts("out"), made);

    // And it is configuration.
    scratch.write("ravelin.toml", "include = [\"out/*.toml\"]\n");
    let checked = scratch.expect(0, "check ravelin.toml");
    assert!(checked.contains("no errors, no warnings"), "{checked}");
}

#[test]
fn files_of_others_are_never_touched() {
    let scratch = Directory::new();
    scratch.write("a.yaml", NAMESPACE);
    scratch.write("out/namespaces.toml", "# mine\n");
    scratch.write("out/mine.toml", "# mine\n");
    let before = scratch.texts("out");
    let output = scratch.ravelin("import a.yaml -o out", "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in the way"));
    assert_eq!(scratch.texts("out"), before);

    fs::remove_file(scratch.0.join("out/namespaces.toml")).unwrap();
    std::os::unix::fs::symlink("/dev/null", scratch.0.join("out/namespaces.toml")).unwrap();
    scratch.expect(1, "import a.yaml -o out");
    assert!(scratch.0.join("out/namespaces.toml").is_symlink());
}

#[test]
fn what_an_earlier_import_wrote_and_is_not_needed_any_more_is_removed() {
    let scratch = Directory::new();
    scratch.write("in/a.yaml", NAMESPACE);
    scratch.write("in/b.yaml", POLICY);
    scratch.write("out/mine.toml", "# mine\n");
    scratch.expect(0, "import in -o out");
    let names = |scratch: &Directory| scratch.texts("out").into_keys().collect::<Vec<_>>();
    assert_eq!(names(&scratch), ["mine.toml", "namespaces.toml", "ns-a.toml"]);
    fs::remove_file(scratch.0.join("in/b.yaml")).unwrap();
    let said = scratch.expect(0, "import in -o out");
    assert!(said.contains("removed out/ns-a.toml"), "{said}");
    assert_eq!(names(&scratch), ["mine.toml", "namespaces.toml"]);
}

#[test]
fn directories_are_read_to_the_bottom() {
    let scratch = Directory::new();
    scratch.write("in/deep/er/a.yml", NAMESPACE);
    scratch
        .write("in/deep/b.json", r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}"#);
    scratch.write("in/.hidden/c.yaml", "[");
    scratch.write("in/.c.yaml", "[");
    scratch.write("in/c.txt", "[");
    let said = scratch.expect(0, "import in -o out");
    assert!(said.ends_with("imported 2 namespaces; 0 errors, 0 warnings\n"), "{said}");
}

#[test]
fn standard_input_and_json() {
    let scratch = Directory::new();
    let output = scratch.ravelin("import - -o out --json", POLICY);
    assert_eq!(output.status.code(), Some(0));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["resources"]["policies"], 1);
    assert_eq!(answer["implied_namespaces"], serde_json::json!(["a"]));
    assert_eq!(answer["files"], serde_json::json!(["out/namespaces.toml", "out/ns-a.toml"]));
    assert!(scratch.texts("out")["ns-a.toml"].contains("#   standard input\n"));

    let output = scratch.ravelin("import - -o out --json", "a: b");
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["errors"], &answer["remarks"][0]["severity"]), (&1.into(), &"error".into()));
    assert_eq!(answer["remarks"][0]["file"], "standard input");
    assert!(output.stderr.is_empty());
}

#[test]
fn warnings_are_no_failure() {
    let scratch = Directory::new();
    scratch.write("a.yaml", &POLICY.replace("spec: {}", "spec: {order: 1}"));
    let said = scratch.expect(0, "import a.yaml -o out");
    assert!(said.contains("0 errors, 1 warning\n"), "{said}");
}

#[test]
fn nothing_to_read_is_an_error() {
    let scratch = Directory::new();
    fs::create_dir(scratch.0.join("empty")).unwrap();
    scratch.expect(2, "import empty -o out");
    scratch.expect(1, "import nowhere.yaml -o out");
    scratch.expect(2, "import -o out");
    assert!(!scratch.0.join("out").exists());
}
