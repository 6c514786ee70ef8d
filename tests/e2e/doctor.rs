//! `ravelin doctor` on this machine: what it says changes with what is so.

use std::{fs, process::Command};

use ravelin_tests::{
    binary,
    process::{attempt, run},
    topology::{Lab, Links, bridge},
};
use serde_json::Value;

/// How a check of an interface comes out, and whether anything is a problem by the exit code.
fn examine(lab: &Lab, more: &str) -> (Value, bool) {
    let path = lab.folder().join("ravelin.toml");
    let socket = lab.folder().join("control.sock");
    let control = format!("[control]\nsocket = \"{}\"\n", socket.display());
    fs::write(&path, format!("{}{control}{more}", bridge("open"))).expect("the folder is writable");
    let mut command = lab.appliance.command(binary::ravelin());
    let (status, out, err) = attempt(command.args(["doctor", "--json", "-c"]).arg(&path));
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}\n{out}{err}"));
    assert_eq!(status.success(), report["problems"] == 0, "{status}\n{report:#}");
    (report, status.success())
}

/// What was found about `about` by `check`: the level, and the words.
fn found<'a>(report: &'a Value, about: &str, check: &str) -> (&'a str, &'a str) {
    let sections = report["sections"].as_array().expect("sections");
    let section = sections.iter().find(|section| section["about"] == about);
    let section = section.unwrap_or_else(|| panic!("nothing about {about}: {report:#}"));
    let mut findings = section["findings"].as_array().expect("findings").iter();
    let finding = findings.find(|finding| finding["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("no {check} of {about}: {report:#}"));
    (finding["level"].as_str().expect("a level"), finding["found"].as_str().expect("words"))
}

#[test]
fn the_doctor_sees_what_is_so_and_changes_nothing() {
    let Some(lab) = Lab::with(Links { mtu: 1500, queues: 2 }, &["clang", "tc"]) else { return };
    let before = lab.appliance.run("ethtool --show-features outside");
    let (report, well) = examine(&lab, "");
    assert!(well, "{report:#}");
    for check in ["link", "xdp", "host", "mtu", "queues"] {
        assert_eq!(found(&report, "interface outside", check).0, "ok", "{check}");
    }
    for (about, check) in [("kernel", "af-xdp"), ("process", "capabilities"), ("memory", "memory")] {
        assert_eq!(found(&report, about, check).0, "ok", "{check}");
    }

    // While it runs, its own program is no conflict, and its memory is not wanted twice.
    let ravelin = lab.ravelin("");
    let (report, well) = examine(&lab, "");
    assert!(well, "{report:#}");
    assert!(found(&report, "interface inside", "xdp").1.contains("Ravelin's program"), "{report:#}");
    assert!(found(&report, "memory", "memory").1.contains("ravelin runs"), "{report:#}");
    ravelin.finish(&[]);
    assert_eq!(lab.appliance.run("ethtool --show-features outside"), before);

    // What would lock somebody out; a packet that fits no frame; an interface that is down; somebody's filter.
    lab.appliance.ip("address add 10.9.0.3/24 dev outside");
    lab.appliance.ip("link set inside down");
    lab.appliance.ip("link set outside mtu 9000");
    lab.appliance.run("tc qdisc add dev outside clsact");
    let object = foreign_program(&lab);
    lab.appliance
        .run(&format!("tc filter add dev outside ingress bpf direct-action object-file {object} section tc"));
    let (report, well) = examine(&lab, "[io]\nframe_size = 2048\n");
    assert!(!well);
    let (level, words) = found(&report, "interface outside", "host");
    assert!(level == "problem" && words.contains("10.9.0.0/24"), "{words}");
    let (level, words) = found(&report, "interface outside", "mtu");
    assert!(level == "problem" && words.contains("1778"), "{words}");
    let (level, words) = found(&report, "interface outside", "tc");
    assert!(level == "advice" && words.contains("pass.o:[tc]"), "{words}");
    assert_eq!(found(&report, "interface inside", "link"), ("advice", "down"));

    lab.appliance.ip("link delete inside");
    let (report, _) = examine(&lab, "");
    assert_eq!(found(&report, "interface inside", "there").0, "problem");
}

/// An object file with an XDP program `somebody` and one for tc.
fn foreign_program(lab: &Lab) -> String {
    let (source, object) = (lab.folder().join("pass.c"), lab.folder().join("pass.o"));
    let text = "__attribute__((section(\"xdp\"))) int somebody(void *context) { return 2; }\n\
                __attribute__((section(\"tc\"))) int filter(void *context) { return -1; }\n\
                char _license[] __attribute__((section(\"license\"))) = \"GPL\";\n";
    fs::write(&source, text).expect("the folder is writable");
    let clang = ["-O2", "-g", "--target=bpf", "-c"];
    run(Command::new("clang").args(clang).arg(&source).arg("-o").arg(&object));
    object.display().to_string()
}

#[test]
fn an_xdp_program_of_somebody_else_is_named() {
    let Some(lab) = Lab::new(&["clang"]) else { return };
    let object = foreign_program(&lab);
    lab.appliance.ip(&format!("link set dev outside xdp obj {object} sec xdp"));
    let (report, well) = examine(&lab, "");
    let (level, words) = found(&report, "interface outside", "xdp");
    assert!(!well && level == "problem" && words.contains("`somebody`"), "{words}");
    assert_eq!(found(&report, "interface inside", "xdp").0, "ok");
}
