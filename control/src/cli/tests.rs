use clap::{CommandFactory, Parser};

use super::{Cli, Verb, detach, run, target};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_command_line_is_consistent_and_every_verb_is_explained() {
    let mut command = Cli::command();
    command.build();
    command.clone().debug_assert();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        assert!(verb.get_about().is_some(), "{} has no help", verb.get_name());
    }
}

#[test]
fn options_may_stand_on_either_side_of_what_is_shown() {
    for line in [
        "ravelin show flows --src 10.0.0.0/8 --top bytes -c a.toml --json",
        "ravelin --json show -c a.toml flows --top bytes --src 10.0.0.0/8",
        "ravelin show status --watch 2 --socket /run/x.sock",
        "ravelin trace -n 5 --host 2001:db8::1 --port 53 --proto udp --dropped",
        "ravelin detach --all",
        "ravelin reload",
    ] {
        parse(line).unwrap();
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for line in [
        "ravelin",
        "ravelin show",
        "ravelin show flows --src nowhere",
        "ravelin show flows --top noise",
        "ravelin show flows --proto smtp",
        "ravelin show status --watch 0",
        "ravelin show status -c a.toml --socket b.sock",
        "ravelin trace -n 0",
        "ravelin detach --all -c a.toml",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    let code = super::execute(["ravelin", "nonsense"].map(Into::into));
    assert_eq!(code, std::process::ExitCode::from(2));
}

#[test]
fn the_configuration_is_looked_for_where_packages_put_it() {
    let Verb::Run(run::Args { config }) = parse("ravelin run").unwrap().verb else { panic!("run") };
    assert_eq!(config.to_str(), Some("/etc/ravelin/ravelin.toml"));
    let Verb::Detach(detach::Args { config, .. }) = parse("ravelin detach").unwrap().verb else {
        panic!("detach")
    };
    assert_eq!(config.to_str(), Some("/etc/ravelin/ravelin.toml"));
}

#[test]
fn the_socket_is_that_of_the_configuration() {
    let scratch = crate::testing::Directory::new();
    let config = scratch.write("a.toml", "[control]\nsocket = \"/run/elsewhere.sock\"\n");
    let target = |line: &str| -> target::Target {
        let Verb::Reload(args) = parse(line).unwrap().verb else { panic!("reload") };
        args.target
    };
    let socket = |line: &str| target(line).socket().unwrap().display().to_string();
    assert_eq!(socket("ravelin reload"), "/run/ravelin/control.sock");
    assert_eq!(socket("ravelin reload --socket x.sock"), "x.sock");
    assert_eq!(socket(&format!("ravelin reload -c {}", config.display())), "/run/elsewhere.sock");
    let failure = target("ravelin reload -c /nowhere.toml").socket().unwrap_err();
    assert!(failure.to_string().contains("/nowhere.toml"), "{failure}");
}

#[test]
fn nobody_at_the_socket_is_a_failure_that_says_what_to_do() {
    let scratch = crate::testing::Directory::new();
    let socket = scratch.file("control.sock").display().to_string();
    let Verb::Reload(args) = parse(&format!("ravelin reload --socket {socket}")).unwrap().verb else {
        panic!("reload")
    };
    let failure = super::reload::run(&args, false).unwrap_err().to_string();
    assert!(
        failure.contains("no ravelin answers at") && failure.contains("ravelin run -c FILE"),
        "{failure}"
    );
}

#[cfg(feature = "af-xdp")]
#[test]
fn who_may_not_run_it_is_told_so_first() {
    let scratch = crate::testing::Directory::new();
    // A directory that nobody can make.
    let config =
        "[[bridge]]\nname = \"b\"\nports = [\"a\", \"b\"]\n[control]\nsocket = \"/proc/none/control.sock\"\n";
    let config = scratch.write("ravelin.toml", config);
    let failure = std::thread::spawn(|| {
        crate::supervisor::privileges::drop_all().unwrap();
        run::run(&run::Args { config }).unwrap_err().to_string()
    });
    let failure = failure.join().unwrap();
    for part in [
        "it lacks CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN",
        "sudo",
        "AmbientCapabilities=CAP_BPF CAP_NET_ADMIN",
        "ravelin replay",
    ] {
        assert!(failure.contains(part), "{failure}");
    }
}
