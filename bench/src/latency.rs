//! W4: the time from the mutation to the running job, one job at a time on an idle system.
//!
//! For the no-op, it is taken to the start of the settling, which is the database's time once the
//! job's row is locked. The handler has run before, so the true latency is a little shorter. A
//! program prints the time by its own clock. All clocks are this machine's.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use callboard::{
    clock::{self, Time},
    ids::{CommandId, JobId},
    settings::SharedSettings,
    store::jobs::{
        logs::{self, LineRange, LogStream},
        records,
    },
};
use chrono::DateTime;

use crate::{
    direct::Direct,
    enqueue::{body, job_ids},
    http::{Address, Caller},
    measurement::Measurement,
    sql,
};

/// How long the system rests before each commit and each request.
const REST: Duration = Duration::from_millis(15);

/// An idle system, and how many samples to take.
pub(crate) struct Idle<'a> {
    pub(crate) shared: &'a SharedSettings,
    pub(crate) bench: &'a Direct,
    pub(crate) address: &'a Address,
    pub(crate) queue: &'a str,
    pub(crate) samples: usize,
}

/// One sample.
struct Sample {
    sent: Time,
    answered: Time,
    job: JobId,
    commit: Duration,
}

impl Idle<'_> {
    /// Measures no-op jobs to the response and to the handler, and a single commit before each of
    /// them.
    pub(crate) async fn noop(&self, command: CommandId) -> anyhow::Result<Vec<Measurement>> {
        let samples = self.take(command).await?;
        let mut ran = Vec::with_capacity(self.samples);
        for sample in &samples {
            ran.push((finished_at(self.bench, sample.job).await? - sample.sent).to_std()?);
        }
        let answered = samples.iter().map(|sample| (sample.answered - sample.sent).to_std());
        Ok(vec![
            Measurement::times("w4_answer", answered.collect::<Result<_, _>>()?),
            Measurement::times("w4_noop", ran),
            Measurement::times("commit_1", samples.iter().map(|sample| sample.commit).collect()),
        ])
    }

    /// Measures programs that print the time, to their own start and to their settling.
    pub(crate) async fn program(&self, command: CommandId) -> anyhow::Result<Vec<Measurement>> {
        let samples = self.take(command).await?;
        let (mut started, mut ended) = (Vec::with_capacity(self.samples), Vec::with_capacity(self.samples));
        for sample in &samples {
            ended.push((finished_at(self.bench, sample.job).await? - sample.sent).to_std()?);
            let mut connection = self.bench.context.store.connection().await?;
            let lines = logs::range(&mut connection, LineRange::all(sample.job)).await?;
            let line = lines.iter().find(|line| line.stream == LogStream::Stdout);
            let nanoseconds: i64 = line.context("the program printed nothing")?.text.trim().parse()?;
            started.push((DateTime::from_timestamp_nanos(nanoseconds) - sample.sent).to_std()?);
        }
        Ok(vec![Measurement::times("w4_program", started), Measurement::times("w4_program_settled", ended)])
    }

    async fn take(&self, command: CommandId) -> anyhow::Result<Vec<Sample>> {
        let mut connection = sql::connect(self.shared).await?;
        sql::make_tables(&mut connection).await?;
        let mut caller = Caller::connect(self.address).await?;
        let body = body(command, self.queue, 1);
        let mut samples = Vec::with_capacity(self.samples);
        // The first samples find cold caches.
        for number in 0..self.samples + 5 {
            tokio::time::sleep(REST).await;
            let commit = sql::commit_one(&mut connection).await?;
            tokio::time::sleep(REST).await;
            let sent = clock::now();
            let answer = caller.post(&body).await?;
            let answered = clock::now();
            let job = job_ids(answer).next().with_context(|| format!("no job id in {answer}"))?.parse()?;
            if number >= 5 {
                samples.push(Sample { sent, answered, job, commit });
            }
        }
        while sql::is_live(&mut connection, self.queue).await? {
            tokio::time::sleep(REST).await;
        }
        Ok(samples)
    }
}

async fn finished_at(bench: &Direct, job: JobId) -> anyhow::Result<Time> {
    let mut connection = bench.context.store.connection().await?;
    let record = records::by_ids(&mut connection, &[job]).await?.pop().context("the job does not exist")?;
    ensure!(record.failure.is_none(), "the job failed: {:?}", record.failure);
    record.finished_at.context("the job has not finished")
}
