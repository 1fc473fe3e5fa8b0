//! W1 and W2: enqueuing through GraphQL over HTTP, by callers that each wait for their response.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use callboard::ids::CommandId;
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    http::{Address, Caller},
    measurement::Measurement,
};

/// Text in the input of every job, in bytes.
pub(crate) const PAYLOAD_BYTES: usize = 1000;

/// What to enqueue.
#[derive(Debug, Clone, Args)]
pub(crate) struct Plan {
    /// Total number of jobs
    #[arg(long)]
    pub(crate) jobs: usize,
    /// Jobs per request; 1 uses jobEnqueue, more use jobsEnqueue
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,
    /// Callers, each with its own connection
    #[arg(long, default_value_t = 50)]
    pub(crate) callers: usize,
    /// Queues that receive the requests in turn
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) queues: Vec<String>,
    /// Name of the measurement
    #[arg(long, default_value = "enqueue")]
    pub(crate) name: String,
}

/// Returns the body of a request that enqueues `batch` jobs.
pub(crate) fn body(command: CommandId, queue: &str, batch: usize) -> String {
    let job = json!({
        "commandId": command.to_string(), "queue": queue, "input": { "text": "x".repeat(PAYLOAD_BYTES) },
    });
    let (query, input): (&str, Value) = if batch == 1 {
        (
            "mutation ($input: JobEnqueueInput!) { jobEnqueue(input: $input) { job { id } userErrors { message } } }",
            job,
        )
    } else {
        (
            "mutation ($input: JobsEnqueueInput!) { jobsEnqueue(input: $input) { jobs { id } userErrors { message } } }",
            json!({ "jobs": vec![job; batch] }),
        )
    };
    json!({ "query": query, "variables": { "input": input } }).to_string()
}

/// Returns the ids of the jobs in a response.
pub(crate) fn job_ids(answer: &str) -> impl Iterator<Item = &str> {
    answer.match_indices("\"job_").map(|(at, _)| {
        let rest = &answer[at + 1..];
        &rest[..rest.find('"').unwrap_or(rest.len())]
    })
}

/// Enqueues jobs and returns the rate in jobs per second and the times of the requests.
pub(crate) async fn enqueue(
    address: &Address,
    command: CommandId,
    plan: &Plan,
) -> anyhow::Result<Measurement> {
    let bodies: Arc<Vec<String>> =
        Arc::new(plan.queues.iter().map(|queue| body(command, queue, plan.batch)).collect());
    let mut callers = Vec::with_capacity(plan.callers);
    for _ in 0..plan.callers {
        callers.push(Caller::connect(address).await?);
    }
    let requests = plan.jobs.div_ceil(plan.batch);
    let next = Arc::new(AtomicUsize::new(0));
    let since = Instant::now();
    let mut running = JoinSet::new();
    for caller in callers {
        running.spawn(call(caller, bodies.clone(), next.clone(), requests, plan.batch));
    }
    let mut times = Vec::with_capacity(requests);
    while let Some(ended) = running.join_next().await {
        times.extend(ended??);
    }
    let took = since.elapsed();
    Ok(Measurement::rate(&plan.name, requests * plan.batch, took).with_times(times))
}

/// Runs one caller until all requests have been taken, and returns the times of its requests.
async fn call(
    mut caller: Caller,
    bodies: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
    requests: usize,
    batch: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(requests);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return Ok(times);
        }
        let since = Instant::now();
        let answer = caller.post(&bodies[number % bodies.len()]).await?;
        times.push(since.elapsed());
        ensure!(job_ids(answer).count() == batch, "the jobs were not enqueued: {answer}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_answers() {
        let answer = r#"{"data":{"jobsEnqueue":{"jobs":[{"id":"job_a"},{"id":"job_b"}],"userErrors":[]}}}"#;
        assert_eq!(job_ids(answer).collect::<Vec<_>>(), ["job_a", "job_b"]);
        assert_eq!(job_ids("{}").count(), 0);
    }
}
