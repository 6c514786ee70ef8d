use std::path::PathBuf;

use crate::{
    api::{client, view},
    cli::{Failure, show, target},
};

/// Shows every capture: how it stands, how much it has.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    target: target::Target,
}

/// Shows a capture with its files.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    target: target::Target,
    /// The capture.
    name: String,
}

/// Ends a capture. Its files stay.
///
/// Of a job of the configuration that begins again and again, it ends what is under way: the next time comes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Stop {
    #[command(flatten)]
    target: target::Target,
    /// The capture.
    name: String,
}

/// Writes the complete files of a capture: one as it is, several as a zip archive.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Get {
    #[command(flatten)]
    target: target::Target,
    /// The capture.
    name: String,
    /// Which of its files, as `capture show` lists them.
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
    /// Where to write; `-` is standard output. What ends with `.zip` is an archive of all files. Without it, a file here that is called
    /// like the one in the capture, or like the capture with `.zip`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Removes a capture that has ended, with its files. Of `triggers`, which has no end, the complete files.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Remove {
    #[command(flatten)]
    target: target::Target,
    /// The capture.
    name: String,
}

/// Removes every capture that has ended, with its files, and the files of what was triggered.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Clean {
    #[command(flatten)]
    target: target::Target,
}

pub(super) fn list(args: &List, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let answer: Vec<view::Capture> =
        target::block_on(async { Ok(client::get(&socket, "/captures").await?) })?;
    if json { target::print_json(&answer, false) } else { target::print(&show::captures::captures(&answer)) }
}

pub(super) fn show(args: &Show, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let target = format!("/captures/{}", escaped(&args.name));
    let answer: view::Capture = target::block_on(async { Ok(client::get(&socket, &target).await?) })?;
    if json { target::print_json(&answer, false) } else { target::print(&show::captures::capture(&answer)) }
}

pub(super) fn stop(args: &Stop, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let target = format!("/captures/{}/stop", escaped(&args.name));
    let answer: view::Capture = target::block_on(async { Ok(client::post(&socket, &target).await?) })?;
    if json { target::print_json(&answer, false) } else { target::print(&show::captures::capture(&answer)) }
}

pub(super) fn get(args: &Get) -> Result<(), Failure> {
    let socket = args.target.socket(true)?;
    let name = escaped(&args.name);
    target::block_on(async {
        let capture: view::Capture = client::get(&socket, &format!("/captures/{name}")).await?;
        let wants_all = args.output.as_ref().is_some_and(|output| output.extension() == Some("zip".as_ref()));
        let names: Vec<_> = capture.files.iter().map(|file| file.name.as_str()).collect();
        let (file, output) = match (args.file.as_deref(), names.as_slice()) {
            (Some(file), _) => (format!("/{}", escaped(file)), file.to_owned()),
            (None, []) => {
                return Err(Failure::failed(format!("the capture `{}` has no complete file yet", args.name)));
            }
            (None, [file]) if !wants_all => (format!("/{}", escaped(file)), (*file).to_owned()),
            (None, _) if wants_all || args.output.is_none() => (String::new(), format!("{}.zip", args.name)),
            (None, names) => {
                let problem = format!("the capture `{}` has {} files", args.name, names.len());
                let help = format!("all of them: -o {}.zip; one of them: --file {}", args.name, names[0]);
                return Err(Failure::usage(problem).help(help));
            }
        };
        let output = args.output.clone().unwrap_or_else(|| PathBuf::from(&output));
        let answer = client::download(&socket, &format!("/captures/{name}/files{file}")).await?;
        // Not before it is clear that there is something to write.
        let mut out = target::output(&output)?;
        Ok(answer.write(&mut out).await?)
    })
}

pub(super) fn remove(args: &Remove, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let target = format!("/captures/{}/remove", escaped(&args.name));
    removed(&target::block_on(async { Ok(client::post(&socket, &target).await?) })?, json)
}

pub(super) fn clean(args: &Clean, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    removed(&target::block_on(async { Ok(client::post(&socket, "/captures/clean").await?) })?, json)
}

fn removed(answer: &view::CapturesRemoved, json: bool) -> Result<(), Failure> {
    if json {
        target::print_json(answer, false)
    } else if answer.removed.is_empty() {
        target::print("there is none that has ended")
    } else {
        target::print(&format!("removed: {}", answer.removed.join(", ")))
    }
}

/// What is no name is sent as something that is no name either.
fn escaped(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut text = String::new();
    for byte in name.bytes() {
        match is_plain(byte) {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
