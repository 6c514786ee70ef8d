//! What libbpf says besides an error number. The kernel explains refusals in words ("Peer MTU is too large to set XDP"),
//! and libbpf prints them; they belong into our errors instead of on standard error.

use std::{cell::RefCell, sync::Once};

use libbpf_rs::{PrintLevel, set_print};

/// A load that fails prints a verifier log as one message; more than this is of no use.
const KEPT: usize = 32;

thread_local! {
    // libbpf calls back on the thread that called it.
    static MESSAGES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Takes libbpf's messages away from standard error, for the whole process.
pub(super) fn capture_libbpf() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_print(Some((PrintLevel::Warn, |_level, message| {
            MESSAGES.with_borrow_mut(|messages| {
                if messages.len() < KEPT {
                    messages.push(message);
                }
            });
        })));
    });
}

/// The messages from [`Messages::start`] on, of this thread.
pub(super) struct Messages(());

impl Messages {
    pub(super) fn start() -> Self {
        MESSAGES.with_borrow_mut(Vec::clear);
        Self(())
    }

    /// What they add to an error.
    pub(super) fn explain(&self, error: &str) -> String {
        MESSAGES.with_borrow(|messages| explained(error, messages))
    }
}

/// An error in the kernel's own words where it had some, else with the verifier's last sentence.
pub(super) fn explained(error: &str, messages: &[String]) -> String {
    // The last is the one that mattered: earlier ones are of things that may fail, such as adding what is there.
    let words = messages.iter().rev().find_map(|m| Some(m.split_once("Kernel error message: ")?.1));
    match words.or_else(|| verifier(messages)) {
        Some(words) => format!("{error} ({})", words.trim()),
        None => error.to_owned(),
    }
}

fn verifier(messages: &[String]) -> Option<&str> {
    let log = messages.iter().find(|message| message.contains("BEGIN PROG LOAD LOG"))?;
    log.lines().rfind(|line| !line.is_empty() && !line.starts_with("--") && !line.starts_with("processed"))
}
