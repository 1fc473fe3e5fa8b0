//! Forges outcomes and log lines for attempts that do not hold their jobs.
//!
//! A worker would send them that was cut off and does not know that it was declared lost. Both must
//! be refused.

use std::time::Duration;

use callboard::{
    clock::{self, IdSource},
    ids::{AttemptId, JobId},
    job::Outcome,
    steps::{
        finish::settle::{Settlement, settle},
        run::append_log::append_log,
    },
    store::{
        Planning, Store,
        jobs::logs::{Batch, LogStream, NewLine},
    },
};
use sqlx::Row as _;

/// Postgres may be down. Then nothing is forged.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Forger(Store);

impl Forger {
    pub(crate) fn new(postgres: &str) -> Self {
        Self(Store::open(&postgres.into(), 2, "callboard-chaos", Planning::Once).unwrap())
    }

    /// A random running job.
    async fn running(&self) -> Option<JobId> {
        let mut connection = self.0.connection().await.ok()?;
        let statement = "SELECT job_id FROM live_jobs WHERE state = 'running' ORDER BY random() LIMIT 1";
        let row = sqlx::query(statement).fetch_optional(&mut *connection).await.ok()??;
        Some(row.get::<sqlx::types::Uuid, _>(0).into())
    }

    /// Settles a running job as succeeded. Returns whether the step ran. The audit finds out
    /// whether the outcome was stored.
    pub(crate) async fn forge_settlement(&self) -> bool {
        let bring = async {
            let (job, attempt) = (self.running().await?, IdSource.make::<AttemptId>());
            let outcome = Outcome::Succeeded { result: "forged".into() };
            settle(&self.0, vec![Settlement::bare(job, attempt, outcome)]).await.ok()
        };
        matches!(tokio::time::timeout(PATIENCE, bring).await, Ok(Some(_)))
    }

    /// Appends a line to the log of a running job. Returns whether the step ran.
    pub(crate) async fn line(&self) -> bool {
        let bring = async {
            let (job, attempt) = (self.running().await?, IdSource.make::<AttemptId>());
            let line = NewLine { stream: LogStream::Stdout, text: "line 0 of none".into(), at: clock::now() };
            append_log(&self.0, &[Batch { job, attempt, number: 1, lines: vec![line] }]).await.ok()
        };
        matches!(tokio::time::timeout(PATIENCE, bring).await, Ok(Some(_)))
    }
}
