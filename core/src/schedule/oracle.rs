//! Tests: schedules against a brute-force reading of the clocks around every change of 30 zones
//! from 2020 to 2030, catch-up after downtime, and refusals.
//!
//! The oracle knows only what a clock shows at a moment. It walks minute by minute and notes when
//! each time is first shown, how often, and which times are skipped.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta};
use jiff::{Timestamp, civil::DateTime as WallTime, tz::TimeZone};

use super::{Cron, FIRINGS_MAX, Firing, Overlap, Timing, Zone};
use crate::{clock::Time, duration::IsoDuration};

const ZONES: [&str; 30] = [
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Lisbon",
    "Europe/Istanbul",
    "Europe/Volgograd",
    "Atlantic/Azores",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "America/Asuncion",
    "America/Sao_Paulo",
    "America/Nuuk",
    "America/Whitehorse",
    "America/Mexico_City",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Africa/Juba",
    "Asia/Tehran",
    "Asia/Gaza",
    "Asia/Beirut",
    "Asia/Amman",
    "Asia/Almaty",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Antarctica/Troll",
];

/// A pattern, whether it follows the clock's reading, and when it is due.
type Meaning = (&'static str, bool, fn(WallTime) -> bool);

const PATTERNS: [Meaning; 7] = [
    ("30 2 * * *", false, |wall| (wall.hour(), wall.minute()) == (2, 30)),
    ("0 0 * * *", false, |wall| (wall.hour(), wall.minute()) == (0, 0)),
    ("15 0-3 * * *", false, |wall| wall.hour() <= 3 && wall.minute() == 15),
    ("0 */2 * * *", false, |wall| wall.hour() % 2 == 0 && wall.minute() == 0),
    ("*/10 1-2 * * SUN", false, |wall| {
        wall.weekday() == jiff::civil::Weekday::Sunday
            && [1, 2].contains(&wall.hour())
            && wall.minute() % 10 == 0
    }),
    ("*/20 * * * *", true, |wall| wall.minute() % 20 == 0),
    ("0 45 * * * *", true, |wall| wall.minute() == 45),
];

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn chrono_time(at: Timestamp) -> Time {
    DateTime::from_timestamp(at.as_second(), 0).unwrap()
}

/// What the clock shows, minute by minute.
fn readings(zone: &TimeZone, from: Timestamp, minutes: i64) -> Vec<(Timestamp, WallTime)> {
    (0..minutes)
        .map(|minute| {
            let at = from + Duration::from_secs(60 * minute.unsigned_abs());
            (at, zone.to_datetime(at))
        })
        .collect()
}

/// The times at which a pattern is due, by what the clock has shown.
fn expected(
    readings: &[(Timestamp, WallTime)],
    goes_by_the_clock: bool,
    is_due: fn(WallTime) -> bool,
) -> Vec<Timestamp> {
    if goes_by_the_clock {
        return readings.iter().filter(|(_, wall)| is_due(*wall)).map(|(at, _)| *at).collect();
    }
    let mut first_shown: BTreeMap<WallTime, Timestamp> = BTreeMap::new();
    let mut highest = readings[0].1;
    for (at, wall) in readings {
        // The times between the last reading and this one were skipped.
        let mut skipped = highest + Duration::from_mins(1);
        while skipped < *wall {
            first_shown.entry(skipped).or_insert(*at);
            skipped += Duration::from_mins(1);
        }
        first_shown.entry(*wall).or_insert(*at);
        highest = highest.max(*wall);
    }
    let mut due: Vec<Timestamp> =
        first_shown.into_iter().filter(|(wall, _)| is_due(*wall)).map(|(_, at)| at).collect();
    due.sort_unstable();
    due.dedup();
    due
}

#[test]
fn clock_changes_repeat_and_skip_times_only_by_the_rule() {
    let patterns: Vec<(Cron, Meaning)> =
        PATTERNS.into_iter().map(|meaning| (Cron::parse(meaning.0).unwrap(), meaning)).collect();
    let (begin, end): (Timestamp, Timestamp) =
        ("2020-01-01T00:00:00Z".parse().unwrap(), "2031-01-01T00:00:00Z".parse().unwrap());
    let mut changes = 0;
    for name in ZONES {
        let (zone, jiff_zone) = (Zone::parse(name).unwrap(), TimeZone::get(name).unwrap());
        for change in jiff_zone.following(begin).take_while(|change| change.timestamp() < end) {
            changes += 1;
            // From well before the change, to know what is shown twice, until a day after.
            let from = change.timestamp() - Duration::from_hours(5);
            let readings = readings(&jiff_zone, from, 60 * 31);
            let until = readings.last().unwrap().0;
            for (cron, (_, goes_by_the_clock, is_due)) in &patterns {
                let first = chrono_time(from) - TimeDelta::seconds(1);
                let found: Vec<Time> =
                    std::iter::successors(cron.next(&zone, first), |last| cron.next(&zone, *last))
                        .take_while(|at| *at <= chrono_time(until))
                        .collect();
                let expected: Vec<Time> =
                    expected(&readings, *goes_by_the_clock, *is_due).into_iter().map(chrono_time).collect();
                assert_eq!(found, expected, "{name}, {}, around {}", cron.text(), change.timestamp());
            }
        }
    }
    assert!(changes > 400, "{changes} changes");
}

#[test]
fn every_day_of_eleven_years_has_one_run() {
    let cron = Cron::parse("30 2 * * *").unwrap();
    let (begin, end) = (time("2020-01-02T00:00:00Z"), time("2030-12-30T00:00:00Z"));
    for name in ZONES {
        let zone = Zone::parse(name).unwrap();
        let mut days: Vec<_> = std::iter::successors(cron.next(&zone, begin), |last| cron.next(&zone, *last))
            .take_while(|at| *at < end)
            .map(|at| {
                TimeZone::get(name)
                    .unwrap()
                    .to_datetime(Timestamp::from_second(at.timestamp()).unwrap())
                    .date()
            })
            .collect();
        let count = days.len();
        days.dedup();
        let span = days[0].until(*days.last().unwrap()).unwrap().get_days();
        assert_eq!((days.len(), span), (count, i32::try_from(count).unwrap() - 1), "{name}");
    }
}

fn timing(cron: &str, overlap: Overlap, catch_up_hours: u64) -> Timing {
    Timing {
        cron: Cron::parse(cron).unwrap(),
        zone: Zone::parse("UTC").unwrap(),
        overlap,
        catch_up: IsoDuration(Duration::from_hours(catch_up_hours)),
    }
}

#[test]
fn a_week_of_downtime_is_made_up_as_declared() {
    let (due, now) = (time("2026-03-02T06:00:00Z"), time("2026-03-09T05:59:59Z"));
    let fired = |overlap, hours, is_busy| timing("0 */6 * * *", overlap, hours).fire(due, now, is_busy);
    let next = Some(time("2026-03-09T06:00:00Z"));

    let all = fired(Overlap::Allow, 24 * 7, false);
    assert_eq!((all.due.len(), all.due[0], all.next), (28, due, next), "a whole week");
    let day = fired(Overlap::Allow, 24, true);
    assert_eq!(day.due[0], time("2026-03-08T06:00:00Z"));
    assert_eq!((day.due.len(), day.next, day.cancels), (4, next, false), "a day of it");
    assert_eq!(fired(Overlap::Allow, 0, false), Firing { due: vec![], cancels: false, next }, "none");

    let one = Firing { due: vec![time("2026-03-08T06:00:00Z")], cancels: false, next };
    assert_eq!(fired(Overlap::Skip, 24, false), one, "later times find it unfinished");
    assert_eq!(fired(Overlap::Skip, 24, true), Firing { due: vec![], cancels: false, next });

    let last = vec![time("2026-03-09T00:00:00Z")];
    assert_eq!(
        fired(Overlap::CancelRunning, 24 * 7, true),
        Firing { due: last.clone(), cancels: true, next }
    );
    assert_eq!(fired(Overlap::CancelRunning, 24 * 7, false), Firing { due: last, cancels: false, next });
    assert_eq!(fired(Overlap::CancelRunning, 0, true), Firing { due: vec![], cancels: false, next });
}

#[test]
fn a_late_firing_is_not_missed_and_many_take_several_rounds() {
    let every_second = timing("* * * * * *", Overlap::Allow, 0);
    let now = time("2026-03-09T06:00:00.4Z");
    let firing = every_second.fire(time("2026-03-09T06:00:00Z"), now, false);
    assert_eq!(
        (firing.due, firing.next),
        (vec![time("2026-03-09T06:00:00Z")], Some(time("2026-03-09T06:00:01Z")))
    );
    let firing = every_second.fire(time("2026-03-09T05:00:00Z"), now, false);
    assert_eq!((firing.due.len(), firing.next), (31, Some(time("2026-03-09T06:00:01Z"))), "half a minute");

    let hour = timing("* * * * * *", Overlap::Allow, 1);
    let mut from = time("2026-03-09T05:00:01Z");
    let mut all = Vec::new();
    while from <= now {
        let firing = hour.fire(from, now, false);
        assert!(firing.due.len() <= FIRINGS_MAX);
        all.extend(firing.due);
        from = firing.next.unwrap();
    }
    assert_eq!(
        (all.len(), all[0], *all.last().unwrap()),
        (3600, time("2026-03-09T05:00:01Z"), time("2026-03-09T06:00:00Z"))
    );
    all.dedup();
    assert_eq!(all.len(), 3600);
}

#[test]
fn a_bad_pattern_is_refused_with_what_to_write() {
    for fine in ["0 0 29 2 *", "@daily", "0 9 * * MON#1", "59 59 23 31 12 *", "0 0 L * *", " */5 * * * * "] {
        Cron::parse(fine).unwrap_or_else(|error| panic!("{fine}: {error}"));
    }
    for (bad, told) in [
        ("", "five cron fields"),
        ("* * * *", "five cron fields"),
        ("61 * * * *", "five cron fields"),
        ("every day", "five cron fields"),
        ("0 0 1 1 * * 2030", "five cron fields"),
        ("0 0 30 2 *", "never occurs"),
        ("0 0 31 4,6,9,11 *", "never occurs"),
        (&"0,".repeat(150), "at most 200 bytes"),
    ] {
        let error = Cron::parse(bad).unwrap_err().to_string();
        assert!(error.contains(told), "{bad}: {error}");
    }
    assert_eq!(Zone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
    for (bad, told) in [
        ("Berlin", "did you mean `Europe/Berlin`?"),
        ("Europe/New York", "did you mean `America/New_York`?"),
        ("Mars/Olympus", "such as `Europe/Berlin`"),
        ("", "such as `Europe/Berlin`"),
        ("+01:00", "such as `Europe/Berlin`"),
    ] {
        let error = Zone::parse(bad).unwrap_err().to_string();
        assert!(error.contains(told), "{bad}: {error}");
    }
}
