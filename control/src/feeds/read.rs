use std::sync::Arc;

use ravelin_config::feed::{self, CsvLayout, Feed, FeedFormat, JsonLayout};

use super::{
    Contents,
    formats::{self, Column, Csv, Format, FormatError, Json, Limits, Options, Parsed},
    guard::FeedGuard,
};

/// What the bytes of a feed say.
///
/// # Errors
/// [`FormatError`] if they are not what the feed should be, or more than it may have.
pub(super) fn read(feed: &Feed, bytes: &[u8], guard: &FeedGuard) -> Result<Contents, FormatError> {
    let Parsed { format, indicators, problems, problems_omitted, .. } =
        formats::parse(bytes, &options(feed)?)?;
    let wrong = problems.len() as u64 + problems_omitted;
    if let Some(first) = problems.first() {
        tracing::debug!(feed = feed.name, %format, problems = wrong, "entries are left out; the first: {first}");
    }
    Ok(Contents::new(Arc::new(indicators), wrong, guard))
}

fn options(feed: &Feed) -> Result<Options, FormatError> {
    let csv = feed.csv.as_ref().map(csv).unwrap_or_default();
    let json = feed.json.as_ref().map(json).transpose()?.unwrap_or_default();
    let bytes = usize::try_from(feed.max_size).unwrap_or(usize::MAX);
    let limits = Limits { bytes, entries: feed.max_entries, ..Limits::default() };
    Ok(Options { format: format(feed.format), csv, json, limits, now: Some(jiff::Timestamp::now()) })
}

const fn format(format: FeedFormat) -> Format {
    match format {
        FeedFormat::Auto => Format::Auto,
        FeedFormat::FeodoCsv => Format::FeodoCsv,
        FeedFormat::FeodoJson => Format::FeodoJson,
        FeedFormat::Lines => Format::Lines,
        FeedFormat::Hosts => Format::Hosts,
        FeedFormat::Csv => Format::Csv,
        FeedFormat::Json => Format::Json,
        FeedFormat::JsonLines => Format::JsonLines,
        FeedFormat::Ipset => Format::Ipset,
        FeedFormat::Misp => Format::Misp,
        FeedFormat::Stix => Format::Stix,
        FeedFormat::SuricataIprep => Format::SuricataIprep,
        FeedFormat::Sslbl => Format::Sslbl,
    }
}

fn csv(layout: &CsvLayout) -> Csv {
    let column = |column: &feed::Column| match column {
        feed::Column::Number(number) => Column::Number(*number),
        feed::Column::Name(name) => Column::Name(name.clone()),
    };
    // Both are ASCII: the configuration takes nothing else.
    let byte = |symbol: char| u8::try_from(symbol).unwrap_or(b',');
    Csv {
        column: Some(column(&layout.column)),
        port: layout.port.as_ref().map(column),
        delimiter: byte(layout.delimiter),
        comment: Some(byte(layout.comment)),
        header: layout.header,
    }
}

fn json(layout: &JsonLayout) -> Result<Json, FormatError> {
    let path =
        |text: &String| text.parse().map_err(|error| FormatError::Options(format!("`{text}` is {error}")));
    Ok(Json { path: path(&layout.path)?, port: layout.port.as_ref().map(path).transpose()? })
}
