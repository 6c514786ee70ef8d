//! Decode: from bytes to [`Headers`], once per packet.

mod fragments;
mod headers;
mod settings;
mod stage;

pub use fragments::FragmentTable;
pub use headers::{Address, Fragment, FragmentKind, Headers, Network, TcpFields, Vlans, tcp_flags};
pub use settings::FragmentSettings;
pub use stage::DecodeStage;
