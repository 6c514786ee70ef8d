use super::{FILES_MAX, load_at_most};
use crate::model::Model;
use crate::schema::Form;
use crate::{Code, Loaded, Report, load};
use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

/// A directory with files, which goes away with its owner.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let directory = Self(std::env::temp_dir().join(format!("ravelin-load-{}-{name}", process::id())));
        for (file, text) in files {
            let path = directory.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    fn load(&self) -> Result<Loaded, Report> {
        load(&self.path("main.toml"))
    }

    /// What is found: code, file without the directory, line and column.
    fn found(&self) -> Vec<(Code, String, usize, usize)> {
        let report = self.load().map_or_else(|report| report, |loaded| loaded.warnings);
        let mut found = Vec::new();
        for it in report.diagnostics() {
            let span = it.span.as_ref().unwrap();
            let file = Path::new(&span.file).strip_prefix(&self.0).unwrap();
            found.push((it.code, file.display().to_string(), span.line, span.column));
        }
        found
    }

    fn report(&self) -> String {
        format!("{:1000}", self.load().unwrap_err()).replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn policy(name: &str) -> String {
    format!("[[policy]]\nname = '{name}'\n")
}

#[test]
fn files_are_included_in_order_and_once() {
    let directory = Directory::new(
        "order",
        &[
            (
                "main.toml",
                &format!(
                    "include = ['policies/*.toml', 'other.toml', 'policies/b.toml']\n{}",
                    policy("main")
                ),
            ),
            ("policies/b.toml", &policy("b")),
            (
                "policies/a.toml",
                &format!("include = ['more/../more/c.toml', '../other.toml']\n{}", policy("a")),
            ),
            ("policies/more/c.toml", &policy("c")),
            ("policies/.#b.toml", "an editor's file"),
            ("policies/directory.toml/x", ""),
            ("policies/readme.md", "no policy"),
            ("other.toml", &format!("{}[[tier]]\nname = 't'\n", policy("other"))),
        ],
    );
    let loaded = directory.load().unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let config = loaded.config;
    let names: Vec<_> = config.resources.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["main", "a", "c", "other", "b"]);
    assert_eq!(config.resources.tiers.len(), 1);
    let files = [
        "main.toml",
        "policies/a.toml",
        "policies/more/../more/c.toml",
        "policies/../other.toml",
        "policies/b.toml",
    ];
    assert_eq!(config.files, files.map(|file| directory.path(file)));
}

#[test]
fn findings_in_included_files_name_them() {
    let directory = Directory::new(
        "findings",
        &[
            ("main.toml", "include = ['a.toml', 'b.toml']\n[workers]\nbacth = 1\n[[policy]]\nname = 'x y'\n"),
            ("a.toml", "\n[[policy]]\nname = 'a'\nselector = 'role = \"x\"'\nordr = 1\n"),
            ("b.toml", "[[policy]]\nname = \n[workers]\n"),
        ],
    );
    let file = |code, file: &str, line, column| (code, file.to_owned(), line, column);
    let expected = [
        file(Code::UnknownKey, "main.toml", 3, 1),
        file(Code::Malformed, "main.toml", 5, 8),
        file(Code::Selector, "a.toml", 4, 18),
        file(Code::UnknownKey, "a.toml", 5, 1),
        file(Code::Syntax, "b.toml", 2, 8),
        file(Code::Misplaced, "b.toml", 3, 1),
    ];
    assert_eq!(directory.found(), expected, "{}", directory.report());
}

#[test]
fn a_cycle_is_named() {
    let directory = Directory::new(
        "cycle",
        &[
            ("main.toml", "include = ['a.toml']\n"),
            ("a.toml", "include = ['b/b.toml']\n"),
            ("b/b.toml", "\ninclude = ['c.toml', '../a.toml']\n"),
            ("b/c.toml", ""),
        ],
    );
    let expected = "error[C022]: `b/../a.toml` includes itself
 --> b/b.toml:2:22
  |
2 | include = ['c.toml', '../a.toml']
  |                      ^^^^^^^^^^^
  = help: the chain is a.toml > b/b.toml > b/../a.toml

1 error";
    assert_eq!(directory.report(), expected);
    let alone = Directory::new("self", &[("main.toml", "include = ['*.toml']")]);
    assert_eq!(alone.found(), [(Code::IncludeCycle, "main.toml".to_owned(), 1, 12)]);
}

#[test]
fn what_is_not_there_is_an_error_if_it_was_named() {
    let main = "include = ['a/*.toml', 'gone.toml', '/dev/null', 'b', 'x[', '', 7]\n";
    let directory = Directory::new("gone", &[("main.toml", main), ("b/x", "")]);
    let main = |code, column| (code, "main.toml".to_owned(), 1, column);
    // The list is unusable as long as it cannot be read.
    assert_eq!(
        directory.found(),
        [main(Code::Malformed, 55), main(Code::Malformed, 61), main(Code::WrongType, 65)]
    );
    let main_text = "include = ['a/*.toml', 'gone.toml', '/dev/null', 'b']\n";
    fs::write(directory.path("main.toml"), main_text).unwrap();
    let expected = [
        main(Code::NoMatch, 12),
        main(Code::Unreadable, 24),
        main(Code::Unreadable, 37),
        main(Code::Unreadable, 50),
    ];
    assert_eq!(directory.found(), expected, "{}", directory.report());
    assert!(directory.report().contains("cannot read `/dev/null`: it is not a regular file"));
    fs::write(directory.path("main.toml"), "include = ['a/*.toml']").unwrap();
    assert_eq!(directory.load().unwrap().warnings.diagnostics()[0].code, Code::NoMatch);
}

#[test]
fn what_stands_once_stands_in_the_main_file() {
    let mut once: Vec<_> = Model::declare()
        .iter()
        .filter(|section| {
            section.form == Form::Once && !section.path.is_empty() && !section.path.contains('.')
        })
        .map(|section| format!("[{}]", section.path))
        .collect();
    once.push("endpoints_dir = 'x'".to_owned());
    for key in once {
        let directory = Directory::new("once", &[("main.toml", "include = ['a.toml']"), ("a.toml", &key)]);
        let found: Vec<_> = directory.found().into_iter().map(|(code, file, ..)| (code, file)).collect();
        assert_eq!(found, [(Code::Misplaced, "a.toml".to_owned())], "{key}");
    }
}

#[test]
fn paths_are_relative_to_the_file_that_says_them() {
    let directory = Directory::new(
        "paths [x]",
        &[
            (
                "main.toml",
                "include = ['[s]ub/*.toml']\nmanifests = ['k8s/*.yaml']\nendpoints_dir = 'endpoints'\n",
            ),
            ("sub/a.toml", "manifests = ['/abs/m.yaml', 'm/*.json']"),
            ("sub/m/1.json", ""),
        ],
    );
    let config = directory.load().unwrap().config;
    let patterns: Vec<_> = config.manifests.iter().map(ToString::to_string).collect();
    let path = |file| directory.path(file).display().to_string();
    assert_eq!(patterns, [path("k8s/*.yaml"), "/abs/m.yaml".to_owned(), path("sub/m/*.json")]);
    assert_eq!(config.endpoints_dir, Some(directory.path("endpoints")));
    assert_eq!(config.manifests[1].files(), Ok(vec![PathBuf::from("/abs/m.yaml")]));
    assert_eq!(config.manifests[2].files(), Ok(vec![directory.path("sub/m/1.json")]));
    assert_eq!(config.manifests[0].files(), Ok(vec![]));
}

#[test]
fn there_is_a_limit_of_files() {
    let files = [
        ("main.toml", "include = ['1.toml', '2.toml', '1.toml', '3.toml', '4.toml']"),
        ("1.toml", ""),
        ("2.toml", ""),
        ("3.toml", ""),
        ("4.toml", ""),
    ];
    let directory = Directory::new("limit", &files);
    let path = directory.path("main.toml");
    assert_eq!(load_at_most(5, &path).unwrap().config.files.len(), 5);
    let report = load_at_most(3, &path).unwrap_err();
    let finding = &report.diagnostics()[0];
    assert_eq!(
        (report.errors(), finding.code, finding.span.as_ref().unwrap().column),
        (1, Code::TooLarge, 42)
    );
    assert_eq!(finding.message, "the configuration is made of more than 3 files");
    assert_eq!(FILES_MAX, 10_000);
}
