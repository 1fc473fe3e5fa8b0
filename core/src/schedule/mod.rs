//! When schedules are due, and what happens to times that overlap or were missed. Pure.

mod cron;
#[cfg(test)]
mod oracle;

use std::time::Duration;

pub use cron::{BadCron, BadZone, CRON_BYTES_MAX, Cron, Zone};

use crate::{clock::Time, duration::IsoDuration};

/// How late a firing may be without counting as missed. Longer than it takes another worker to
/// notice that one is gone.
pub const ON_TIME: Duration = Duration::from_secs(30);
/// Maximum number of firings of one schedule in one round.
pub const FIRINGS_MAX: usize = 100;

/// How far ahead times are listed: a hundred years. A pattern may come only once in 28 years (the
/// 29th of February on a Monday), and looking for the next hundred times takes long.
pub const UPCOMING_WITHIN: Duration = Duration::from_hours(24 * 36_525);

/// When a schedule is due, and what happens to times that overlap or were missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// The cron pattern.
    pub cron: Cron,
    /// The time zone in which the pattern is read.
    pub zone: Zone,
    /// What happens while the previous job has not finished.
    pub overlap: Overlap,
    /// How far back missed times are made up, at least [`ON_TIME`].
    pub catch_up: IsoDuration,
}

/// What happens when a schedule is due and its last job has not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// No job is enqueued.
    Skip,
    /// Another job is enqueued.
    Allow,
    /// The last job is cancelled, and another is enqueued.
    CancelRunning,
}

/// What a due schedule has to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Firing {
    /// Times for which to enqueue a job, in order.
    pub due: Vec<Time>,
    /// Whether to cancel the schedule's earlier jobs.
    pub cancels: bool,
    /// The next time to look at. In the past if more than [`FIRINGS_MAX`] were due.
    pub next: Option<Time>,
}

impl Overlap {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Allow, Self::CancelRunning];

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Allow => "allow",
            Self::CancelRunning => "cancel_running",
        }
    }

    /// Parses the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|overlap| overlap.as_str() == text)
    }
}

impl Timing {
    /// Returns the first time after `after`.
    pub fn next(&self, after: Time) -> Option<Time> {
        self.cron.next(&self.zone, after)
    }

    /// Returns the next `count` times after `after` that lie within [`UPCOMING_WITHIN`].
    pub fn upcoming(&self, after: Time, count: usize) -> Vec<Time> {
        let times = std::iter::successors(self.next(after), |last| self.next(*last));
        times.take_while(|time| *time <= after + UPCOMING_WITHIN).take(count).collect()
    }

    /// Returns what a schedule has to do now if its first open time is `from`. `is_busy` means that
    /// a job of an earlier firing has not finished. The result is as if each time had been handled
    /// when it came, without the times that lie too far back to be made up.
    pub fn fire(&self, from: Time, now: Time, is_busy: bool) -> Firing {
        let oldest = now - self.catch_up.0.max(ON_TIME);
        let from = if from >= oldest { Some(from) } else { self.next(oldest - Duration::from_secs(1)) };
        let due_from = |from| {
            let times = std::iter::successors(from, |last| self.next(*last));
            times.take_while(|time| *time <= now)
        };
        match self.overlap {
            Overlap::Allow => {
                let due: Vec<Time> = due_from(from).take(FIRINGS_MAX).collect();
                let next = due.last().map_or(from, |last| self.next(*last));
                Firing { due, cancels: false, next }
            }
            // Once a job is enqueued, the later times find it unfinished.
            Overlap::Skip => {
                let due = due_from(from).take(usize::from(!is_busy)).collect();
                Firing { due, cancels: false, next: self.next(now) }
            }
            // Each job replaces the one before, so only the last is enqueued.
            Overlap::CancelRunning => {
                let due: Vec<Time> = from.and_then(|from| self.last_until(from, now)).into_iter().collect();
                Firing { cancels: is_busy && !due.is_empty(), due, next: self.next(now) }
            }
        }
    }

    /// Returns the last time between `from` and `now`. Looks back in growing steps, because there
    /// may be millions of times between.
    fn last_until(&self, from: Time, now: Time) -> Option<Time> {
        let mut span = Duration::from_mins(1);
        loop {
            let start = from.max(now - span);
            let first = self.next(start - Duration::from_secs(1));
            let times = std::iter::successors(first, |last| self.next(*last));
            match times.take_while(|time| *time <= now).last() {
                Some(last) => return Some(last),
                None if start == from => return None,
                None => span *= 2,
            }
        }
    }
}
