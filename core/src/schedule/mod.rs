//! When schedules are due, and what becomes of times that overlap or were missed. Pure.
//!
//! The catalogue's verbs check patterns and zones, `steps::fire_schedules` asks what is to be done, the API shows what comes.

mod cron;
#[cfg(test)]
mod oracle;

use std::time::Duration;

pub use cron::{BadCron, BadZone, CRON_BYTES_MAX, Cron, Zone};

use crate::{clock::Time, duration::IsoDuration};

/// How late a firing may be without having been missed: longer than it takes until another worker notices that one is gone.
pub const ON_TIME: Duration = Duration::from_secs(30);
/// Most firings of one schedule in one go.
pub const FIRINGS_MAX: usize = 100;

/// When a schedule is due, and what becomes of times that overlap or were missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// The pattern.
    pub cron: Cron,
    /// Whose clocks it is read on.
    pub zone: Zone,
    /// What happens when the job before has not ended.
    pub overlap: Overlap,
    /// How far back missed times are made up; never less than [`ON_TIME`].
    pub catch_up: IsoDuration,
}

/// What happens when a schedule is due and its last job has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Nothing is enqueued.
    Skip,
    /// Another job is enqueued.
    Allow,
    /// The last one is cancelled, and another is enqueued.
    CancelRunning,
}

/// What a schedule that is due is to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Firing {
    /// Times for which a job is to be enqueued, in order.
    pub due: Vec<Time>,
    /// Whether the jobs before are to be cancelled.
    pub cancels: bool,
    /// What is to be looked at next. In the past when there was more than [`FIRINGS_MAX`].
    pub next: Option<Time>,
}

impl Overlap {
    /// All policies.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Allow, Self::CancelRunning];

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Allow => "allow",
            Self::CancelRunning => "cancel_running",
        }
    }

    /// From its stored form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|overlap| overlap.as_str() == text)
    }
}

impl Timing {
    /// The first time after this one.
    pub fn next(&self, after: Time) -> Option<Time> {
        self.cron.next(&self.zone, after)
    }

    /// The next `count` times after this one.
    pub fn upcoming(&self, after: Time, count: usize) -> Vec<Time> {
        std::iter::successors(self.next(after), |last| self.next(*last)).take(count).collect()
    }

    /// What is to be done now by a schedule whose first open time is `from`. `is_busy`: a job of an earlier firing has not ended.
    /// The same as if each time had been looked at in its turn: what lies further back than it is made up is passed over.
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
            // Once one is enqueued, the others find it there.
            Overlap::Skip => {
                let due = due_from(from).take(usize::from(!is_busy)).collect();
                Firing { due, cancels: false, next: self.next(now) }
            }
            // Each takes the place of the one before, so that the last one is left.
            Overlap::CancelRunning => {
                let due: Vec<Time> = from.and_then(|from| self.last_until(from, now)).into_iter().collect();
                Firing { cancels: is_busy && !due.is_empty(), due, next: self.next(now) }
            }
        }
    }

    /// The last time from this one on until now; looks back further and further, since the times between may be millions.
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
