use std::{fmt, path::PathBuf};

/// Where a secret key came from. What it is stands nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file.
    File(PathBuf),
    /// A credential of systemd, by its name.
    Credential(String),
    /// Somebody gave it to the running process.
    Given,
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Credential(name) => write!(f, "the credential {name}"),
            Self::Given => f.write_str("what it was given while it runs"),
        }
    }
}
