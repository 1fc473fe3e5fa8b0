//! Queue limit: sets how many jobs of a queue may run at once.
//!
//! One transaction. A limit below the number of running jobs is refused. The change makes the
//! queue's gate due at once, so the wake duty goes on if the process dies right after.

use serde_json::json;

use crate::{
    audit::{By, Change, Object},
    clock::IdSource,
    limit::{GateKey, Limits, noun},
    patch::limit_refusals,
    refusal::Refusal,
    steps::{After, StepError, hand_out::pause::no_queue},
    store::{Connection, Store, StoreError, audit, commit, limits::gates, queues::counters},
};

/// Sets the limit of a queue, or removes it.
pub async fn set_queue_limit(
    store: &Store,
    queue: &str,
    max_concurrency: Option<u32>,
    by: &By,
) -> Result<After, StepError> {
    let limits = Limits { max_concurrency, ..Limits::default() };
    let refusals = limit_refusals(&limits);
    if !refusals.is_empty() {
        return Err(StepError::Refused(refusals));
    }
    let key = GateKey::Queue(queue.to_owned());
    let mut transaction = store.begin().await?;
    if max_concurrency.is_some() {
        // Jobs that started while there was no limit count as holding slots from now on.
        counters::hold_running(&mut transaction, queue, &key.to_string()).await?;
    }
    let _locked = gates::lock(&mut transaction, std::slice::from_ref(&key)).await?;
    let Some(before) = counters::max_concurrency(&mut transaction, queue).await? else {
        return Err(no_queue().into());
    };
    counters::set_max_concurrency(&mut transaction, queue, max_concurrency).await?;
    let refusal = below_what_runs(&mut transaction, &key, before, max_concurrency).await?;
    if let Some(refusal) = refusal {
        return Err(refusal.into());
    }
    gates::relimit(&mut transaction, &key, &limits).await?;
    let field = |limit: Option<u32>| json!({ "maxConcurrency": limit });
    let change = Change::between(Some(&field(before)), Some(&field(max_concurrency)));
    let object = Object::new("queue", &queue, Some(queue));
    let entry = by.entry(IdSource).map(|entry| entry.on(object).changing(change));
    audit::insert(&mut transaction, entry.as_slice()).await?;
    commit(transaction).await?;
    Ok(After { has_timed: true, ..After::default() })
}

/// Refuses a `maxConcurrency` below the number of jobs that hold the gate. A job that starts at
/// this very moment is not counted. The limit applies to the jobs after it.
pub(crate) async fn below_what_runs(
    connection: &mut Connection,
    key: &GateKey,
    before: Option<u32>,
    after: Option<u32>,
) -> Result<Option<Refusal>, StoreError> {
    let Some(most) = after.filter(|most| before.is_none_or(|before| *most < before)) else { return Ok(None) };
    let counts = gates::counts(connection, &[key]).await?;
    let running = counts.get(key).copied().unwrap_or_default();
    let message = format!(
        "{running} jobs of the {} are running. Set it to {running} or more, or lower it once fewer run.",
        noun(key)
    );
    Ok((most < running).then(|| Refusal::invalid("maxConcurrency", message)))
}
