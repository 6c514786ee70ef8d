use serde::{Serialize, Serializer};
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is accepted, but probably does not do what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Declares every kind of finding once: variant, number, severity, meaning. Numbers are never reused.
macro_rules! codes {
    ($($variant:ident = $text:literal $severity:ident $help:literal;)+) => {
        /// The kind of a finding. Shown as `C012`; the numbers are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $help] $variant,)+
        }

        impl Code {
            /// Every kind of finding, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable number, such as `C012`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Whether a configuration with such a finding is refused.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// What a finding of this kind means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }
        }
    };
}

codes! {
    Unreadable = "C001" Error "The file cannot be read, or is not UTF-8.";
    Syntax = "C002" Error "The text is not TOML.";
    UnknownKey = "C003" Error "There is no such key or section.";
    WrongType = "C004" Error "The value has another type than the key wants.";
    MissingKey = "C005" Error "A key that has no default is absent.";
    UnknownWord = "C006" Error "The value is not one of the words that the key accepts.";
    OutOfRange = "C007" Error "The number or duration is outside of what the key accepts.";
    Malformed = "C008" Error "The text is not an address, port, protocol, duration, name or path, whichever the key wants.";
    EmptyList = "C009" Error "A list that must not be empty is empty.";
    DuplicateCore = "C010" Error "The same core is given to two workers.";
    DuplicateName = "C011" Error "Two interfaces, bridges, policies or other things of one kind have the same name, or a key stands twice.";
    BridgePorts = "C012" Error "A bridge has other than two ports.";
    PortTaken = "C013" Error "An interface is a port twice, in one bridge or in two.";
    MonitorPort = "C014" Error "An interface that only receives (`mode = \"monitor\"`) or routes (`mode = \"route\"`) is a port of a bridge.";
    UnusedInterface = "C015" Error "A declared interface is neither a port of a bridge nor one that routes or monitors.";
    PortsWithoutProtocol = "C016" Error "A rule or an endpoint speaks of ports, but the protocol is not tcp, udp or sctp.";
    MixedFamilies = "C017" Error "A rule asks for IPv4 and for IPv6, so that it can never match, or only in part.";
    NothingToRun = "C018" Error "The configuration has no bridge and no interface that routes or monitors, so `ravelin run` would have nothing to do.";
    TooLarge = "C019" Error "The configuration has more interfaces, rules or files than can be handled.";
    Selector = "C020" Error "The text is not a selector.";
    Misplaced = "C021" Error "What may stand once in a configuration stands in an included file.";
    IncludeCycle = "C022" Error "A file includes itself, directly or through others.";
    UnknownProfile = "C023" Error "An endpoint names a profile that does not exist.";
    Limit = "C024" Error "A policy has more rules, or a rule more networks or ports, than may be.";
    Combination = "C025" Error "Keys of an entry do not go together.";
    AddressTaken = "C026" Error "Two endpoints have the same address.";
    Manifest = "C027" Error "A manifest cannot be read at all.";
    Duplicate = "C028" Error "The configuration and a manifest, or the directory of endpoints, declare the same thing.";
    Replaced = "C029" Error "A section of an older language, which another has replaced.";
    UnknownFeed = "C030" Error "An exception names a feed that does not exist.";
    UnknownInterface = "C031" Error "A name is neither that of an interface that routes nor of a zone with one.";
    UnknownZone = "C032" Error "A rule names a zone that no interface is in.";
    SecretInText = "C033" Error "A secret key stands in a file that others may read.";
    KeyFile = "C034" Error "A file with a secret key cannot be read, holds no key, or can be read by others.";
    PeerTaken = "C035" Error "Two peers of a WireGuard interface have the same key or the same allowed IPs, or two interfaces the same port.";
    HostBits = "C101" Warning "A prefix has bits set behind its length. They are ignored.";
    PublicMetrics = "C104" Warning "Metrics are served, without authentication, on an address that other machines may reach.";
    NoMatch = "C105" Warning "A pattern matches no file.";
    UnknownTier = "C106" Warning "A policy names a tier that is not declared.";
    UnknownNamespace = "C107" Warning "A namespace is named that is not declared: nothing is known of its labels.";
    NotActedUpon = "C108" Warning "Something is accepted, but nothing acts upon it yet.";
    NeverAsked = "C109" Warning "A policy has rules for a direction that it does not govern.";
    ManifestPart = "C110" Warning "Part of a manifest is not in force as it was written.";
    EndpointFile = "C111" Warning "A file of the directory of endpoints cannot be used, and is left out; or an endpoint in it names a profile that does not exist.";
    PlainHttp = "C112" Warning "A feed is fetched over http, where others may read its secrets or change it.";
    FeedSilent = "C113" Warning "What a feed says cannot be read, so it says nothing.";
    Expired = "C114" Warning "An exception from feeds has expired, and has no effect.";
    ConfPart = "C115" Warning "A line of a WireGuard configuration file has no effect.";
    ShortMtu = "C116" Warning "A WireGuard interface has IPv6 addresses, and is too short for the packets that IPv6 needs.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
