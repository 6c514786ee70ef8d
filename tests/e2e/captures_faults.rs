//! Captures whose files cannot be written: the cause is told, nothing else is harmed, and every copy is accounted for.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use ravelin_tests::{
    process::{run, wait_for},
    ravelin::Ravelin,
    topology::{Lab, SERVER, ping_all},
};
use serde_json::Value;

/// As little memory for what waits to be written as there may be.
fn config(directory: &Path) -> String {
    format!("[capture]\ndirectory = \"{}\"\nmin_free = \"0B\"\nbuffer = \"2MiB\"\n", directory.display())
}

fn capture(ravelin: &Ravelin) -> Value {
    let answer = ravelin.ask(&["capture", "show", "all", "--json"]).expect("there is such a capture");
    serde_json::from_str(&answer).expect("JSON")
}

fn number(capture: &Value, name: &str) -> u64 {
    capture[name].as_u64().expect("a number")
}

/// Waits until the capture has ended for this cause, and checks that every copy made for it is written or lost.
fn assert_failed(ravelin: &Ravelin, cause: &str) {
    wait_for("the capture to end", || {
        capture(ravelin)["state"] == "Error" && !capture(ravelin)["ended"].is_null()
    });
    let stands = capture(ravelin);
    assert!(stands["error"].as_str().is_some_and(|error| error.contains(cause)), "{stands}");
    assert!(number(&stands, "packets") > 0 && number(&stands, "lost") > 0, "{stands}");
    assert_exact(ravelin);
}

/// Every packet that was offered was copied or lost, and every copy is written or lost.
fn assert_exact(ravelin: &Ravelin) {
    let (counters, stands) = (ravelin.counters(), capture(ravelin));
    let [offered, captured, lost] =
        ["capture_offered", "captured", "capture_lost"].map(|name| counters[name]);
    assert_eq!(offered, counters["capture_filtered"] + captured + lost, "{counters:?}");
    assert_eq!(captured, number(&stands, "packets") + number(&stands, "lost"), "{stands} {counters:?}");
}

/// Pings until something is so.
fn ping_until(lab: &Lab, is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        ping_all(&lab.client, SERVER, 20, 1400);
        if is_so() {
            return;
        }
    }
    panic!("it never came");
}

#[test]
fn a_directory_that_is_removed_ends_the_capture() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let directory = lab.folder().join("captures");
    let ravelin = lab.ravelin(&config(&directory));
    ravelin.ask(&["capture", "start", "all"]).expect("nothing is wrong with it");
    ping_until(&lab, || number(&capture(&ravelin), "packets") > 0);
    fs::remove_dir_all(directory.join("all")).expect("it was made for the capture");
    ping_until(&lab, || capture(&ravelin)["state"] == "Error");
    assert_failed(&ravelin, "was removed");
    ping_all(&lab.client, SERVER, 5, 56);
    ravelin.finish(&[]);
}

#[test]
fn permission_that_is_lost_ends_the_capture() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let captures = lab.folder().join("captures");
    let ravelin = lab.ravelin(&config(&captures));
    // Soon it needs another file.
    ravelin.ask(&["capture", "start", "all", "--rotate-size", "200KiB"]).expect("nothing is wrong with it");
    ping_until(&lab, || number(&capture(&ravelin), "packets") > 0);
    // The appliance is root without the right to pass over permissions.
    let allow = |mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(captures.join("all"), permissions).expect("it was made for the capture");
    };
    allow(0o500);
    ping_until(&lab, || capture(&ravelin)["state"] == "Error");
    allow(0o700);
    assert_failed(&ravelin, "Permission denied");
    ping_all(&lab.client, SERVER, 5, 56);
    // Another one can be made.
    ravelin.ask(&["capture", "start", "again", "--max-packets", "5"]).expect("nothing is wrong with it");
    ping_until(&lab, || {
        let answer = ravelin.ask(&["capture", "show", "again", "--json"]).expect("there is such a capture");
        answer.contains("Finished")
    });
    ravelin.finish(&[]);
}

/// A disk that takes its time: a file system that is frozen, on which whoever writes waits.
#[test]
fn a_slow_disk_costs_copies_and_nothing_else() {
    let Some(lab) = Lab::new(&["ping", "mkfs.ext4", "fsfreeze", "losetup"]) else { return };
    let image = lab.folder().join("disk.img");
    run(Command::new("truncate").args(["-s", "64M"]).arg(&image));
    run(Command::new("mkfs.ext4").arg("-q").arg(&image));
    let mounted = Mounted::image(&image, lab.folder().join("captures"));
    let ravelin = lab.ravelin(&config(&mounted.0));
    ravelin.ask(&["capture", "start", "all"]).expect("nothing is wrong with it");
    ping_until(&lab, || number(&capture(&ravelin), "packets") > 0);
    run(Command::new("fsfreeze").arg("-f").arg(&mounted.0));
    // Each of these is answered.
    ping_until(&lab, || ravelin.counters()["capture_lost"] > 0);
    assert_eq!(capture(&ravelin)["state"], "Capturing");
    run(Command::new("fsfreeze").arg("-u").arg(&mounted.0));
    ping_all(&lab.client, SERVER, 5, 56);
    ravelin.ask(&["capture", "stop", "all"]).expect("it is under way");
    let stands = capture(&ravelin);
    assert_eq!((&stands["state"], number(&stands, "lost")), (&"Finished".into(), 0), "{stands}");
    assert_exact(&ravelin);
    ravelin.finish(&[]);
}

/// A file system that is gone at the end of the test, whatever was done to it.
struct Mounted(PathBuf);

impl Mounted {
    fn image(image: &Path, directory: PathBuf) -> Self {
        fs::create_dir_all(&directory).expect("the folder is writable");
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&directory));
        Self(directory)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Fails unless it is frozen.
        let _thawed = Command::new("fsfreeze").arg("-u").arg(&self.0).output();
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
