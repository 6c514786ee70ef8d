use crate::feed::{Column, FeedUrl, MinisignKey, PERIOD, Secret, Sha256};
use crate::resources::Labels;
use crate::schema::{
    entry,
    parser::{
        boolean, column, duration, environment_variable, header_name, integer, json_path, labels, name, path,
        ratio, resource_name, secret, size, symbol, url, word,
    },
    word::words,
};
use std::{path::PathBuf, time::Duration};

words! {
    /// How a feed is written.
    pub enum FeedFormat {
        /// Whatever it looks like.
        Auto = "auto",
        /// The FEODO Tracker's CSV.
        FeodoCsv = "feodo-csv",
        /// The FEODO Tracker's JSON.
        FeodoJson = "feodo-json",
        /// An address, prefix, range, domain or URL in each line.
        Lines = "lines",
        /// A hosts file: an address and names in each line.
        Hosts = "hosts",
        /// CSV, with the columns that `csv` says.
        Csv = "csv",
        /// JSON, at the paths that `json` says.
        Json = "json",
        /// A JSON value in each line, at the paths that `json` says.
        JsonLines = "json-lines",
        /// ipset and netset files.
        Ipset = "ipset",
        /// MISP events and attributes.
        Misp = "misp",
        /// STIX 2.1 indicators.
        Stix = "stix",
        /// Suricata's IP reputation lists.
        SuricataIprep = "suricata-iprep",
        /// SSLBL: addresses with ports, or fingerprints.
        Sslbl = "sslbl",
    }
}

words! {
    /// What happens to packets that a feed knows an address of.
    pub enum FeedAction {
        /// They are dropped, and reported.
        Block = "block",
        /// They are reported.
        Alert = "alert",
    }
}

words! {
    /// Which end of a flow is looked up in a feed.
    pub enum FeedDirection {
        /// Both.
        Both = "both",
        /// The destination.
        Egress = "egress",
        /// The source.
        Ingress = "ingress",
    }
}

words! {
    /// Whether a feed is used.
    pub enum FeedMode {
        /// It is.
        Enabled = "enabled",
        /// It is not.
        Disabled = "disabled",
    }
}

entry! {
    /// A source of indicators of threats: addresses, networks and names that nobody should talk to. The FEODO Tracker's list of
    /// servers of botnets, called `feodo`, is there without being declared; a feed of that name says otherwise about it, and need not
    /// say where it comes from.
    struct FeedModel in "feed" {
        /// What alerts and commands call it. Unique.
        name: String = Required => resource_name(), Live;
        /// Where it is fetched. Either this or `file`.
        url: FeedUrl = Means("none") => url(), Live;
        /// The file that it is, which is watched. Either this or `url`.
        file: PathBuf = Means("none") => path(), Live;
        /// How it is written; `auto` finds out.
        format: FeedFormat = Or(FeedFormat::Auto) => word(), Live;
        /// How often it is fetched. Only with `url`.
        period: Duration = Or(PERIOD) => duration(Duration::from_mins(5)..=Duration::from_hours(24 * 30)), Live;
        /// How long its copy may be without having been confirmed before it is stale, which is an alert; more than its period. Of a file:
        /// without having been written.
        stale_after: Duration = Means("two periods; a file is never stale") => duration(Duration::from_secs(1)..=Duration::from_hours(24 * 365)), Live;
        /// What selectors see.
        labels: Labels = Means("`feed`, with its name as value") => labels(), Live;
        /// What happens to packets from or to what it knows: they are dropped and reported (`block`), or reported (`alert`).
        action: FeedAction = Or(FeedAction::Block) => word(), Live;
        /// Which end of a flow is looked up: its destination (`egress`), its source (`ingress`), or both.
        direction: FeedDirection = Or(FeedDirection::Both) => word(), Live;
        /// Whether the kernel drops what comes from the addresses and networks that it names without a port, before a worker
        /// has any work with it. That is for floods: what is dropped there is counted (`threat_kernel`), but raises no alert and
        /// has no flow record. What is sent to these addresses goes to the workers as ever. Addresses and ports that a policy
        /// before those of feeds may allow, failsafe ports among them, are left to the workers as well, and so are ICMP other
        /// than echo, IPv6 with extension headers, and what is more than a million prefixes of one version of IP. Only with
        /// `action = "block"` and `direction = "both"`.
        drop_in_kernel: bool = Or(false) => boolean(), Live;
        /// How bad a hit is.
        severity: u8 = Or(80) => integer(1..=100), Live;
        /// Whether it is used at all.
        mode: FeedMode = Or(FeedMode::Enabled) => word(), Live;
        /// The most bytes that it may have, after decompression too. What has more is not used.
        max_size: u64 = Or(64 << 20) => size(1024..=4 << 30), Live;
        /// The most entries that it may have. What has more is not used.
        max_entries: usize = Or(10_000_000) => integer(1..=100_000_000), Live;
        /// The SHA-256 checksum of its bytes as they come, for one that never changes. What has another is not used.
        sha256: Sha256 = Means("any") => name("SHA-256 checksum as 64 hexadecimal digits"), Live;
        /// The public key of minisign of whoever signs it. The signature is beside it, with `.minisig` behind the path; what is signed
        /// otherwise is not used.
        minisign_key: MinisignKey = Means("none") => name("public key of minisign, which begins with `RW`"), Live;
        /// A new copy is held back if it has less than this share of the entries of the last good one; of lists with less than a
        /// hundred entries, if it has none.
        shrink: f64 = Or(0.5) => ratio(), Live;
    }
    entries {
        /// Headers of the requests for it. Only with `url`.
        headers: FeedHeaderModel;
    }
    tables {
        /// Where values stand. Only with the format `csv`.
        csv: CsvModel;
        /// Where values stand. Only with the formats `json` and `json-lines`, which need it.
        json: JsonModel;
    }
}

entry! {
    /// A header of the requests for a feed. Has one of `value`, `env` and `file`; the latter two are read at each request, so that a
    /// key can be replaced.
    struct FeedHeaderModel in "feed.headers" {
        /// What it is called.
        name: String = Required => header_name(), Live;
        /// Its value. It is never shown.
        value: Secret = Means("none") => secret(), Live;
        /// A variable of the environment that has the value.
        env: String = Means("none") => environment_variable(), Live;
        /// A file that has the value, and nothing else.
        file: PathBuf = Means("none") => path(), Live;
    }
}

entry! {
    /// Where values stand in CSV.
    struct CsvModel in "feed.csv" as Inner {
        /// The column of indicators: its number from 1, or its name in the header.
        column: Column = Or(Column::Number(1)) => column(), Live;
        /// The column of ports. An indicator with a port is met at that port only.
        port: Column = Means("none") => column(), Live;
        /// What stands between columns.
        delimiter: char = Or(',') => symbol(), Live;
        /// What a comment begins with.
        comment: char = Or('#') => symbol(), Live;
        /// Whether the first line that is no comment names the columns.
        header: bool = Means("whether a column is given by its name") => boolean(), Live;
    }
}

entry! {
    /// Where values stand in JSON.
    struct JsonModel in "feed.json" as Inner {
        /// The path of indicators.
        path: String = Required => json_path(), Live;
        /// The path of their ports, as many. An indicator with a port is met at that port only.
        port: String = Means("none") => json_path(), Live;
    }
}
