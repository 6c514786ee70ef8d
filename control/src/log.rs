//! Messages of the process on standard error, as text or JSON. Their level follows the configuration while it runs.

use std::io;

use ravelin_config::{Log, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry, filter::filter_fn, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// Changes the level of messages. The default changes nothing, for tests that bring their own subscriber.
#[derive(Clone, Debug, Default)]
pub struct LogLevelHandle(Option<reload::Handle<LevelFilter, Registry>>);

impl LogLevelHandle {
    /// Logs only what is at least as important as `level` from now on.
    pub fn set(&self, level: LogLevel) {
        let Some(handle) = &self.0 else { return };
        if handle.reload(filter(level)).is_err() {
            tracing::error!("the log level cannot be changed: restart to change it");
        }
    }
}

/// Sends this process's messages to standard error. The first call decides; later ones only log that they had no effect.
pub fn init(log: &Log) -> LogLevelHandle {
    let (level, handle) = reload::Layer::new(filter(log.level));
    let messages = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let messages = match log.format {
        LogFormat::Text => messages.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => messages.json().flatten_event(true).boxed(),
    };
    // Workers call the state machine of tunnels, whose messages are no news to operators: counters say the same.
    let messages = messages.with_filter(filter_fn(|metadata| !metadata.target().starts_with("boringtun")));
    match tracing_subscriber::registry().with(level).with(messages).try_init() {
        Ok(()) => LogLevelHandle(Some(handle)),
        Err(error) => {
            tracing::warn!(%error, "messages go where an earlier part of the process sent them");
            LogLevelHandle::default()
        }
    }
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
