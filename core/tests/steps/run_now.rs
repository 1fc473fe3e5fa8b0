//! Run now: a job that waits for a time becomes ready before it, once, whoever else looks at it.

use std::{sync::Arc, time::Duration};

use callboard::{
    audit::{Actor, By},
    clock::{self, IdSource},
    ids::JobId,
    job::{EventKind, JobRequest, JobState},
    refusal::RefusalCode,
    steps::{
        After, Done, StepError,
        enqueue::submit::submit,
        finish::cancel::cancel,
        hand_out::{
            dispatch::{MARK_AGE, compare},
            promote::promote,
            run_now::run_now,
        },
        run::claim::Decision,
    },
    store::{
        audit::{self, Filter, PageRequest},
        jobs::{
            events::{self, EventRecord},
            records::{self, JobRecord},
        },
    },
};

use crate::fixture::{Fixture, failed, limits, succeeded};

fn olga() -> By {
    let actor = Actor { name: "olga".into(), ..Actor::default() };
    By { actor: Arc::new(actor), mutation: Some("jobRunNow") }
}

async fn enqueued(fixture: &Fixture, request: JobRequest) -> JobId {
    let Done { value, .. } = submit(&fixture.context, &[vec![request]], false).await;
    value.into_iter().next().unwrap().unwrap()[0].job
}

/// A job that starts in an hour.
async fn in_an_hour(fixture: &Fixture) -> JobId {
    let run_at = Some(clock::now() + Duration::from_hours(1));
    enqueued(fixture, JobRequest { run_at, ..JobRequest::new(fixture.command) }).await
}

async fn record(fixture: &Fixture, job: JobId) -> JobRecord {
    records::by_ids(&mut fixture.store.connection().await.unwrap(), &[job]).await.unwrap().remove(0)
}

async fn history(fixture: &Fixture, job: JobId) -> Vec<EventRecord> {
    let mut connection = fixture.store.connection().await.unwrap();
    let events = events::after(&mut connection, &[(job, 0)], 100).await.unwrap();
    events.into_iter().flat_map(|(_, events)| events).collect()
}

async fn refusal(fixture: &Fixture, job: JobId) -> (RefusalCode, String) {
    let mut refusals = match run_now(&fixture.store, job, &olga()).await {
        Err(StepError::Refused(refusals)) => refusals,
        done => {
            let _after = done.unwrap();
            Vec::new()
        }
    };
    let refusal = refusals.remove(0);
    assert_eq!((refusal.path, refusals.len()), (vec!["id".to_owned()], 0));
    assert!(refusal.message.contains(&job.to_string()), "{}", refusal.message);
    (refusal.code, refusal.message)
}

async fn ready(fixture: &Fixture) -> usize {
    fixture.redis.ready_counts("default").await.unwrap().iter().sum()
}

#[tokio::test]
async fn a_scheduled_job_is_handed_out_at_once() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let job = in_an_hour(&fixture).await;
    let after = run_now(&fixture.store, job, &olga()).await.unwrap();
    assert_eq!((after.changed.clone(), after.ready.len()), (vec![job], 1));
    assert!(after.ready[0].round > 0, "it has taken a round of its lane: {after:?}");
    after.announce(&fixture.redis).await;
    assert_eq!(ready(&fixture).await, 1);

    let read = record(&fixture, job).await;
    assert_eq!((read.state, read.version), (JobState::Queued, 2));
    assert!(read.run_at <= clock::now() && read.queued_at.is_some(), "{read:?}");
    let event = history(&fixture, job).await.remove(1);
    assert_eq!((event.kind, event.actor.as_deref()), (EventKind::Queued, Some("olga")));
    assert!(event.message.starts_with("Run now, before its time "), "{}", event.message);
    let filter = Filter { action: Some("jobRunNow".into()), ..Filter::default() };
    let request = PageRequest { filter, rows: 10, ..PageRequest::default() };
    let entries = audit::page(&mut fixture.store.connection().await.unwrap(), &request).await.unwrap();
    assert_eq!((entries.len(), entries[0].object_ids.clone()), (1, vec![job.to_string()]));

    let Done { after, .. } = promote(&fixture.store).await.unwrap();
    assert!(after.changed.is_empty(), "there is nothing left to promote");
    fixture.start(worker, job).await;
}

#[tokio::test]
async fn the_backoff_of_a_retry_is_skipped_and_its_attempts_still_count() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let job = fixture.job().await;
    let attempt = fixture.start(worker, job).await;
    fixture.settle(job, attempt, failed()).await;
    fixture.sql("UPDATE live_jobs SET run_at = run_at + interval '1 hour'").await;
    let after = run_now(&fixture.store, job, &olga()).await.unwrap();
    assert_eq!((after.changed.clone(), after.ready.len()), (vec![job], 1));
    let read = record(&fixture, job).await;
    assert_eq!((read.state, read.is_retry, read.counted), (JobState::Queued, false, 1));
    let attempt = fixture.start(worker, job).await;
    assert_eq!(record(&fixture, job).await.attempt, 2);
    fixture.settle(job, attempt, succeeded("done")).await;
}

#[tokio::test]
async fn a_mark_that_was_not_pushed_is_found_by_dispatch() {
    let fixture = Fixture::new().await;
    let job = in_an_hour(&fixture).await;
    // The process dies right after the commit.
    let _lost = run_now(&fixture.store, job, &olga()).await.unwrap();
    assert_eq!(ready(&fixture).await, 0);
    fixture.sql("UPDATE live_jobs SET dispatched_at = dispatched_at - interval '1 minute'").await;
    assert_eq!(compare(&fixture.store, &fixture.redis, MARK_AGE).await.unwrap(), 1);
    assert_eq!(ready(&fixture).await, 1);
}

#[tokio::test]
async fn what_waits_for_no_time_is_refused_with_what_it_does_instead() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (needed, limited) = (fixture.job().await, fixture.limited_command(limits(Some(1), &[])).await);
    let blocked = JobRequest { depends_on: vec![needed], ..JobRequest::new(fixture.command) };
    let blocked = enqueued(&fixture, blocked).await;
    let (first, parked) = (
        enqueued(&fixture, JobRequest::new(limited)).await,
        enqueued(&fixture, JobRequest::new(limited)).await,
    );
    fixture.start(worker, first).await;
    let decision = fixture.claim(worker, parked, IdSource.make()).await;
    assert!(matches!(decision, Decision::Parked { .. }), "{decision:?}");
    let ended = in_an_hour(&fixture).await;
    let _after = cancel(&fixture.store, ended, None, &By::worker()).await.unwrap();
    for (job, said) in [
        (blocked, "BLOCKED until the jobs that it depends on have succeeded"),
        (needed, "QUEUED, and starts as soon as nothing blocks it"),
        (parked, "QUEUED, and starts as soon as nothing blocks it"),
        (first, "RUNNING"),
        (ended, "has already finished. Run it again with jobRetry"),
    ] {
        let before = history(&fixture, job).await.len();
        let (code, message) = refusal(&fixture, job).await;
        assert_eq!(code, RefusalCode::NotAllowedInState);
        assert!(message.contains(said), "{message}");
        assert_eq!(history(&fixture, job).await.len(), before, "nothing was written");
    }
    assert_eq!(refusal(&fixture, IdSource.make()).await.0, RefusalCode::NotFound);
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM audit_events WHERE action = 'jobRunNow'").await, 0);
}

/// How often each race is run.
const RACES: usize = 40;

#[tokio::test]
async fn of_two_requests_and_the_duty_that_promotes_one_makes_it_ready() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let by = olga();
    for race in 0..RACES {
        let job = in_an_hour(&fixture).await;
        if race % 2 == 1 {
            fixture.sql("UPDATE live_jobs SET run_at = clock_timestamp() WHERE state = 'scheduled'").await;
        }
        let (one, other, promoted) = tokio::join!(
            run_now(&fixture.store, job, &by),
            run_now(&fixture.store, job, &by),
            promote(&fixture.store)
        );
        let made_ready = |result: &Result<After, StepError>| usize::from(result.is_ok());
        let promoted = promoted.unwrap().after.changed.len();
        assert_eq!(made_ready(&one) + made_ready(&other) + promoted, 1, "{one:?} {other:?} {promoted}");
        assert_eq!(history(&fixture, job).await.len(), 2, "one event in race {race}");
        let attempt = fixture.start(worker, job).await;
        fixture.settle(job, attempt, succeeded("done")).await;
    }
}

#[tokio::test]
async fn a_claim_meanwhile_takes_the_job_once_or_not_at_all() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let by = olga();
    for race in 0..RACES {
        let job = in_an_hour(&fixture).await;
        let attempt = IdSource.make();
        let (run, decision) =
            tokio::join!(run_now(&fixture.store, job, &by), fixture.claim(worker, job, attempt));
        let after = run.unwrap();
        assert_eq!(after.ready.len(), 1);
        // If the claim came first, the reference is still to be claimed.
        let attempt = if decision == Decision::Gone { fixture.start(worker, job).await } else { attempt };
        let again = fixture.claim(worker, job, IdSource.make()).await;
        assert!(matches!(again, Decision::Gone), "{again:?} in race {race}");
        assert_eq!(record(&fixture, job).await.attempt, 1);
        fixture.settle(job, attempt, succeeded("done")).await;
    }
}
