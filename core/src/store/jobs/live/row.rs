//! Reads rows of `live_jobs`.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{CommandLimits, LiveJob, RowsWithTerms, Terms};
use crate::{
    clock::Time,
    ids::{ProfileId, ProxyId, WorkerId},
    job::{JobState, Progress, Standing},
    limit::GateKey,
    store::StoreError,
};

/// A row of `live_jobs`, with its terms.
pub(super) struct Row {
    pub(super) job_id: Uuid,
    pub(super) queue: String,
    pub(super) priority: i16,
    pub(super) state: String,
    pub(super) version: i32,
    pub(super) run_at: Time,
    pub(super) is_retry: bool,
    pub(super) queued_at: Option<Time>,
    pub(super) dispatched_at: Option<Time>,
    pub(super) parked_on: Option<String>,
    pub(super) profile_id: Option<Uuid>,
    pub(super) proxy_id: Option<Uuid>,
    pub(super) attempt: i32,
    pub(super) counted: i32,
    pub(super) lost: i32,
    pub(super) attempt_id: Option<Uuid>,
    pub(super) worker_id: Option<Uuid>,
    pub(super) attempt_proxy_id: Option<Uuid>,
    pub(super) attempt_at: Option<Time>,
    pub(super) started_at: Option<Time>,
    pub(super) cancel_asked_at: Option<Time>,
    pub(super) progress_fraction: Option<f64>,
    pub(super) progress_message: Option<String>,
    pub(super) log_lines: i64,
    pub(super) now: Time,
    pub(super) command_limits: Option<String>,
    pub(super) called_for: Vec<String>,
    pub(super) holds: Vec<String>,
    pub(super) fairness_key: Option<String>,
    pub(super) round: i64,
    pub(super) is_paused: bool,
    pub(super) queue_concurrency: Option<i32>,
    pub(super) profile_caps: Option<String>,
}

/// Values that were parsed before. The jobs of a batch mostly share a few commands and services.
#[derive(Default)]
struct Parsed {
    limits: HashMap<String, Arc<CommandLimits>>,
    holds: HashMap<Vec<String>, Arc<[GateKey]>>,
}

impl Parsed {
    fn limits(&mut self, text: String) -> Result<Arc<CommandLimits>, StoreError> {
        if let Some(limits) = self.limits.get(&text) {
            return Ok(limits.clone());
        }
        let limits: Arc<CommandLimits> = Arc::new(from_text("live_jobs", "command_limits", &text)?);
        self.limits.insert(text, limits.clone());
        Ok(limits)
    }

    fn holds(&mut self, keys: Vec<String>) -> Result<Arc<[GateKey]>, StoreError> {
        if let Some(holds) = self.holds.get(&keys) {
            return Ok(holds.clone());
        }
        let holds: Arc<[GateKey]> = gates("holds", &keys)?.into();
        self.holds.insert(keys, holds.clone());
        Ok(holds)
    }
}

/// The jobs of the rows of one statement, and its time. The time is `None` if there are no rows.
pub(super) fn read(rows: Vec<Row>) -> Result<RowsWithTerms, StoreError> {
    let now = rows.iter().map(|row| row.now).max();
    let mut parsed = Parsed::default();
    let jobs = rows.into_iter().map(|row| row.read(&mut parsed)).collect::<Result<_, _>>()?;
    Ok((jobs, now))
}

fn from_text<T: serde::de::DeserializeOwned>(
    table: &'static str,
    column: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(table, column, &error))
}

fn gate(column: &'static str, key: &str) -> Result<GateKey, StoreError> {
    key.parse().map_err(|_| StoreError::corrupt("live_jobs", column, &key))
}

fn gates(column: &'static str, keys: &[String]) -> Result<Vec<GateKey>, StoreError> {
    keys.iter().map(|key| gate(column, key)).collect()
}

impl Row {
    fn read(self, parsed: &mut Parsed) -> Result<(LiveJob, Terms), StoreError> {
        let corrupt = || StoreError::corrupt("live_jobs", "state", &self.state);
        let standing = match (JobState::parse(&self.state).ok_or_else(corrupt)?, self.attempt_id) {
            (JobState::Blocked, _) => Standing::Blocked,
            (JobState::Scheduled, _) => Standing::Scheduled { run_at: self.run_at, is_retry: self.is_retry },
            (JobState::Queued, _) => {
                Standing::Queued { parked_on: self.parked_on.map(|key| gate("parked_on", &key)).transpose()? }
            }
            (JobState::Running, Some(attempt)) => {
                Standing::Running { attempt: attempt.into(), cancel_asked: self.cancel_asked_at.is_some() }
            }
            (JobState::Running, None) | (JobState::Succeeded | JobState::Failed | JobState::Cancelled, _) => {
                return Err(corrupt());
            }
        };
        let terms = Terms {
            is_paused: self.is_paused,
            queue_concurrency: self.queue_concurrency.and_then(|most| u32::try_from(most).ok()),
            profile_caps: match self.profile_caps {
                Some(caps) => from_text("profiles", "caps", &caps)?,
                None => Vec::new(),
            },
            command_limits: self.command_limits.map(|text| parsed.limits(text)).transpose()?,
        };
        let live = LiveJob {
            job: self.job_id.into(),
            queue: self.queue,
            priority: self.priority,
            fairness_key: self.fairness_key,
            round: self.round,
            standing,
            version: self.version,
            run_at: self.run_at,
            queued_at: self.queued_at,
            dispatched_at: self.dispatched_at,
            profile: self.profile_id.map(ProfileId::from),
            proxy: self.proxy_id.map(ProxyId::from),
            attempt: self.attempt,
            counted: self.counted,
            lost: self.lost,
            worker: self.worker_id.map(WorkerId::from),
            attempt_proxy: self.attempt_proxy_id.map(ProxyId::from),
            attempt_at: self.attempt_at,
            started_at: self.started_at,
            progress: Progress { fraction: self.progress_fraction, message: self.progress_message },
            log_lines: self.log_lines,
            holds: parsed.holds(self.holds)?,
            woken_for: gates("called_for", &self.called_for)?,
        };
        Ok((live, terms))
    }
}
