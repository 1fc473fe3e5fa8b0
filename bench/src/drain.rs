//! W3 and W6: how fast running workers finish a backlog that was enqueued before they started.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use callboard::{
    settings::SharedSettings,
    store::jobs::{
        attempts::{self, AttemptsPage},
        logs::{self, LineRange},
    },
};

use crate::{direct::Direct, measurement::Measurement, sql};

/// How often the bench checks for unfinished jobs.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until a queue's backlog is finished. The rate counts from the first start to the last end,
/// both by the database's clock.
pub(crate) async fn drain(shared: &SharedSettings, name: &str, queue: &str) -> anyhow::Result<Measurement> {
    let mut connection = sql::connect(shared).await?;
    let newest = sql::newest_jobs(&mut connection, queue).await?;
    loop {
        // Cheap while the newest jobs are unfinished, and they finish last.
        if !sql::any_is_live(&mut connection, &newest).await? && !sql::is_live(&mut connection, queue).await?
        {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let ended = sql::ended(&mut connection, queue).await?;
    ensure!(ended.unsuccessful == 0, "{} jobs did not succeed", ended.unsuccessful);
    let (first, last) = ended.first.zip(ended.last).context("no job was drained")?;
    Ok(Measurement::rate(name, usize::try_from(ended.count)?, (last - first).to_std()?))
}

/// Runs one program and prints its attempt and log.
#[expect(clippy::print_stdout, reason = "a bench prints")]
pub(crate) async fn program(
    shared: &SharedSettings,
    bench: &Direct,
    queue: &str,
    words: &[String],
) -> anyhow::Result<()> {
    let command = bench.command(&words[0], &words[1..]).await?;
    let jobs = bench.submit(command, queue, 1).await?;
    drain(shared, "program", queue).await?.print()?;
    let mut connection = bench.context.store.connection().await?;
    let page = AttemptsPage { job: jobs[0], after: 0, before: i32::MAX, is_from_end: false, rows: 10 };
    let found: Vec<_> =
        attempts::pages(&mut connection, &[page]).await?.into_iter().map(|(.., id)| id).collect();
    println!("{:#?}", attempts::by_ids(&mut connection, &found).await?);
    for line in logs::range(&mut connection, LineRange::all(jobs[0])).await? {
        println!("{:>5} {:?} {}", line.sequence, line.stream, line.text);
    }
    Ok(())
}
