use crate::resources::{EndpointKind, OnChange, RuleAction, StagedAction, TierDefault};
use crate::types::{Action, Exception};

/// A value that is written as one of a few words.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Every value with its word, in the order in which people should read them.
    const WORDS: &'static [(Self, &'static str)];
}

/// Declares an enum whose variants are words of the language.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl crate::schema::word::Word for $name {
            const WORDS: &'static [(Self, &'static str)] = &[$((Self::$variant, $word)),+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self { $(Self::$variant => $word,)+ })
            }
        }
    };
}
pub(crate) use words;

impl Word for Action {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Allow, "allow"), (Self::Deny, "deny")];
}

impl Word for Exception {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Drop, "drop"), (Self::Forward, "forward")];
}

impl Word for EndpointKind {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Workload, "workload"), (Self::Host, "host")];
}

impl Word for OnChange {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Keep, "keep"), (Self::Drop, "drop"), (Self::Reset, "reset")];
}

impl Word for RuleAction {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Allow, "allow"),
        (Self::Deny, "deny"),
        (Self::Reject, "reject"),
        (Self::Log, "log"),
        (Self::Pass, "pass"),
    ];
}

impl Word for StagedAction {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Set, "set"), (Self::Delete, "delete")];
}

impl Word for TierDefault {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Deny, "deny"), (Self::Pass, "pass")];
}
