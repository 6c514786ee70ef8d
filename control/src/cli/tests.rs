use clap::{CommandFactory, Parser};

use super::{Cli, Verb, detach, run, target, trace};

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
        "ravelin trace -n 5 --wait 10 --host 2001:db8::1 --port 53 --proto udp --dropped",
        "ravelin detach --all",
        "ravelin detach --all eth0 eth1",
        "ravelin detach eth0 -c a.toml",
        "ravelin reload",
        "ravelin explain --from a --to service:b/c --proto udp --port 53 --source-port 1 --fail-on-deny -c a.toml --json",
        "ravelin explain --from a --to b --icmp-type 8 --icmp-code 0",
        "ravelin explain --batch - -c a.toml",
        "ravelin test a.toml b.toml --junit out.xml -c c.toml --json",
        "ravelin lint --strict -c a.toml",
        "ravelin diff a.toml b.toml --pairs 5 --json",
        "ravelin show policy --unused 30d --json",
        "ravelin show staged --limit 5 --watch 1",
        "ravelin show cut --limit 5 -c a.toml",
        "ravelin show routes 10.0.0.1 --vrf red --json",
        "ravelin show routes 2001:db8::/32 --after 2001:db8:7::/48 --limit 5",
        "ravelin show neighbours --limit 5 --watch 1",
        "ravelin show peers --watch 1",
        "ravelin wg genkey",
        "ravelin wg pubkey",
        "ravelin wg genpsk --json",
        "ravelin wg show",
        "ravelin wg show --json -c a.toml",
        "ravelin wg show interfaces --socket x.sock",
        "ravelin wg show wg0",
        "ravelin wg show wg0 dump",
        "ravelin wg show all latest-handshakes",
        "ravelin wg showconf wg0 --socket x.sock",
        "ravelin wg set --json -c a.toml wg0 peer KEY allowed-ips -10.0.0.0/8",
        "ravelin wg set wg0 peer KEY remove peer KEY allowed-ips -c001::/16 -c a.toml --json",
        "ravelin wg syncconf wg0 /dev/stdin --json -c a.toml",
        "ravelin wg setconf wg0 a.conf",
        "ravelin wg addconf wg0 a.conf",
        "ravelin feed test a.csv -f csv --csv-column dst_ip --csv-port 3 --csv-delimiter \\t --csv-no-header --all",
        "ravelin feed test - --format json-lines --json-path $.ip --json-port $.port --max-size 5 --json",
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
        "ravelin trace --wait 0",
        "ravelin detach --all -c a.toml",
        "ravelin explain --from a",
        "ravelin explain --from a --to b --icmp-code 0",
        "ravelin explain --batch - --from a",
        "ravelin test",
        "ravelin diff a.toml",
        "ravelin show policy --unused forever",
        "ravelin show staged --limit some",
        "ravelin show routes nowhere",
        "ravelin show routes --after 10.0.0.0",
        "ravelin wg",
        "ravelin wg genkey 1",
        "ravelin wg show wg0 secrets",
        "ravelin wg show wg0 dump peers",
        "ravelin wg showconf",
        "ravelin wg set wg0",
        "ravelin wg syncconf wg0",
        "ravelin feed",
        "ravelin feed test",
        "ravelin feed test a.csv --format other",
        "ravelin feed test a.csv --csv-column 0",
        "ravelin feed test a.csv --csv-port 2",
        "ravelin feed test a.csv --csv-delimiter ab",
        "ravelin feed test a.csv --json-path ip",
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
    let socket = |line: &str| target(line).find().unwrap().0.display().to_string();
    assert_eq!(socket("ravelin reload"), "/run/ravelin/control.sock");
    assert_eq!(socket("ravelin reload --socket x.sock"), "x.sock");
    assert_eq!(socket(&format!("ravelin reload -c {}", config.display())), "/run/elsewhere.sock");
    let failure = target("ravelin reload -c /nowhere.toml").find().unwrap_err();
    assert!(failure.to_string().contains("/nowhere.toml"), "{failure}");
}

#[test]
fn a_broken_file_still_tells_where_to_ask() {
    let scratch = crate::testing::Directory::new();
    let find = |text: &str| {
        let config = scratch.write("broken.toml", text).display().to_string();
        let Verb::Reload(args) = parse(&format!("ravelin reload -c {config}")).unwrap().verb else {
            panic!("reload")
        };
        let (socket, guess) = args.target.find().unwrap();
        (socket.display().to_string(), guess.map(|guess| guess.replace(&config, "FILE")))
    };
    // Wrong, but readable: the process that was started with it is at its socket or, if it names none, at the usual one.
    let wrong = "[polcy]\n[control]\nsocket = \"/run/elsewhere.sock\"\n";
    assert_eq!(find(wrong), ("/run/elsewhere.sock".to_owned(), None));
    assert_eq!(find("[polcy]\n"), ("/run/ravelin/control.sock".to_owned(), None));
    let guess = "FILE is not TOML (`ravelin check` says where), so the usual control socket \
                 /run/ravelin/control.sock is asked";
    let broken = "[control]\nsocket = \"/run/elsewhere.sock\"\n[[bridge]\n";
    assert_eq!(find(broken), ("/run/ravelin/control.sock".to_owned(), Some(guess.to_owned())));
}

#[test]
fn a_traced_packet_has_ports_only_if_its_protocol_has() {
    let headline = |proto: &str, numbers: serde_json::Value| {
        let mut packet = serde_json::json!({
            "time": "", "worker": 0, "in": "out0", "handed_in": false, "length": 60, "network": "ipv4", "vlan": [],
            "proto": proto, "src": "10.0.0.1", "dst": "10.0.0.2", "ttl": 64, "steps": [], "verdict": "allow",
        });
        packet.as_object_mut().unwrap().extend(numbers.as_object().unwrap().clone());
        let text = trace::describe(&serde_json::from_value(packet).unwrap());
        text.lines().nth(1).unwrap().trim().to_owned()
    };
    let ports = serde_json::json!({ "src_port": 40_000, "dst_port": 53 });
    assert_eq!(headline("udp", ports), "udp 10.0.0.1:40000 > 10.0.0.2:53  ttl 64");
    assert_eq!(headline("gre", serde_json::json!({})), "gre 10.0.0.1 > 10.0.0.2  ttl 64");
    let echo = serde_json::json!({ "icmp_id": 7, "icmp": [8, 0] });
    assert_eq!(headline("icmp", echo), "icmp 10.0.0.1 > 10.0.0.2  id 7  ttl 64  type 8 code 0");
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
