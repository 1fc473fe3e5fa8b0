//! Changes, column by column, as the statements of `live` take them.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Change, LiveJob, Started};
use crate::{
    clock::Time,
    ids::{AttemptId, WorkerId},
    job::{Standing, transition::Next},
    limit::GateKey,
    store::{StoreError, array_literal, to_json},
};

/// Rows that stay live.
#[derive(Default)]
pub(super) struct LiveColumns<'a> {
    pub(super) jobs: Vec<Uuid>,
    pub(super) states: Vec<&'static str>,
    pub(super) prior_states: Vec<&'static str>,
    pub(super) run_ats: Vec<Time>,
    pub(super) are_retries: Vec<bool>,
    pub(super) queued_ats: Vec<Option<Time>>,
    pub(super) dispatched_ats: Vec<Option<Time>>,
    pub(super) parked_ons: Vec<Option<String>>,
    pub(super) attempts: Vec<i32>,
    pub(super) counteds: Vec<i32>,
    pub(super) losts: Vec<i32>,
    pub(super) attempt_ids: Vec<Option<Uuid>>,
    pub(super) worker_ids: Vec<Option<Uuid>>,
    pub(super) attempt_ats: Vec<Option<Time>>,
    pub(super) cancel_asked_ats: Vec<Option<Time>>,
    pub(super) events: Vec<&'static str>,
    pub(super) messages: Vec<&'a str>,
    pub(super) have_new_attempt: Vec<bool>,
    pub(super) woken_fors: Vec<String>,
    pub(super) ats: Vec<Time>,
    pub(super) rounds: Vec<i64>,
    pub(super) holds: Vec<String>,
    pub(super) proxies: Vec<Option<Uuid>>,
    /// Those of the row before, which mostly are those of the next.
    last_holds: &'a [GateKey],
}

impl<'a> LiveColumns<'a> {
    pub(super) fn of(changes: &[&'a Change], now: Time) -> Self {
        let mut columns = Self::default();
        for change in changes {
            columns.push(change, now);
        }
        columns
    }

    fn push(&mut self, change: &'a Change, now: Time) {
        let Next::Live(standing) = &change.applied.next else { return };
        let before = &change.before;
        let mut row = Fields { run_at: before.run_at, queued_at: Some(now), ..Fields::default() };
        match standing {
            Standing::Blocked | Standing::Ended(_) => row.queued_at = None,
            Standing::Scheduled { run_at, is_retry } => {
                (row.run_at, row.is_retry, row.queued_at) = (*run_at, *is_retry, None);
            }
            Standing::Queued { parked_on } => {
                let was_queued = matches!(before.standing, Standing::Queued { .. });
                row.queued_at = if was_queued { before.queued_at } else { Some(now) };
                row.parked_on = parked_on.as_ref();
                row.dispatched_at = change.is_dispatched.then_some(now);
            }
            Standing::Running { attempt, cancel_asked } => {
                row.queued_at = before.queued_at;
                row.attempt = Some(*attempt);
                row.cancel_asked_at = cancel_asked.then_some(now);
                (row.worker, row.attempt_at, row.holds) = (before.worker, before.attempt_at, &before.holds);
                if let Some(Started { worker, at, holds, proxy: _ }) = &change.started {
                    (row.is_new, row.worker, row.attempt_at, row.holds) =
                        (true, Some(*worker), Some(*at), holds);
                }
            }
        }
        self.jobs.push(before.job.uuid());
        self.states.push(standing.state().as_str());
        self.prior_states.push(before.standing.state().as_str());
        self.run_ats.push(row.run_at);
        self.are_retries.push(row.is_retry);
        self.queued_ats.push(row.queued_at);
        self.dispatched_ats.push(row.dispatched_at);
        self.parked_ons.push(row.parked_on.map(ToString::to_string));
        self.attempts.push(before.attempt + i32::from(row.is_new));
        self.counteds.push(change.applied.counted as i32);
        self.losts.push(change.applied.lost as i32);
        self.attempt_ids.push(row.attempt.map(Uuid::from));
        self.worker_ids.push(row.worker.map(Uuid::from));
        self.attempt_ats.push(row.attempt_at);
        self.cancel_asked_ats.push(row.cancel_asked_at);
        self.events.push(change.applied.event.as_str());
        self.messages.push(&change.applied.message);
        self.have_new_attempt.push(row.is_new);
        self.woken_fors.push(woken_for(before, standing));
        self.ats.push(change.started.as_ref().map_or(now, |started| started.at));
        self.rounds.push(before.round);
        self.proxies.push(change.started.as_ref().and_then(|started| started.proxy).map(Uuid::from));
        let written = match self.holds.last() {
            Some(written) if self.last_holds == row.holds => written.clone(),
            Some(_) | None => array_literal(row.holds.iter().map(ToString::to_string)),
        };
        self.holds.push(written);
        self.last_holds = row.holds;
    }
}

/// The gates at which the job need not queue up any more, as an array of Postgres: that which it was parked on until now, and those
/// before. Parked again, it queues up again. Whoever leaves the queue has used them up.
fn woken_for(before: &LiveJob, standing: &Standing) -> String {
    let (Standing::Queued { parked_on: was_on }, Standing::Queued { parked_on: is_on }) =
        (&before.standing, standing)
    else {
        return "{}".to_owned();
    };
    let all = before.woken_for.iter().chain(was_on).filter(|key| Some(*key) != is_on.as_ref());
    array_literal(all.map(ToString::to_string))
}

/// The columns that depend on the standing.
#[derive(Default)]
struct Fields<'a> {
    run_at: Time,
    is_retry: bool,
    queued_at: Option<Time>,
    dispatched_at: Option<Time>,
    parked_on: Option<&'a GateKey>,
    attempt: Option<AttemptId>,
    attempt_at: Option<Time>,
    worker: Option<WorkerId>,
    holds: &'a [GateKey],
    cancel_asked_at: Option<Time>,
    is_new: bool,
}

/// Gates that attempts are not behind any more, each with how many those are.
#[derive(Default)]
pub(super) struct LeftColumns {
    pub(super) keys: Vec<String>,
    pub(super) counts: Vec<i32>,
}

impl LeftColumns {
    /// Adds them to `freed` as well.
    pub(super) fn of(changes: &[&Change], freed: &mut HashMap<GateKey, u32>) -> Self {
        let mut left: HashMap<&GateKey, u32> = HashMap::new();
        for change in changes {
            if !matches!(change.applied.next, Next::Live(Standing::Running { .. })) {
                change.before.holds.iter().for_each(|key| *left.entry(key).or_default() += 1);
            }
        }
        let mut columns = Self::default();
        for (key, count) in left {
            columns.keys.push(key.to_string());
            columns.counts.push(count.cast_signed());
            *freed.entry(key.clone()).or_default() += count;
        }
        columns
    }
}

/// Rows that end.
#[derive(Default)]
pub(super) struct EndColumns<'a> {
    pub(super) jobs: Vec<Uuid>,
    pub(super) states: Vec<&'static str>,
    pub(super) events: Vec<&'static str>,
    pub(super) messages: Vec<&'a str>,
    pub(super) results: Vec<Option<String>>,
    pub(super) failures: Vec<Option<String>>,
    pub(super) counteds: Vec<i32>,
}

impl<'a> EndColumns<'a> {
    pub(super) fn push(&mut self, change: &'a Change) -> Result<(), StoreError> {
        let Next::Ended { ending, failure, result } = &change.applied.next else { return Ok(()) };
        self.jobs.push(change.before.job.uuid());
        self.states.push(ending.state().as_str());
        self.events.push(change.applied.event.as_str());
        self.messages.push(&change.applied.message);
        self.results.push(result.as_ref().map(ToString::to_string));
        self.failures.push(match failure {
            Some(failure) => Some(to_json("failure", failure)?),
            None => None,
        });
        self.counteds.push(change.applied.counted as i32);
        Ok(())
    }
}
