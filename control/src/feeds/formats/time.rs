use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

/// A time as feeds write it: RFC 3339, seconds since 1970, or a date with or without a time of day, in UTC. None if it is none of these:
/// what a feed says besides its indicators is not worth losing one.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    // By length first: to learn that a text is not of a form costs as much as to read one.
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let civil = match (text.len(), text.as_bytes().get(10)) {
        (10, _) if text.contains('-') => text.parse::<Date>().ok()?.to_datetime(Time::midnight()),
        (19, Some(b' ')) => text.parse::<DateTime>().ok()?,
        _ => {
            let seconds = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            return seconds.or_else(|| text.parse().ok());
        }
    };
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
