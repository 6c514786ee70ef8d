//! Suricata's IP reputation lists: address or prefix, number of the category, reputation from 0 (nothing known) to 127.

use std::{num::NonZeroU8, str};

use super::{Collector, FormatError, Remark, entry, text::Lines};
use crate::feeds::Details;

pub(super) fn parse(text: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let mut lines = Lines::new(text);
    while let Some((place, line)) = lines.next(collector) {
        if line.starts_with(b"#") {
            continue;
        }
        match split(line) {
            Ok((_, _, 0)) => collector.remark(Remark::NotForDetection),
            Ok((addresses, category, reputation)) => {
                let name = format!("category {category}");
                let reputation = NonZeroU8::new(reputation);
                let details = Details { malware: Some(&name), reputation, ..Details::default() };
                collector.read(place, line, entry::addresses(addresses), &details)?;
            }
            Err(expected) => collector.problem(place, line, expected),
        }
    }
    Ok(())
}

/// The addresses, the category and the reputation of a line.
pub(super) fn split(line: &[u8]) -> Result<(&[u8], u8, u8), &'static str> {
    const FORM: &str = "address,category,reputation with a category up to 60 and a reputation up to 127";
    let text = str::from_utf8(line).map_err(|_| "UTF-8")?;
    let mut fields = text.split(',').map(str::trim);
    let (Some(addresses), Some(category), Some(reputation), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(FORM);
    };
    let number = |text: &str, most: u8| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number <= most).ok_or(FORM)
    };
    Ok((addresses.as_bytes(), number(category, 60)?, number(reputation, 127)?))
}
