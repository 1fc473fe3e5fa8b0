//! The history of a queue, and the estimate of when its ready jobs are gone.

use async_graphql::{Context, Result, SimpleObject};
use callboard::{
    clock::{self, Time},
    duration::IsoDuration,
    store::queues::history::{Point, Steps},
};
use chrono::DateTime as Instant;

use super::shown;
use crate::{
    error::{ApiError, Code},
    graphql::{
        job::JobContext,
        scalars::{DateTime, Duration},
    },
};

/// Maximum number of steps in a history.
const STEPS_MAX: u64 = 1500;
/// Seconds in a minute, the shortest step.
const MINUTE: u64 = 60;
/// Number of full minutes that the estimate is based on.
const PACE_MINUTES: u32 = 5;

/// One step of a queue's history.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct QueuePoint {
    /// Start of the step.
    pub at: DateTime,
    /// Number of jobs that were enqueued, or retried by jobRetry.
    pub enqueued: i32,
    /// Number of attempts that started.
    pub started: i32,
    /// Number of jobs that succeeded.
    pub succeeded: i32,
    /// Number of jobs that failed.
    pub failed: i32,
    /// Number of jobs that were cancelled or expired.
    pub cancelled: i32,
    /// Number of ready jobs at the end of the step, or now.
    pub queued_depth: i32,
    /// Median time from ready to started, for the attempts that started, within 10 % of the exact
    /// value. Null when none started.
    pub p50_wait: Option<Duration>,
    /// 95th percentile of the same times. Null when none started.
    pub p95_wait: Option<Duration>,
}

impl From<Point> for QueuePoint {
    fn from(point: Point) -> Self {
        let wait = |share| point.waits.quantile(share).map(|wait| Duration(IsoDuration(wait)));
        Self {
            at: DateTime(point.at),
            enqueued: shown(point.enqueued),
            started: shown(point.started),
            succeeded: shown(point.succeeded),
            failed: shown(point.failed),
            cancelled: shown(point.cancelled),
            queued_depth: shown(point.queued_depth),
            p50_wait: wait(0.5),
            p95_wait: wait(0.95),
        }
    }
}

/// Returns the seconds of a step and the number of steps.
fn steps(window: Option<&Duration>, step: Option<&Duration>) -> Result<(u64, u64), ApiError> {
    let bad = |message: String| ApiError::new(Code::BadRequest, message);
    let seconds = |given: Option<&Duration>, default| given.map_or(default, |given| given.0.0.as_secs());
    let (window, step) = (seconds(window, 60 * MINUTE), seconds(step, MINUTE));
    if step == 0 || step % MINUTE != 0 {
        return Err(bad("`step` must be one or more whole minutes, such as PT1M or PT1H.".to_owned()));
    }
    let count = window.div_ceil(step);
    if !(1..=STEPS_MAX).contains(&count) {
        return Err(bad(format!(
            "`window` must be 1 to {STEPS_MAX} steps long, not {count}. Use a longer step or a shorter \
             window."
        )));
    }
    Ok((step, count))
}

/// The cost of a history.
pub fn cost(window: Option<&Duration>, step: Option<&Duration>, of_point: usize) -> usize {
    let count = steps(window, step).map_or(1, |(_, count)| usize::try_from(count).unwrap_or(1));
    // A point is small, and all of them are read at once.
    1 + count.saturating_mul(of_point) / 20
}

/// Returns the start of the step that contains `at`.
fn begin_of_step(at: Time, step: u64) -> Time {
    let seconds = at.timestamp().div_euclid(step.cast_signed()) * step.cast_signed();
    Instant::from_timestamp(seconds, 0).unwrap_or(at)
}

/// Returns the history of a queue. Batched.
pub(super) async fn of(
    ctx: &Context<'_>,
    queue: &str,
    window: Option<Duration>,
    step: Option<Duration>,
) -> Result<Vec<QueuePoint>> {
    let (step, count) = steps(window.as_ref(), step.as_ref())?;
    let from = begin_of_step(clock::now(), step) - std::time::Duration::from_secs(step * (count - 1));
    let steps = Steps {
        from,
        length: std::time::Duration::from_secs(step),
        count: i32::try_from(count).unwrap_or(i32::MAX),
    };
    // None if the queue was deleted meanwhile.
    let points = JobContext::of(ctx)?.readers.history((queue.to_owned(), steps)).await?;
    Ok(points.unwrap_or_default().into_iter().map(QueuePoint::from).collect())
}

/// Estimates when no jobs are ready any more, at the pace of the last full minutes.
pub(super) async fn empty_at(ctx: &Context<'_>, queue: &str, queued: i64) -> Result<Option<DateTime>> {
    if queued <= 0 {
        return Ok(None);
    }
    let now = clock::now();
    let until = begin_of_step(now, MINUTE);
    let from = until - std::time::Duration::from_secs(MINUTE * u64::from(PACE_MINUTES));
    let change = JobContext::of(ctx)?.readers.queued_change((queue.to_owned(), from, until)).await?;
    Ok(forecast(queued, -change.unwrap_or_default(), now).map(DateTime))
}

/// Estimates when `queued` jobs are gone if there were `fewer` within the last full minutes. `None`
/// if the number did not decrease.
fn forecast(queued: i64, fewer: i64, now: Time) -> Option<Time> {
    if fewer <= 0 {
        return None;
    }
    let minutes = queued as f64 * f64::from(PACE_MINUTES) / fewer as f64;
    let wait = std::time::Duration::try_from_secs_f64(minutes * MINUTE as f64).ok()?;
    now.checked_add_signed(chrono::TimeDelta::from_std(wait).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_empties_at_its_pace_or_never() {
        let now = Instant::from_timestamp(1_800_000_000, 0).unwrap();
        let in_minutes = |minutes: i64| Some(now + chrono::TimeDelta::minutes(minutes));
        assert_eq!(forecast(100, 50, now), in_minutes(10));
        assert_eq!(forecast(1, 5, now), in_minutes(1));
        assert_eq!(forecast(100, 0, now), None);
        assert_eq!(forecast(100, -7, now), None, "it grows");
    }

    #[test]
    fn steps_are_whole_minutes_and_limited_in_number() {
        let given = |text: &str| Some(Duration(text.parse().unwrap()));
        let steps = |window, step| steps(given(window).as_ref(), given(step).as_ref());
        assert_eq!(steps("PT1H", "PT1M").ok(), Some((60, 60)));
        assert_eq!(steps("P1D", "PT1H").ok(), Some((3600, 24)));
        assert_eq!(steps("PT90S", "PT1M").ok(), Some((60, 2)));
        for (window, step) in
            [("PT1H", "PT0S"), ("PT1H", "PT30S"), ("PT1H", "PT90S"), ("P2D", "PT1M"), ("PT0S", "PT1M")]
        {
            assert!(steps(window, step).is_err(), "{window} {step}");
        }
    }
}
