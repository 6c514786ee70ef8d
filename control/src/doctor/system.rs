//! Small questions to procfs and sysfs.

use std::{fs, io};

/// What a file of procfs or sysfs says, without the end of its line; `None` if it is not there or not for us.
pub(super) fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The number in such a file.
pub(super) fn number(path: &str) -> Option<u64> {
    text(path)?.parse().ok()
}

/// The value of a line `Name:   123 kB`, in bytes.
pub(super) fn kilobytes(table: &str, name: &str) -> Option<u64> {
    let value = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Numbers as the kernel lists processors: `0-3,8`.
pub(super) fn list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?;
        Some(range)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// The interfaces of this network namespace but the loopback. procfs, unlike sysfs, follows the namespace of the reader.
pub(super) fn interfaces() -> io::Result<Vec<String>> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = table.lines().skip(2).filter_map(|line| line.rsplit_once(':')).map(|(name, _)| name.trim());
    Ok(names.filter(|name| *name != "lo").map(str::to_owned).collect())
}

/// Bytes as people read them.
pub(super) fn bytes(count: u64) -> String {
    let (unit, name) = match count {
        0..0x10_0000 => (1 << 10, "KiB"),
        0x10_0000..0x4000_0000 => (1 << 20, "MiB"),
        _ => (1 << 30, "GiB"),
    };
    let tenths = count.saturating_mul(10) / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}
