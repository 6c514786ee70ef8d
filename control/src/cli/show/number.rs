//! Numbers as people read them.

/// A number of bytes, in powers of 1000.
pub(super) fn bytes(value: u64) -> String {
    scaled(approximate(value), "B")
}

/// How much a count grew, per second.
pub(super) fn rate(now: u64, before: u64, seconds: f64, unit: &str) -> String {
    if seconds <= 0.0 {
        return String::new();
    }
    format!("{}/s", scaled(approximate(now.saturating_sub(before)) / seconds, unit))
}

fn scaled(value: f64, unit: &str) -> String {
    let scales = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match scales.into_iter().find(|(scale, _)| value >= *scale) {
        Some((scale, prefix)) => format!("{:.1} {prefix}{unit}", value / scale),
        None => format!("{value:.0} {unit}").trim_end().to_owned(),
    }
}

/// A time span: its two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut parts = Vec::new();
    let mut rest = seconds;
    for (size, name) in units {
        if rest >= size {
            parts.push(format!("{}{name}", rest / size));
            rest %= size;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// A time of microseconds, in milliseconds.
pub(in crate::cli) fn milliseconds(us: u32) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
fn approximate(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_unit_that_fits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500_000), "1.5 MB");
        assert_eq!(rate(3000, 1000, 2.0, ""), "1.0 k/s");
        assert_eq!(rate(5, 10, 1.0, "p"), "0 p/s", "a restart must not look like a flood");
        assert_eq!(rate(5, 0, 0.0, ""), "");
    }

    #[test]
    fn time_spans_show_their_two_largest_units() {
        assert_eq!(duration(0), "0s");
        assert_eq!(duration(59), "59s");
        assert_eq!(duration(3_725), "1h 2m");
        assert_eq!(duration(90_061), "1d 1h");
        assert_eq!(milliseconds(12_034), "12.034 ms");
    }
}
