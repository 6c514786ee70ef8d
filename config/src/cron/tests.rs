use super::{Cron, CronError, Zone};
use jiff::{Timestamp, ToSpan, civil::DateTime};
use proptest::{prelude::*, sample::Index};

fn cron(text: &str) -> Cron {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The next times from a moment on, as clocks in the zone show them.
fn times(text: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let zone: Zone = zone.parse().unwrap();
    let mut at: Timestamp = from.parse().unwrap();
    (0..count)
        .map(|_| {
            at = cron(text).next(at, &zone).unwrap();
            at.to_zoned(zone.tz().clone()).strftime("%Y-%m-%dT%H:%M%:z").to_string()
        })
        .collect()
}

#[test]
fn fields_are_those_of_cron() {
    let found = times("*/20 9-10 * * mon-fri", "UTC", "2026-07-31T10:15:00Z", 3);
    assert_eq!(found, ["2026-07-31T10:20+00:00", "2026-07-31T10:40+00:00", "2026-08-03T09:00+00:00"]);
    // Either of the days, if both are restricted.
    let found = times("0 0 13 * fri", "UTC", "2026-08-08T00:00:00Z", 3);
    assert_eq!(found, ["2026-08-13T00:00+00:00", "2026-08-14T00:00+00:00", "2026-08-21T00:00+00:00"]);
    // Both, if one begins with a star.
    assert_eq!(times("0 0 */2 * 7", "UTC", "2026-08-01T00:00:00Z", 1), ["2026-08-09T00:00+00:00"]);
    assert_eq!(times("0 12 29 Feb *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T12:00+00:00"]);
    let names =
        ["0", "7", "SUN"].map(|day| times(&format!("5,1-3/2 4 * * {day}"), "UTC", "2026-08-01T00:00:00Z", 4));
    assert_eq!(
        names[0],
        [
            "2026-08-02T04:01+00:00",
            "2026-08-02T04:03+00:00",
            "2026-08-02T04:05+00:00",
            "2026-08-09T04:01+00:00"
        ]
    );
    assert!(names.iter().all(|name| *name == names[0]));
    assert_eq!(cron(" 0  0 1\t* * ").to_string(), "0 0 1 * *");
}

#[test]
fn what_is_no_expression_is_refused_with_the_reason() {
    for (text, why) in [
        (
            "0 0 * *",
            "expected five fields, minute, hour, day of the month, month and day of the week; found 4",
        ),
        (
            "@daily",
            "expected five fields, minute, hour, day of the month, month and day of the week; found 1",
        ),
        ("60 0 * * *", "expected a number from 0 to 59 as minute, found `60`"),
        ("0 +5 * * *", "expected a number from 0 to 23 as hour, found `+5`"),
        ("0 0 0 * *", "expected a number from 1 to 31 as day of the month, found `0`"),
        ("0 0 1 foo *", "expected a number from 1 to 12, or jan to dec as month, found `foo`"),
        ("0 0 * * 8", "expected a number from 0 to 7, or sun to sat as day of the week, found `8`"),
        ("0 22-2 * * *", "expected the lower number of a range first as hour, found `22-2`"),
        ("*/0 * * * *", "expected a step of 1 or more as minute, found `*/0`"),
        ("5/10 * * * *", "expected a range or `*` before the step as minute, found `5/10`"),
        ("1,,2 * * * *", "expected a number from 0 to 59 as minute, found ``"),
        ("0 0 31 2,4 *", "there is no such day in any of its months"),
    ] {
        assert_eq!(text.parse::<Cron>().unwrap_err().to_string(), why);
    }
    assert_eq!("0 0 30 2 *".parse::<Cron>(), Err(CronError::NoDay));
    // Mondays, or a day that does not come.
    cron("0 0 30 2 mon");
}

#[test]
fn in_spring_a_time_that_does_not_exist_is_made_up_for() {
    // Clocks go from 2 to 3.
    let berlin = |text| times(text, "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
    assert_eq!(berlin("30 2 * * *"), ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]);
    // Two such times are one.
    assert_eq!(berlin("10,50 2 * * *"), ["2026-03-29T03:00+02:00", "2026-03-30T02:10+02:00"]);
    assert_eq!(berlin("0 3 * * *"), ["2026-03-29T03:00+02:00", "2026-03-30T03:00+02:00"]);
    let york = |text| times(text, "America/New_York", "2026-03-08T00:00:00Z", 2);
    assert_eq!(york("30 2 * * *"), ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"]);
    // What is about the clock follows it.
    assert_eq!(berlin("30 * 29 3 *"), ["2026-03-29T00:30+01:00", "2026-03-29T01:30+01:00"]);
    let found = times("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3);
    assert_eq!(found, ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00", "2026-03-29T04:30+02:00"]);
    assert_eq!(york("*/30 2 * * *"), ["2026-03-09T02:00-04:00", "2026-03-09T02:30-04:00"]);
    // A whole day may be left out.
    let found = times("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3);
    assert_eq!(found, ["2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"]);
}

#[test]
fn in_autumn_a_time_that_comes_twice_counts_once() {
    // Clocks go from 3 to 2.
    let found = times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
    assert_eq!(found, ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]);
    let found = times("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2);
    assert_eq!(found, ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]);
    let found = times("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 4);
    let expected = [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:30+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T02:30+01:00",
    ];
    assert_eq!(found, expected);
    // A day that begins twice: the clock went from 00:01 back to 23:01.
    let found = times("*/30 * * * *", "America/St_Johns", "2010-11-07T01:59:00Z", 4);
    let expected = [
        "2010-11-06T23:30-02:30",
        "2010-11-07T00:00-02:30",
        "2010-11-06T23:30-03:30",
        "2010-11-07T00:00-03:30",
    ];
    assert_eq!(found, expected);
}

#[test]
fn zones_are_those_of_the_database() {
    let error = "Europe/Berln".parse::<Zone>().unwrap_err();
    assert_eq!(error.nearest.as_deref(), Some("Europe/Berlin"));
    assert!(error.to_string().ends_with("found `Europe/Berln`"), "{error}");
    for name in ["", "/etc/passwd", "../UTC", "+02:00"] {
        assert!(name.parse::<Zone>().is_err(), "{name}");
    }
    assert_eq!("europe/berlin".parse::<Zone>().unwrap().to_string(), "Europe/Berlin");
    assert_eq!((Zone::default().to_string(), "UTC".parse()), ("UTC".to_owned(), Ok(Zone::default())));
    for text in ["\"0 0 * * *\"", "\"5 4 * * sun\""] {
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Cron>(text).unwrap()).unwrap(), text);
    }
    assert!(serde_json::from_str::<Zone>("\"Mars\"").is_err());
}

/// A field as it is written, and the numbers that it means.
#[derive(Clone, Debug)]
struct Sample {
    text: String,
    numbers: Vec<u32>,
}

fn field(first: u32, last: u32) -> impl Strategy<Value = Sample> {
    let number = first..=last;
    let star = Just(Sample { text: "*".to_owned(), numbers: number.clone().collect() });
    let one = number.clone().prop_map(|it| Sample { text: it.to_string(), numbers: vec![it] });
    let step = (1..20_u32).prop_map(move |step| Sample {
        text: format!("*/{step}"),
        numbers: (first..=last).filter(|it| (it - first).is_multiple_of(step)).collect(),
    });
    let list = (number.clone(), number, 1..9_u32).prop_map(|(a, b, step)| Sample {
        text: format!("{a},{}-{}/{step}", a.min(b), a.max(b)),
        numbers: (a.min(b)..=a.max(b)).filter(|it| (it - a.min(b)).is_multiple_of(step)).chain([a]).collect(),
    });
    prop_oneof![star, one, step, list]
}

/// Whether fields match what a clock shows, said as simply as it can be.
fn shows(fields: &[Sample; 5], time: DateTime) -> bool {
    let [minute, hour, day, month, weekday] = fields;
    let has = |sample: &Sample, number: i8| sample.numbers.contains(&u32::try_from(number).unwrap());
    let by_month = has(day, time.day());
    let by_week = has(weekday, time.date().weekday().to_sunday_zero_offset())
        || (has(weekday, 7) && time.date().weekday() == jiff::civil::Weekday::Sunday);
    let is_free = |sample: &Sample| sample.text.starts_with('*');
    let is_day = if is_free(day) || is_free(weekday) { by_month && by_week } else { by_month || by_week };
    has(minute, time.minute()) && has(hour, time.hour()) && has(month, time.month()) && is_day
}

/// Whether it is time: minute by minute, from what clocks show now and showed a minute ago.
fn is_time(fields: &[Sample; 5], zone: &Zone, at: Timestamp) -> bool {
    let clock = |at: Timestamp| at.to_zoned(zone.tz().clone()).datetime();
    let (before, now) = (clock(at - 1.minute()), clock(at));
    if fields[0].text.starts_with('*') || fields[1].text.starts_with('*') {
        return shows(fields, now);
    }
    // Everything that was left out counts now; what is shown for the second time does not.
    let mut skipped = before + 1.minute();
    while skipped < now {
        if shows(fields, skipped) {
            return true;
        }
        skipped += 1.minute();
    }
    let is_second = || (1..=180_i64).any(|minutes| clock(at - minutes.minutes()) == now);
    shows(fields, now) && !is_second()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_next_time_is_the_first_minute_that_matches(
        fields in [field(0, 59).boxed(), field(0, 23).boxed(), field(1, 31).boxed(), field(1, 12).boxed(), field(0, 7).boxed()],
        zone in any::<Index>(),
        change in any::<Index>(),
        minutes in 0..2000_i64,
    ) {
        let zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "UTC"];
        let zone: Zone = zone.get(&zones).parse().unwrap();
        // Shortly before clocks are changed somewhere, or the year is.
        let changes = ["2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z", "2026-03-07T06:00:00Z", "2010-11-06T12:00:00Z", "2026-04-04T00:00:00Z", "2026-10-03T00:00:00Z", "2027-12-31T00:00:00Z"];
        let from: Timestamp = change.get(&changes).parse().unwrap();
        let from = from + minutes.minutes();
        let text = fields.each_ref().map(|field| field.text.as_str()).join(" ");
        let Ok(cron) = text.parse::<Cron>() else {
            prop_assert_eq!(text.parse::<Cron>(), Err(CronError::NoDay));
            return Ok(());
        };
        let next = cron.next(from, &zone).unwrap();
        prop_assert!(next > from);
        let mut naive = (1..3 * 1440_i64).map(|minutes| from + minutes.minutes());
        let found = naive.find(|at| is_time(&fields, &zone, *at));
        match found {
            Some(found) => prop_assert_eq!(next, found, "{} in {} after {}", text, zone, from),
            None => prop_assert!(next >= from + (3 * 1440_i64).minutes(), "{} in {} after {}: {}", text, zone, from, next),
        }
    }
}
