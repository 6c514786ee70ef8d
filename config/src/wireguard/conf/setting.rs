/// A section of a file of wg-quick(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Interface,
    Peer,
}

impl Section {
    /// The section that a line in brackets begins. Spaces and case mean nothing.
    pub(super) fn find(header: &str) -> Option<Self> {
        let header: String = header.chars().filter(|character| !character.is_whitespace()).collect();
        [Self::Interface, Self::Peer].into_iter().find(|it| header.eq_ignore_ascii_case(it.header()))
    }

    pub(super) const fn header(self) -> &'static str {
        match self {
            Self::Interface => "[Interface]",
            Self::Peer => "[Peer]",
        }
    }
}

/// Declares the keys: variant, name, section, and whether a value that is wrong may be shown.
macro_rules! keys {
    ($($variant:ident = $name:literal in $section:ident, $shown:ident;)+) => {
        /// A key of a file of wg-quick(8).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::wireguard) enum Setting { $($variant,)+ }

        impl Setting {
            /// Every key with its name.
            pub(super) const ALL: &[(Self, &str)] = &[$((Self::$variant, $name)),+];

            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            pub(super) const fn section(self) -> Section {
                match self { $(Self::$variant => Section::$section,)+ }
            }

            const fn exposure(self) -> Exposure {
                match self { $(Self::$variant => Exposure::$shown,)+ }
            }
        }
    };
}

/// What may be shown of a value that is wrong.
#[derive(Clone, Copy, PartialEq)]
enum Exposure {
    Shown,
    Hidden,
}

keys! {
    PrivateKey = "PrivateKey" in Interface, Hidden;
    ListenPort = "ListenPort" in Interface, Shown;
    FwMark = "FwMark" in Interface, Shown;
    Address = "Address" in Interface, Shown;
    Dns = "DNS" in Interface, Shown;
    Mtu = "MTU" in Interface, Shown;
    Table = "Table" in Interface, Shown;
    PreUp = "PreUp" in Interface, Hidden;
    PostUp = "PostUp" in Interface, Hidden;
    PreDown = "PreDown" in Interface, Hidden;
    PostDown = "PostDown" in Interface, Hidden;
    SaveConfig = "SaveConfig" in Interface, Shown;
    PublicKey = "PublicKey" in Peer, Hidden;
    PresharedKey = "PresharedKey" in Peer, Hidden;
    AllowedIps = "AllowedIPs" in Peer, Shown;
    Endpoint = "Endpoint" in Peer, Shown;
    PersistentKeepalive = "PersistentKeepalive" in Peer, Shown;
}

impl Setting {
    /// The key with this name. Case means nothing.
    pub(in crate::wireguard) fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(key, _)| *key)
    }

    /// Whether a value of it that is wrong may be shown: neither a key nor a command, which may have one in it.
    pub(in crate::wireguard) fn may_be_shown(self) -> bool {
        self.exposure() == Exposure::Shown
    }
}
