//! Draining a backlog of no-op jobs: claim and settle, with all history kept.

use std::time::{Duration, Instant};

use callboard::{
    command::NOOP,
    ids::JobId,
    job::JobState,
    store::{attempts, logs, records},
};

use crate::direct::Direct;

/// Enqueues a backlog and waits until it has ended. The rate counts from the first start to the last end, both by the
/// database's clock.
#[expect(clippy::print_stdout, reason = "a bench prints")]
pub(crate) async fn drain(bench: &Direct, count: usize) -> anyhow::Result<()> {
    let command = bench.command(NOOP, &[]).await?;
    let since = Instant::now();
    let jobs = bench.submit(command, count).await?;
    println!(
        "submitted {count} in {:.2} s: {:.0} jobs/s",
        since.elapsed().as_secs_f64(),
        count as f64 / since.elapsed().as_secs_f64()
    );
    let ended = wait_for_end(bench, &jobs).await?;
    let first = ended.iter().filter_map(|job| job.started_at).min();
    let last = ended.iter().filter_map(|job| job.finished_at).max();
    if let Some((first, last)) = first.zip(last) {
        let seconds = (last - first).as_seconds_f64();
        println!("drained {count} in {seconds:.2} s: {:.0} jobs/s", count as f64 / seconds);
    }
    let failed = ended.iter().filter(|job| job.state != JobState::Succeeded).count();
    println!("not succeeded: {failed}");
    Ok(())
}

async fn wait_for_end(bench: &Direct, jobs: &[JobId]) -> anyhow::Result<Vec<records::JobRecord>> {
    loop {
        let mut connection = bench.desk.store.read().await?;
        let tail = &jobs[jobs.len().saturating_sub(500)..];
        let all_of = |records: &[records::JobRecord]| records.iter().all(|record| record.state.has_ended());
        if all_of(&records::by_ids(&mut connection, tail).await?) {
            let all = records::by_ids(&mut connection, jobs).await?;
            if all_of(&all) {
                return Ok(all);
            }
        }
        drop(connection);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs one program and prints its attempt and log.
#[expect(clippy::print_stdout, reason = "a bench prints")]
pub(crate) async fn program(bench: &Direct, words: Vec<String>) -> anyhow::Result<()> {
    let command = bench.command(&words[0], &words[1..]).await?;
    let jobs = bench.submit(command, 1).await?;
    let ended = wait_for_end(bench, &jobs).await?;
    println!("{ended:#?}");
    let mut connection = bench.desk.store.read().await?;
    println!("{:#?}", attempts::of_job(&mut connection, jobs[0], 0..=i32::MAX, false, 10).await?);
    for line in logs::range(&mut connection, jobs[0], 1, i64::MAX).await? {
        println!("{:>5} {:?} {}", line.sequence, line.stream, line.text);
    }
    Ok(())
}
