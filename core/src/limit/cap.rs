//! Caps: how many attempts may start in a calendar day or month (UTC). Pure.
//!
//! The [`gate`](super::gate) of a cap's owner counts them.

use chrono::{Datelike as _, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};

use super::{BadLimit, LIMIT_MAX};
use crate::clock::Time;

/// The calendar period of a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Midnight to midnight.
    Day,
    /// The first of a month to the first of the next.
    Month,
}

/// What happens to jobs when the cap is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenReached {
    /// They wait for the next period.
    Defer,
    /// New jobs are refused. Jobs accepted before wait for the next period.
    Refuse,
}

/// At most `most` starts per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cap {
    /// Attempts, 1 to [`LIMIT_MAX`].
    pub most: u32,
    /// The period.
    pub per: Period,
    /// What happens when it is reached.
    pub when_reached: WhenReached,
}

/// How much of a cap has been used in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The period.
    pub per: Period,
    /// When the period began.
    pub since: Time,
    /// Attempts that have started in it.
    pub count: u32,
}

impl Cap {
    /// Checks its bounds.
    pub(super) fn check(self) -> Result<(), BadLimit> {
        if (1..=LIMIT_MAX).contains(&self.most) {
            return Ok(());
        }
        let message = format!("must be 1 to {LIMIT_MAX} (pause the queue to start no jobs)");
        Err(BadLimit { field: "most", message })
    }
}

impl Period {
    /// As stored, and as written in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The beginning of the period that contains `at`.
    pub fn begin(self, at: Time) -> Time {
        let date = at.date_naive();
        midnight(match self {
            Self::Day => date,
            Self::Month => date.with_day(1).unwrap_or(date),
        })
    }

    /// The beginning of the next period.
    pub fn end(self, at: Time) -> Time {
        let begin = self.begin(at).date_naive();
        let next = match self {
            Self::Day => begin.succ_opt(),
            Self::Month => begin.checked_add_months(chrono::Months::new(1)),
        };
        midnight(next.unwrap_or(NaiveDate::MAX))
    }
}

fn midnight(date: NaiveDate) -> Time {
    date.and_time(NaiveTime::MIN).and_utc()
}

/// Returns the attempts started in the period that contains `at`. Once a grant made ahead falls
/// into the next period, the rest of this one counts towards it.
pub(super) fn spent(all: &[Spent], per: Period, at: Time) -> u32 {
    let since = per.begin(at);
    all.iter().find(|spent| spent.per == per && spent.since >= since).map_or(0, |spent| spent.count)
}

/// Counts a start for a period.
pub(super) fn spend(all: &mut Vec<Spent>, per: Period, at: Time) {
    let since = per.begin(at);
    match all.iter_mut().find(|spent| spent.per == per) {
        Some(spent) if spent.since >= since => spent.count = spent.count.saturating_add(1),
        Some(spent) => *spent = Spent { per, since, count: 1 },
        None => all.push(Spent { per, since, count: 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn periods_begin_and_end_at_midnight_utc() {
        for (per, moment, begin, end) in [
            (Period::Day, "2028-02-28T23:59:59.999999Z", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"),
            (Period::Day, "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2028-01-31T12:00:00Z", "2028-01-01T00:00:00Z", "2028-02-01T00:00:00Z"),
            (Period::Month, "2027-12-01T00:00:00Z", "2027-12-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                (per.begin(at(moment)), per.end(at(moment))),
                (at(begin), at(end)),
                "{per:?} {moment}"
            );
        }
    }

    #[test]
    fn a_period_begins_at_zero() {
        let mut all = Vec::new();
        spend(&mut all, Period::Day, at("2028-02-28T10:00:00Z"));
        spend(&mut all, Period::Month, at("2028-02-28T10:00:00Z"));
        spend(&mut all, Period::Day, at("2028-02-28T23:59:59Z"));
        assert_eq!(spent(&all, Period::Day, at("2028-02-28T23:59:59Z")), 2);
        assert_eq!(spent(&all, Period::Day, at("2028-02-29T00:00:00Z")), 0);
        spend(&mut all, Period::Day, at("2028-02-29T00:00:00Z"));
        assert_eq!(spent(&all, Period::Day, at("2028-02-29T00:00:01Z")), 1);
        assert_eq!(spent(&all, Period::Month, at("2028-02-29T00:00:01Z")), 1);
        assert_eq!(all.len(), 2);
        spend(&mut all, Period::Day, at("2028-02-28T23:59:59.9Z"));
        assert_eq!(spent(&all, Period::Day, at("2028-02-28T23:59:59.9Z")), 2, "a moment late");
        assert_eq!(spent(&all, Period::Day, at("2028-02-29T00:00:01Z")), 2);
    }

    #[test]
    fn bounds_are_checked() {
        let cap = |most| Cap { most, per: Period::Day, when_reached: WhenReached::Defer };
        assert_eq!(cap(LIMIT_MAX).check(), Ok(()));
        assert_eq!(cap(0).check().unwrap_err().field, "most");
        assert_eq!(cap(LIMIT_MAX + 1).check().unwrap_err().field, "most");
    }
}
