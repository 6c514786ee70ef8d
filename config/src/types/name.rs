use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr, sync::Arc};

/// Declares a name: a cheaply cloned text that can only be made by its `FromStr`.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ty, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text).map(|()| Self(Arc::from(text)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a Linux network interface: 1 to 15 bytes, no `/`, no `:`, no whitespace, neither `.` nor
    /// `..` (`dev_valid_name` in the kernel's `net/core/dev.c`).
    IfName, IfNameError, interface
}

name! {
    /// The name of a bridge, as counters and commands show it: 1 to 63 printable characters.
    BridgeName, NameError, printable
}

/// The most bytes an interface name may have: the kernel's `IFNAMSIZ` less the closing zero.
const INTERFACE_MAX: usize = 15;

/// The most characters a bridge's name may have.
const NAME_MAX: usize = 63;

fn interface(text: &str) -> Result<(), IfNameError> {
    if text.is_empty() {
        Err(IfNameError::Empty)
    } else if text.len() > INTERFACE_MAX {
        Err(IfNameError::TooLong { bytes: text.len() })
    } else if text == "." || text == ".." {
        Err(IfNameError::Reserved { text: text.to_owned() })
    } else if let Some(character) =
        text.chars().find(|c| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control())
    {
        Err(IfNameError::Character { character })
    } else {
        Ok(())
    }
}

fn printable(text: &str) -> Result<(), NameError> {
    let characters = text.chars().count();
    if text.is_empty() {
        Err(NameError::Empty)
    } else if characters > NAME_MAX {
        Err(NameError::TooLong { characters })
    } else if text.trim() != text {
        Err(NameError::Margin)
    } else if let Some(character) = text.chars().find(|c| c.is_control()) {
        Err(NameError::Character { character })
    } else {
        Ok(())
    }
}

/// Why a text is not an [`IfName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IfNameError {
    /// The text is empty.
    #[error("an interface name must not be empty")]
    Empty,
    /// The kernel stores at most 15 bytes.
    #[error("an interface name has at most 15 bytes, this one has {bytes}")]
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
    /// `.` and `..` are directories in sysfs.
    #[error("`{text}` cannot be the name of an interface")]
    Reserved {
        /// The text found.
        text: String,
    },
    /// A character that the kernel refuses.
    #[error("an interface name must not contain {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
}

/// Why a text is not a [`BridgeName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name must not be empty")]
    Empty,
    /// More than 63 characters.
    #[error("a name has at most 63 characters, this one has {characters}")]
    TooLong {
        /// Length of the text.
        characters: usize,
    },
    /// Whitespace at the start or the end, which nobody sees in a table.
    #[error("a name must not start or end with whitespace")]
    Margin,
    /// A control character.
    #[error("a name must not contain {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
}
