use ravelin_config::{Code, Config, Report, selector::Labelled};

use super::{Library, Loaded, Watched, Watcher, load};
use crate::{
    policy::{Change, Explainer, Question},
    testing::Directory,
};

const PODS: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {stage: production}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {serviceAccountName: default}
status: {phase: Running, podIPs: [{ip: 10.0.0.1}]}
";

fn loaded(directory: &Directory) -> Loaded {
    load(&directory.file("ravelin.toml")).unwrap_or_else(|report| panic!("{report}"))
}

/// What is found, refused or not: code and message.
fn found(directory: &Directory) -> Vec<(Code, String)> {
    let report = load(&directory.file("ravelin.toml")).map_or_else(|report| report, |loaded| loaded.warnings);
    messages(&report)
}

fn messages(report: &Report) -> Vec<(Code, String)> {
    report.diagnostics().iter().map(|it| (it.code, it.message.clone())).collect()
}

/// A directory with a configuration that says `text`.
fn directory(text: &str) -> Directory {
    let directory = Directory::new();
    directory.write("ravelin.toml", text);
    directory
}

#[test]
fn manifests_are_part_of_the_configuration() {
    // The TOML names what the manifest declares.
    let text = "manifests = ['*.yaml']\n[[endpoint]]\nname = 'db'\nnamespace = 'shop'\naddresses = ['10.0.0.2']\n\
                profiles = ['kns.shop']\n";
    let directory = directory(text);
    directory.write("pods.yaml", PODS);
    let loaded = loaded(&directory);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let resources = loaded.config.resources;
    let names: Vec<_> = resources.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names, ["db", "web"]);
    assert_eq!(resources.namespaces[0].name, "shop");
}

#[test]
fn a_broken_manifest_refuses_the_configuration() {
    let directory = directory("manifests = ['pods.yaml']\n");
    let path = directory.write("pods.yaml", format!("{PODS}---\nkind: [Pod\nmetadata: {{}}\n"));
    let report = load(&directory.file("ravelin.toml")).unwrap_err();
    let [(Code::Manifest, message)] = &messages(&report)[..] else { panic!("{report}") };
    let place = format!("error: {}:12: ", path.display());
    assert!(message.starts_with(&place), "{message}");

    std::fs::remove_file(&path).unwrap();
    let [(Code::Manifest, message)] = &found(&directory)[..] else { panic!() };
    assert!(message.starts_with(&format!("cannot read `{}`", path.display())), "{message}");
    directory.write("ravelin.toml", "manifests = ['*.yml']\n");
    let [(Code::NoMatch, _)] = &loaded_warnings(&directory)[..] else { panic!() };
}

fn loaded_warnings(directory: &Directory) -> Vec<(Code, String)> {
    messages(&loaded(directory).warnings)
}

#[test]
fn part_of_a_manifest_that_is_not_carried_over_is_a_warning() {
    let directory = directory("manifests = ['pods.yaml']\n");
    directory.write("pods.yaml", PODS.replace("10.0.0.1", "10.0.0.1000"));
    let [(Code::ManifestPart, message)] = &loaded_warnings(&directory)[..] else { panic!() };
    assert!(message.contains("Pod shop/web"), "{message}");
}

#[test]
fn what_two_sources_declare_is_refused() {
    let text = "manifests = ['pods.yaml']\nendpoints_dir = 'endpoints'\n[[namespace]]\nname = 'shop'\n\
                [[endpoint]]\nname = 'gate'\naddresses = ['10.0.0.9']\n";
    let directory = directory(text);
    directory.write("pods.yaml", PODS);
    std::fs::create_dir(directory.file("endpoints")).unwrap();
    directory.write("endpoints/a.toml", format!("{}{}", endpoint("gate", 9), endpoint("other", 8)));
    directory.write(
        "endpoints/b.toml",
        "[[endpoint]]\nname = 'web'\nnamespace = 'shop'\naddresses = ['10.0.0.7']\n",
    );
    let report = load(&directory.file("ravelin.toml")).unwrap_err();
    let expected = [
        "the namespace `shop` is declared in the configuration and in a manifest",
        "the endpoint `gate` is declared in the configuration and in the directory of endpoints",
        "the endpoint `shop/web` is declared in a manifest and in the directory of endpoints",
    ];
    assert_eq!(messages(&report), expected.map(|message| (Code::Duplicate, message.to_owned())));
}

#[test]
fn names_that_no_source_declares_are_reported() {
    let text = "manifests = ['pods.yaml']\n[[policy]]\nname = 'p'\ntier = 'securty'\nnamespace = 'shop'\n\
                [[policy]]\nname = 'q'\ntier = 'kube-admin'\n\
                [[endpoint]]\nname = 'a'\nnamespace = 'bank'\naddresses = ['10.0.0.2']\nprofiles = ['default-allow', 'none']\n\
                [[endpoint]]\nname = 'b'\nnamespace = 'bank'\naddresses = ['10.0.0.3']\nprofiles = ['kns.bank', 'kns.shop']\n";
    let directory = directory(text);
    directory.write("pods.yaml", PODS);
    let report = load(&directory.file("ravelin.toml")).unwrap_err();
    let expected = [
        (
            Code::UnknownTier,
            "the tier `securty` is not declared: it is asked after all other tiers, and denies what its policies do not decide",
        ),
        (
            Code::UnknownNamespace,
            "the namespace `bank` is not declared: nothing is known of its labels; add a [[namespace]] or its manifest",
        ),
        (
            Code::UnknownProfile,
            "there is no profile `none`, which the endpoint `bank/a` names: it allows nothing; declare it with [[profile]] or a manifest",
        ),
        (
            Code::UnknownProfile,
            "there is no profile `kns.bank`, which the endpoint `bank/b` names: it allows nothing; declare the namespace `bank`",
        ),
    ];
    assert_eq!(messages(&report), expected.map(|(code, message)| (code, message.to_owned())));
    // Objects may come without their namespace: it is declared for them, with the label that every namespace has.
    directory.write("ravelin.toml", "manifests = ['pods.yaml']\n");
    directory.write("pods.yaml", PODS.split_once("---\n").unwrap().1);
    let loaded = load(&directory.file("ravelin.toml")).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let [namespace] = &loaded.config.resources.namespaces[..] else { panic!("one namespace") };
    assert_eq!(namespace.labels.label("kubernetes.io/metadata.name"), Some("shop"));
}

/// A file of endpoints is written by a program: what is wrong with it concerns nobody else.
#[test]
fn a_broken_file_of_endpoints_is_left_out() {
    let directory = with_endpoints(&[
        ("a.toml", &endpoint("a", 1)),
        ("b.toml", "[[endpoint]]\nname = 'b'\naddresses = 5\n"),
        ("c.toml", &endpoint("a", 3)),
        ("d.toml", "[workers]\n[[policy]]\nname = 'p'\n"),
        ("e.toml", &format!("{}profiles = ['none']\n", endpoint("e", 5))),
        (".f.toml", "hidden"),
        ("g.txt", "not TOML"),
    ]);
    let loaded = loaded(&directory);
    let addresses: Vec<_> =
        loaded.config.resources.endpoints.iter().map(|it| it.addresses[0].to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1/32", "10.0.0.5/32"]);
    let path = |name: &str| directory.file("endpoints").join(name).display().to_string();
    let expected = [
        format!("`{}:3` is left out: expected list of addresses or prefixes, found an integer", path("b.toml")),
        format!("`{}`: another file has the endpoint `a` too", path("c.toml")),
        format!("`{0}` is left out: `{0}` may hold nothing but [[endpoint]]", path("d.toml")),
        "there is no profile `none`, which the endpoint `e` names: it allows nothing; declare it with [[profile]] or a manifest".to_owned(),
    ];
    assert_eq!(messages(&loaded.warnings), expected.map(|message| (Code::EndpointFile, message)));
    std::fs::remove_dir_all(directory.file("endpoints")).unwrap();
    let [(Code::Unreadable, message)] = &found(&directory)[..] else { panic!() };
    assert!(message.starts_with("cannot read the directory of endpoints"), "{message}");
}

/// A network set has what its file holds, when it is asked who an address is and when policy decides.
#[test]
fn sets_from_files_are_denied() {
    let text = "[[endpoint]]\nname = 'web'\naddresses = ['10.0.0.1']\n\
                [[network_set]]\nname = 'feed'\nlabels = { reputation = 'bad' }\nnets = ['192.0.2.1']\nnets_file = 'feed.txt'\n\
                except = ['198.51.100.7']\n\
                [[policy]]\nname = 'web'\n\
                ingress = [{ action = 'deny', source.selector = \"reputation == 'bad'\" }, { action = 'allow' }]\n";
    let directory = directory(text);
    directory.write("feed.txt", "198.51.100.0/24 # a comment\n203.0.113.5\n");
    let config = loaded(&directory).config;
    let mut explainer = Explainer::new(&config, &Library::default()).unwrap();
    for (from, verdict) in [
        ("192.0.2.1", "deny"),
        ("198.51.100.1", "deny"),
        ("198.51.100.255", "deny"),
        ("203.0.113.5", "deny"),
        ("203.0.113.6", "allow"),
        ("198.51.100.7", "allow"),
    ] {
        let question =
            Question { from: from.to_owned(), to: "web".to_owned(), port: Some(80), ..Question::default() };
        let answers = explainer.ask(&question).unwrap();
        assert_eq!((answers.len(), answers[0].enforced.verdict), (1, verdict), "{from}");
        let sets = explainer.identities().network_sets_of(from.parse().unwrap(), None);
        assert_eq!(sets.len(), usize::from(verdict == "deny"), "{from}");
    }
}

fn endpoint(name: &str, last: u8) -> String {
    format!("[[endpoint]]\nname = '{name}'\naddresses = ['10.0.0.{last}']\n")
}

/// A configuration with a directory of endpoints and these files in it.
fn with_endpoints(files: &[(&str, &str)]) -> Directory {
    let directory = directory("endpoints_dir = 'endpoints'\n");
    std::fs::create_dir(directory.file("endpoints")).unwrap();
    for (name, text) in files {
        directory.write(&format!("endpoints/{name}"), text);
    }
    directory
}

/// A running process, as far as the watcher knows it.
struct Running {
    directory: Directory,
    config: Config,
    watcher: Watcher,
}

impl Running {
    fn new(directory: Directory) -> Self {
        let config = loaded(&directory).config;
        let watcher = Watcher::new(&config);
        Self { directory, config, watcher }
    }

    fn write(&self, name: &str, text: &str) {
        // Another file under the name: it is seen however coarse the time stamps are.
        let path = self.directory.write("new", text);
        std::fs::rename(path, self.directory.file(name)).unwrap();
    }

    fn look(&mut self) -> Watched {
        self.watcher.look(&self.config)
    }

    /// What changed, in short; nothing may have been refused.
    #[track_caller]
    fn changes(&mut self) -> Vec<String> {
        let watched = self.look();
        assert_eq!((watched.refused.as_slice(), watched.manifests), (&[][..], false));
        watched.changes.iter().map(short).collect()
    }

    /// What was refused; nothing may have changed.
    #[track_caller]
    fn refused(&mut self) -> Vec<String> {
        let watched = self.look();
        assert_eq!((watched.changes.len(), watched.manifests), (0, false));
        let directory = format!("{}/", self.directory.file("endpoints").display());
        watched.refused.iter().map(|line| line.replace(&directory, "")).collect()
    }
}

fn short(change: &Change) -> String {
    match change {
        Change::Endpoint(endpoint) => format!("{} {}", endpoint.name, endpoint.addresses[0]),
        Change::NoEndpoint(None, name) => format!("no {name}"),
        Change::NoEndpoint(Some(namespace), name) => format!("no {namespace}/{name}"),
        Change::Policy(_)
        | Change::NoPolicy(_)
        | Change::StagedPolicy(_)
        | Change::NoStagedPolicy(_)
        | Change::Members(_) => panic!("{change:?}"),
    }
}

#[test]
fn files_of_endpoints_come_change_and_go() {
    let mut running = Running::new(with_endpoints(&[("a.toml", &endpoint("a", 1))]));
    assert!(Watcher::is_needed(&running.config) && !Watcher::is_needed(&Config::default()));
    assert!(running.look().is_nothing());
    running.write("endpoints/b.toml", &[endpoint("b", 2), endpoint("c", 3)].concat());
    assert_eq!(running.changes(), ["b 10.0.0.2/32", "c 10.0.0.3/32"]);
    assert!(running.look().is_nothing());
    running.write("endpoints/b.toml", &[endpoint("b", 2), endpoint("c", 4)].concat());
    assert_eq!(running.changes(), ["c 10.0.0.4/32"]);
    running.write("endpoints/b.toml", &endpoint("d", 2));
    assert_eq!(running.changes(), ["no b", "no c", "d 10.0.0.2/32"]);
    std::fs::remove_file(running.directory.file("endpoints/a.toml")).unwrap();
    assert_eq!(running.changes(), ["no a"]);
    // A directory that cannot be read is not an empty one.
    std::fs::rename(running.directory.file("endpoints"), running.directory.file("away")).unwrap();
    let refused = running.refused();
    assert!(refused.len() == 1 && refused[0].starts_with("cannot read the directory"), "{refused:?}");
    assert!(running.look().is_nothing(), "it is said once");
    std::fs::rename(running.directory.file("away"), running.directory.file("endpoints")).unwrap();
    assert!(running.look().is_nothing());
}

#[test]
fn a_file_that_breaks_keeps_what_it_said() {
    let mut running = Running::new(with_endpoints(&[("a.toml", &endpoint("a", 1)), ("b.toml", "[[")]));
    assert!(running.look().is_nothing(), "what was broken at the start has been reported");
    running.write("endpoints/a.toml", "[[endpoint]]\nname = 'a'\n");
    assert_eq!(running.refused(), ["`a.toml:1` is left out: this [[endpoint]] has no `addresses`"]);
    assert!(running.look().is_nothing(), "it is said once");
    running.write("endpoints/a.toml", &endpoint("a", 1));
    assert!(running.changes().is_empty(), "it is what it was");
    running.write("endpoints/a.toml", "");
    assert_eq!(running.changes(), ["no a"]);
    running.write("endpoints/b.toml", &endpoint("b", 2));
    assert_eq!(running.changes(), ["b 10.0.0.2/32"]);
}

#[test]
fn an_endpoint_may_move_from_file_to_file() {
    let mut running = Running::new(with_endpoints(&[("b.toml", &endpoint("x", 1))]));
    running.write("endpoints/c.toml", &endpoint("x", 1));
    std::fs::remove_file(running.directory.file("endpoints/b.toml")).unwrap();
    assert!(running.changes().is_empty(), "the same endpoint in another file");
    // In two files, that counts which counts after a restart; when it goes, the other does.
    running.write("endpoints/d.toml", &endpoint("x", 2));
    assert_eq!(running.refused(), ["`d.toml`: another file has the endpoint `x` too"]);
    std::fs::remove_file(running.directory.file("endpoints/c.toml")).unwrap();
    assert_eq!(running.changes(), ["x 10.0.0.2/32"]);
    running.write("endpoints/a.toml", &endpoint("x", 3));
    assert_eq!(running.changes(), ["x 10.0.0.3/32"]);
    assert_eq!(
        loaded(&running.directory).config.resources.endpoints[0].addresses[0].to_string(),
        "10.0.0.3/32"
    );
    std::fs::remove_file(running.directory.file("endpoints/a.toml")).unwrap();
    std::fs::remove_file(running.directory.file("endpoints/d.toml")).unwrap();
    assert_eq!(running.changes(), ["no x"]);
}

#[test]
fn what_the_configuration_declares_no_file_changes() {
    let directory = with_endpoints(&[]);
    directory.write("ravelin.toml", format!("endpoints_dir = 'endpoints'\n{}", endpoint("gate", 1)));
    let mut running = Running::new(directory);
    running.write("endpoints/a.toml", &endpoint("gate", 2));
    assert_eq!(running.refused(), ["the endpoint `gate` is declared in the configuration already"]);
    std::fs::remove_file(running.directory.file("endpoints/a.toml")).unwrap();
    assert!(running.look().is_nothing(), "and it stays when the file goes");
}

#[test]
fn manifests_that_change_are_noticed() {
    let directory = directory("manifests = ['*.yaml']\n");
    directory.write("pods.yaml", PODS);
    let mut running = Running::new(directory);
    assert!(running.look().is_nothing());
    let seen = |running: &mut Running| {
        let watched = running.look();
        assert!(watched.changes.is_empty() && watched.refused.is_empty());
        assert!(running.look().is_nothing());
        watched.manifests
    };
    running.write("pods.yaml", &PODS.replace("10.0.0.1", "10.0.0.2"));
    assert!(seen(&mut running));
    running.write("more.yaml", "");
    assert!(seen(&mut running));
    std::fs::remove_file(running.directory.file("more.yaml")).unwrap();
    assert!(seen(&mut running));
    running.write("other.json", "");
    assert!(!seen(&mut running), "no pattern means it");
}

/// What libpcap and the packet path have to judge is refused like everything else, with its place.
#[test]
fn filters_and_drop_reasons_of_captures_are_judged() {
    let directory = directory(
        "[[capture.job]]\nname = 'a'\nfilter = 'prot tcp'\n[[capture.job]]\nname = 'b'\ndrop_reasons = ['rule_deny', 'nonsense']\n",
    );
    let report = load(&directory.file("ravelin.toml")).unwrap_err();
    let places: Vec<_> = report.diagnostics().iter().map(|it| (it.code, it.span.as_ref().unwrap())).collect();
    assert_eq!((places[0].0, places[0].1.line, places[0].1.column), (Code::Malformed, 3, 10));
    assert_eq!((places[1].0, places[1].1.line, places[1].1.column), (Code::UnknownWord, 6, 30));
    assert!(report.to_string().contains("filter = 'prot tcp'\n  |          ^^^^^^^^^^"), "{report}");
    assert!(report.to_string().contains("there is no drop reason `nonsense`"), "{report}");
}
