//! When a schedule is due: cron patterns read on the clocks of a time zone.
//!
//! The pattern is croner's, the zones are jiff's with the IANA data that were compiled in, so that API and workers agree
//! wherever they run. What happens when clocks are changed is decided here (docs/schedules.md):
//!
//! * A pattern with every hour (`*`) goes by what the clock shows: times that are skipped do not come, times that come twice are
//!   due twice. A job of every ten minutes runs every ten minutes.
//! * Any other pattern names times of the day, each of which is due once: one that is skipped at the moment of the jump, one
//!   that comes twice the first time. Several that are skipped together are due once.

use chrono::DateTime;
use croner::parser::{CronParser, Seconds, Year};
use jiff::{
    Timestamp,
    civil::DateTime as WallTime,
    tz::{AmbiguousOffset, TimeZone},
};

use crate::clock::Time;

/// Longest pattern, in bytes.
pub const CRON_BYTES_MAX: usize = 200;
/// Hours of a day.
const ALL_HOURS: usize = 24;
const HINT: &str = "write five fields (minute, hour, day of month, month, day of week), such as `30 2 * * MON-FRI`, with \
                    seconds as a sixth in front if they matter";

/// A cron pattern, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
    has_all_hours: bool,
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a text is not a pattern: what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCron {
    /// It does not read.
    #[error("is not a cron pattern ({0}); {HINT}")]
    Form(String),
    /// It reads, and never comes.
    #[error("never comes: no year has such a day; check the day of month and the month")]
    Never,
    /// Too long to be looked at.
    #[error("must be at most {CRON_BYTES_MAX} bytes")]
    TooLong,
}

/// Why a text is not a zone: what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no IANA time zone of this name; {hint}")]
pub struct BadZone {
    hint: String,
}

impl Cron {
    /// Reads a pattern of five fields, six with seconds, or a nickname such as `@daily`. Names, ranges, steps, `L`, `W` and `#`
    /// as croner has them; a day of the month and a day of the week are two ways to be due, as Vixie's cron has it.
    pub fn parse(text: &str) -> Result<Self, BadCron> {
        if text.len() > CRON_BYTES_MAX {
            return Err(BadCron::TooLong);
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parsed = parser.parse(text).map_err(|error| BadCron::Form(lowered(&error.to_string())))?;
        let has_all_hours = parsed.pattern.hours.values().len() == ALL_HOURS;
        let cron = Self { text: text.trim().to_owned(), parsed, has_all_hours };
        match cron.wall_time_after(WallTime::constant(2000, 1, 1, 0, 0, 0, 0), true) {
            Some(_) => Ok(cron),
            None => Err(BadCron::Never),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first time after this one that it is due; whole seconds. None beyond the year 5000.
    pub fn next(&self, zone: &Zone, after: Time) -> Option<Time> {
        let after = Timestamp::from_second(after.timestamp()).ok()?;
        let next = if self.has_all_hours {
            self.next_reading(&zone.0, after)
        } else {
            self.next_time_of_day(&zone.0, after)
        };
        DateTime::from_timestamp(next?.as_second(), 0)
    }

    /// The next moment at which the clock shows a time of the pattern: from one change of the clocks to the next.
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

    /// The moment of the next time of the pattern whose moment is still to come.
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

/// When the clock shows this: the first time if twice, the moment of the jump if never.
fn moment_of(zone: &TimeZone, wall: WallTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, after: _ } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { before: _, after } => {
            // By the new offset, a time that was skipped lies before the jump.
            let before_the_jump = after.to_timestamp(wall).ok()?;
            zone.following(before_the_jump).next().map(|change| change.timestamp())
        }
    }
}

impl Zone {
    /// Finds a zone by its name, in whichever case.
    pub fn parse(name: &str) -> Result<Self, BadZone> {
        let found = TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some());
        found.map(Self).ok_or_else(|| BadZone { hint: hint_for(name) })
    }

    /// Its name as the IANA database writes it.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

/// `Berlin` is `Europe/Berlin`.
fn hint_for(name: &str) -> String {
    let city = name.trim().rsplit('/').next().unwrap_or_default().replace(' ', "_");
    let is_of_city =
        |known: &&str| known.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city));
    let names: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    match names.iter().map(String::as_str).find(is_of_city) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "write one such as `Europe/Berlin` or `UTC`".to_owned(),
    }
}

/// The library's sentences as parts of ours.
fn lowered(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
