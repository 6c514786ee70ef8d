//! What may be asked for, in the words of the command line and of the query string, which are the same.

use std::{fmt, net::IpAddr, str::FromStr};

use clap::ValueEnum;
use ravelin_config::types::{Action, IfName, IpNet, Protocol};
use ravelin_dataplane::{command::TraceEntry, flow::FlowRecord, verdict::Verdict};

/// An address, or all addresses of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses(IpNet);

impl Addresses {
    fn contain(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Addresses {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let wrong = || QueryError(format!("`{text}` is neither an address nor a prefix such as 10.0.0.0/8"));
        text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a flow is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Judged {
    /// Its packets go on.
    Allow,
    /// Its packets are dropped.
    Deny,
}

/// What flows are sorted by, the largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Top {
    /// Bytes in both directions.
    Bytes,
    /// Packets in both directions.
    Packets,
    /// Time from the first packet to the last.
    Age,
    /// Smoothed round-trip time.
    Rtt,
    /// Segments sent again in both directions.
    Retransmissions,
}

/// Which flows to show.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct FlowQuery {
    /// Only flows opened by this address or from this prefix.
    #[arg(long, value_name = "ADDRESS")]
    pub src: Option<Addresses>,
    /// Only flows opened to this address or prefix.
    #[arg(long, value_name = "ADDRESS")]
    pub dst: Option<Addresses>,
    /// Only flows with this port on either side.
    #[arg(long)]
    pub port: Option<u16>,
    /// Only flows of this protocol: a name such as tcp, or a number.
    #[arg(long)]
    pub proto: Option<Protocol>,
    /// Only flows judged so.
    #[arg(long)]
    pub verdict: Option<Judged>,
    /// Show the largest first.
    #[arg(long, value_name = "BY")]
    pub top: Option<Top>,
    /// Show at most so many.
    #[arg(long, default_value_t = FlowQuery::LIMIT)]
    pub limit: usize,
}

impl Default for FlowQuery {
    fn default() -> Self {
        Self { src: None, dst: None, port: None, proto: None, verdict: None, top: None, limit: Self::LIMIT }
    }
}

impl FlowQuery {
    /// Flows shown if nobody says how many.
    pub const LIMIT: usize = 100;
    /// Flows shown at most: more would take more memory than an answer should.
    pub const MOST: usize = 1_000_000;

    /// Reads a query string.
    ///
    /// # Errors
    /// The first key or value that is wrong.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "src" => query.src = Some(read(key, value)?),
                "dst" => query.dst = Some(read(key, value)?),
                "port" => query.port = Some(read(key, value)?),
                "proto" => query.proto = Some(read(key, value)?),
                "verdict" => query.verdict = Some(word(key, value)?),
                "top" => query.top = Some(word(key, value)?),
                "limit" => query.limit = read(key, value)?,
                _ => return Err(unknown(key, "src, dst, port, proto, verdict, top, limit")),
            }
        }
        query.limit = query.limit.min(Self::MOST);
        Ok(query)
    }

    /// The query string that [`FlowQuery::parse`] reads.
    pub fn to_query(&self) -> String {
        join([
            ("src", self.src.map(|src| src.to_string())),
            ("dst", self.dst.map(|dst| dst.to_string())),
            ("port", self.port.map(|port| port.to_string())),
            ("proto", self.proto.map(|proto| proto.to_string())),
            ("verdict", self.verdict.as_ref().map(name)),
            ("top", self.top.as_ref().map(name)),
            ("limit", Some(self.limit.to_string())),
        ])
    }

    /// Whether the flow is asked for.
    pub fn matches(&self, record: &FlowRecord) -> bool {
        let (src, src_port) = record.key.end(record.initiator);
        let (dst, dst_port) = record.key.end(record.initiator.other());
        self.src.is_none_or(|asked| asked.contain(src))
            && self.dst.is_none_or(|asked| asked.contain(dst))
            && self.port.is_none_or(|asked| {
                record.key.protocol().has_ports() && (asked == src_port || asked == dst_port)
            })
            && self.proto.is_none_or(|asked| asked == record.key.protocol())
            && self.verdict.is_none_or(|asked| match record.verdict {
                Action::Allow => asked == Judged::Allow,
                Action::Deny | Action::Reject => asked == Judged::Deny,
            })
    }

    /// What the flow is sorted by; nothing if it is not.
    pub fn rank(&self, record: &FlowRecord) -> u64 {
        let sum = |pair: [u64; 2]| pair.into_iter().fold(0, u64::saturating_add);
        match self.top {
            Some(Top::Bytes) => sum(record.bytes),
            Some(Top::Packets) => sum(record.packets),
            Some(Top::Age) => u64::try_from(record.last.since(record.first).as_micros()).unwrap_or(u64::MAX),
            // What `show flows` shows: the smoothed time, else that of the handshake.
            Some(Top::Rtt) if record.smoothed_rtt_us == 0 => record.handshake_rtt_us.into(),
            Some(Top::Rtt) => record.smoothed_rtt_us.into(),
            Some(Top::Retransmissions) => sum(record.retransmissions.map(u64::from)),
            None => 0,
        }
    }
}

/// Which rules to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// Only rules that did nothing for so many seconds, or never.
    pub unused: Option<u64>,
}

impl UsageQuery {
    /// Reads a query string.
    ///
    /// # Errors
    /// The first key or value that is wrong.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "unused" => query.unused = Some(read(key, value)?),
                _ => return Err(unknown(key, "unused")),
            }
        }
        Ok(query)
    }

    /// The query string that [`UsageQuery::parse`] reads.
    pub fn to_query(self) -> String {
        join([("unused", self.unused.map(|seconds| seconds.to_string()))])
    }
}

/// An address, whose route is asked for, or a prefix, of which all are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The route that packets to it take.
    Address(IpAddr),
    /// The routes to it and to parts of it.
    Prefix(IpNet),
}

impl FromStr for Destination {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text.parse().map(|Addresses(prefix)| Self::Prefix(prefix.trunc())),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Prefix(prefix) => prefix.fmt(f),
        }
    }
}

/// Which routes to show.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct RouteQuery {
    /// The route that packets to this address take, or the routes to this prefix and parts of it.
    #[arg(value_name = "ADDRESS|PREFIX")]
    pub to: Option<Destination>,
    /// Routes of this VRF, instead of those of the main table.
    #[arg(long, value_name = "NAME")]
    pub vrf: Option<IfName>,
    /// Go on behind this prefix.
    #[arg(long, value_name = "PREFIX")]
    pub after: Option<IpNet>,
    /// Show at most so many.
    #[arg(long, default_value_t = FlowQuery::LIMIT)]
    pub limit: usize,
}

impl Default for RouteQuery {
    fn default() -> Self {
        Self { to: None, vrf: None, after: None, limit: FlowQuery::LIMIT }
    }
}

impl RouteQuery {
    /// Routes shown at most: there may be a million, and `after` goes on.
    pub const MOST: usize = 10_000;

    /// Reads a query string.
    ///
    /// # Errors
    /// The first key or value that is wrong.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "to" => query.to = Some(read(key, value)?),
                "vrf" => query.vrf = Some(read(key, value)?),
                "after" => query.after = Some(read(key, value)?),
                "limit" => query.limit = read(key, value)?,
                _ => return Err(unknown(key, "to, vrf, after, limit")),
            }
        }
        query.limit = query.limit.min(Self::MOST);
        Ok(query)
    }

    /// The query string that [`RouteQuery::parse`] reads.
    pub fn to_query(&self) -> String {
        join([
            ("to", self.to.map(|to| to.to_string())),
            ("vrf", self.vrf.as_ref().map(ToString::to_string)),
            ("after", self.after.map(|after| after.to_string())),
            ("limit", Some(self.limit.to_string())),
        ])
    }
}

/// How much to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct LimitQuery {
    /// Show at most so many.
    #[arg(long, default_value_t = FlowQuery::LIMIT)]
    pub limit: usize,
}

impl LimitQuery {
    /// Reads a query string.
    ///
    /// # Errors
    /// The first key or value that is wrong.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, QueryError> {
        let mut query = Self { limit: FlowQuery::LIMIT };
        for (key, value) in pairs {
            match key.as_str() {
                "limit" => query.limit = read(key, value)?,
                _ => return Err(unknown(key, "limit")),
            }
        }
        query.limit = query.limit.min(FlowQuery::MOST);
        Ok(query)
    }

    /// The query string that [`LimitQuery::parse`] reads.
    pub fn to_query(self) -> String {
        join([("limit", Some(self.limit.to_string()))])
    }
}

/// Which packets to trace.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct TraceQuery {
    /// Stop after so many packets.
    #[arg(long, short = 'n', default_value_t = TraceQuery::COUNT, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// Only packets from or to this address or prefix.
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<Addresses>,
    /// Only packets from or to this port.
    #[arg(long)]
    pub port: Option<u16>,
    /// Only packets of this protocol: a name such as tcp, or a number.
    #[arg(long)]
    pub proto: Option<Protocol>,
    /// Only packets that are dropped.
    #[arg(long)]
    pub dropped: bool,
}

impl Default for TraceQuery {
    fn default() -> Self {
        Self { count: Self::COUNT, host: None, port: None, proto: None, dropped: false }
    }
}

impl TraceQuery {
    /// Packets traced if nobody says how many.
    pub const COUNT: u32 = 10;

    /// Reads a query string.
    ///
    /// # Errors
    /// The first key or value that is wrong.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "count" => query.count = read::<u32>(key, value)?.max(1),
                "host" => query.host = Some(read(key, value)?),
                "port" => query.port = Some(read(key, value)?),
                "proto" => query.proto = Some(read(key, value)?),
                "dropped" => query.dropped = read(key, value)?,
                _ => return Err(unknown(key, "count, host, port, proto, dropped")),
            }
        }
        Ok(query)
    }

    /// The query string that [`TraceQuery::parse`] reads.
    pub fn to_query(&self) -> String {
        join([
            ("count", Some(self.count.to_string())),
            ("host", self.host.map(|host| host.to_string())),
            ("port", self.port.map(|port| port.to_string())),
            ("proto", self.proto.map(|proto| proto.to_string())),
            ("dropped", self.dropped.then(|| "true".to_owned())),
        ])
    }

    /// Whether any packet will do.
    pub fn takes_all(&self) -> bool {
        *self == Self { count: self.count, ..Self::default() }
    }

    /// Whether the packet is asked for.
    pub fn matches(&self, entry: &TraceEntry) -> bool {
        let headers = &entry.meta.headers;
        self.host.is_none_or(|asked| {
            headers.is_ip() && (asked.contain(headers.source.ip()) || asked.contain(headers.destination.ip()))
        }) && self.port.is_none_or(|asked| {
            headers.protocol.has_ports()
                && (asked == headers.source_port || asked == headers.destination_port)
        }) && self.proto.is_none_or(|asked| headers.is_ip() && asked == headers.protocol)
            && (!self.dropped || matches!(entry.meta.verdict, Verdict::Drop(_)))
    }
}

/// Something that cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(String);

fn read<T: FromStr<Err: fmt::Display>>(key: &str, value: &str) -> Result<T, QueryError> {
    value.parse().map_err(|error| QueryError(format!("{key}: {error}")))
}

fn word<T: ValueEnum>(key: &str, value: &str) -> Result<T, QueryError> {
    T::from_str(value, false).map_err(|_| {
        let words: Vec<_> = T::value_variants().iter().map(name).collect();
        QueryError(format!("{key}: `{value}` is not one of {}", words.join(", ")))
    })
}

fn name<T: ValueEnum>(word: &T) -> String {
    word.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn unknown(key: &str, known: &str) -> QueryError {
    QueryError(format!("`{key}` cannot be asked for, only {known}"))
}

/// None of the values holds a character that would have to be escaped; a VRF of an outlandish name is not found.
fn join<const N: usize>(pairs: [(&str, Option<String>); N]) -> String {
    let pairs = pairs.into_iter().filter_map(|(key, value)| value.map(|value| format!("{key}={value}")));
    pairs.collect::<Vec<_>>().join("&")
}
