//! Cron patterns, read on the clocks of a time zone.
//!
//! croner parses the patterns. The zones are jiff's, with the IANA data compiled in, so that the
//! API and the workers agree wherever they run. This file decides what happens when clocks change
//! (docs/schedules.md):
//!
//! * A pattern with every hour (`*`) follows the clock's reading. Times that are skipped do not
//!   occur, and times that occur twice are due twice. A job every ten minutes runs every ten
//!   minutes.
//! * Any other pattern names times of day, and each is due once. A skipped time is due at the
//!   moment of the jump, and a repeated time is due the first time. Several times skipped by one
//!   jump are due once.

use chrono::{DateTime, Datelike as _, NaiveDate};
use croner::parser::{CronParser, Seconds, Year};
use jiff::{
    Timestamp,
    civil::DateTime as WallTime,
    tz::{AmbiguousOffset, TimeZone},
};

use crate::clock::Time;

/// Longest pattern, in bytes.
pub const CRON_BYTES_MAX: usize = 200;
/// Hours in a day.
const ALL_HOURS: usize = 24;
const HINT: &str = "must be five cron fields (minute, hour, day of month, month, day of week), such as \
                    `30 2 * * MON-FRI`, optionally with seconds in front";

/// A parsed cron pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
    has_all_hours: bool,
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a text is not a pattern, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCron {
    /// It does not parse.
    #[error("{HINT} ({0})")]
    Form(String),
    /// It parses but never occurs.
    #[error("never occurs because no year has such a day (check the day of month and the month)")]
    Never,
    /// It is too long to be parsed.
    #[error("must be at most {CRON_BYTES_MAX} bytes")]
    TooLong,
}

/// The text is not a time zone. Names a similar one or gives an example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of an IANA time zone ({hint})")]
pub struct BadZone {
    hint: String,
}

impl Cron {
    /// Parses a pattern of five fields, six with seconds, or a nickname such as `@daily`. Names,
    /// ranges, steps, `L`, `W` and `#` are croner's. As in Vixie cron, a pattern with both a day of
    /// month and a day of week is due on either.
    pub fn parse(text: &str) -> Result<Self, BadCron> {
        if text.len() > CRON_BYTES_MAX {
            return Err(BadCron::TooLong);
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parsed = parser.parse(text).map_err(|error| BadCron::Form(lowered(&error.to_string())))?;
        let has_all_hours = parsed.pattern.hours.values().len() == ALL_HOURS;
        if !has_a_day(&parsed) {
            return Err(BadCron::Never);
        }
        Ok(Self { text: text.trim().to_owned(), parsed, has_all_hours })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the first due time after `after`, in whole seconds. `None` beyond the year 5000.
    pub fn next(&self, zone: &Zone, after: Time) -> Option<Time> {
        let after = Timestamp::from_second(after.timestamp()).ok()?;
        let next = if self.has_all_hours {
            self.next_reading(&zone.0, after)
        } else {
            self.next_time_of_day(&zone.0, after)
        };
        DateTime::from_timestamp(next?.as_second(), 0)
    }

    /// Returns the next moment at which the clock shows a time of the pattern. Searches from one
    /// clock change to the next.
    fn next_reading(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut is_inclusive) = (after, false);
        loop {
            let offset = zone.to_offset(from);
            let wall = self.wall_time_after(offset.to_datetime(from), is_inclusive)?;
            let at = offset.to_timestamp(wall).ok()?;
            match zone.following(from).next().map(|change| change.timestamp()) {
                Some(change) if change <= at => (from, is_inclusive) = (change, true),
                Some(_) | None => return Some(at),
            }
        }
    }

    /// Returns the next time of day whose moment is after `after`.
    fn next_time_of_day(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let mut wall = zone.to_datetime(after);
        loop {
            wall = self.wall_time_after(wall, false)?;
            let at = moment_of(zone, wall)?;
            if at > after {
                return Some(at);
            }
        }
    }

    fn wall_time_after(&self, wall: WallTime, is_inclusive: bool) -> Option<WallTime> {
        self.parsed.find_next_occurrence(&wall, is_inclusive).ok()
    }
}

/// Whether any day is one of the pattern. croner would look for it until the year 5000, which takes
/// seconds. Every year is like one of these 28: leap or not, and begun on one of seven weekdays.
fn has_a_day(cron: &croner::Cron) -> bool {
    let Some(first) = NaiveDate::from_ymd_opt(2000, 1, 1) else { return false };
    let mut days = first.iter_days().take_while(|day| day.year() < 2028);
    days.any(|day| {
        let weekday = croner::Weekday::from_days_from_sunday(day.weekday().num_days_from_sunday());
        let is_in_month = cron.pattern.month_match(day.month()).unwrap_or(false);
        is_in_month && cron.pattern.day_match(day.year(), day.month(), day.day(), weekday).unwrap_or(false)
    })
}

/// Converts a clock reading to a moment: the first one if it occurs twice, the moment of the jump
/// if it is skipped.
fn moment_of(zone: &TimeZone, wall: WallTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, after: _ } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { before: _, after } => {
            // With the new offset, a skipped time lies before the jump.
            let before_the_jump = after.to_timestamp(wall).ok()?;
            zone.following(before_the_jump).next().map(|change| change.timestamp())
        }
    }
}

impl Zone {
    /// Finds a zone by its name, ignoring case.
    pub fn parse(name: &str) -> Result<Self, BadZone> {
        let found = TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some());
        found.map(Self).ok_or_else(|| BadZone { hint: hint_for(name) })
    }

    /// The name as the IANA database spells it.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

/// Suggests `Europe/Berlin` for `Berlin`.
fn hint_for(name: &str) -> String {
    let city = name.trim().rsplit('/').next().unwrap_or_default().replace(' ', "_");
    let is_of_city =
        |known: &&str| known.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city));
    let names: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    match names.iter().map(String::as_str).find(is_of_city) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "such as `Europe/Berlin` or `UTC`".to_owned(),
    }
}

/// Turns the library's sentence into a part of ours.
fn lowered(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
