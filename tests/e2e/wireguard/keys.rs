//! Keys of `ravelin wg`, compared with those of wg(8).

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use ravelin_tests::{binary, process::run, requirements, topology::Folder};

/// Both programs.
fn programs() -> Option<[Command; 2]> {
    requirements::met(&["wg"]).then(|| {
        let mut ours = Command::new(binary::ravelin());
        ours.arg("wg");
        [ours, Command::new("wg")]
    })
}

/// The public key that a program says, if it takes this for a private key.
fn public(command: &mut Command, text: &str) -> Option<String> {
    let command = command.arg("pubkey").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!error.contains(text.get(..20).unwrap_or("no key")), "it tells the key: {error}");
    assert_eq!(output.status.code(), Some(i32::from(!output.stdout.ends_with(b"\n"))), "{error}");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("base64"))
}

#[test]
fn public_keys_are_those_that_wg_derives() {
    let Some(_) = programs() else { return };
    let both = |text: &str| programs().map(|programs| programs.map(|mut program| public(&mut program, text)));
    for verb in ["genkey", "genpsk"] {
        for mut program in programs().expect("as before") {
            let key = run(program.arg(verb));
            let [ours, theirs] = both(&key).expect("as before");
            assert!(ours.is_some() && ours == theirs, "{key}");
        }
    }
    let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBm";
    let ends = [
        "k=",
        "k=\n\n",
        "k= \t\r\n",
        "k=\0",
        "k=\x0c\x0b",
        "k=.",
        "k=\nk",
        "k",
        "",
        "kA",
        "k==",
        "l=",
        "m=",
        "n=",
        "o=",
    ];
    for text in ends.map(|end| format!("{key}{end}")).into_iter().chain([String::new(), format!(" {key}k=")])
    {
        let [ours, theirs] = both(&text).expect("as before");
        assert_eq!(ours, theirs, "{text:?}");
    }
}

#[test]
fn private_keys_in_files_for_all_are_warned_of_in_the_words_of_wg() {
    let Some(_) = programs() else { return };
    let folder = Folder::new();
    let path = folder.0.join("key");
    fs::write(&path, "").expect("the folder is writable");
    for (mode, verb) in [(0o600, "genkey"), (0o644, "genkey"), (0o644, "genpsk"), (0o640, "genpsk")] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
        let warning = |mut program: Command| {
            let file = File::create(&path).expect("it is ours");
            let output = program.arg(verb).stdout(file).output().expect("it starts");
            assert!(output.status.success() && fs::read(&path).expect("it is ours").len() == 45);
            String::from_utf8(output.stderr).expect("words")
        };
        let [ours, theirs] = programs().expect("as before").map(warning);
        assert_eq!(ours, theirs);
        assert_eq!(ours.is_empty(), mode & 7 == 0);
    }
}
