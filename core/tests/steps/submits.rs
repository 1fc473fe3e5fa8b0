//! Submitting: concurrent callers, and repeats.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use callboard::{
    catalogue::{CommandChanges, CommandUpdate},
    clock::{self, IdSource, Time},
    evaluator::{Evaluator, Unavailable},
    job::JobRequest,
    patch::{Patch, PolicyPatch},
    recipes::Recipes,
    secret::Keyring,
    steps::{
        StepError,
        enqueue::{
            context::SubmitContext,
            submit::{prepare_alone, submit, submit_light, write_alone},
        },
    },
};
use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Whether the request is the repeat of an earlier one, or a conflict with it.
async fn is_repeat(context: &SubmitContext, request: &JobRequest) -> bool {
    let result = submit(context, &[vec![request.clone()]], false).await.value.remove(0);
    result.is_ok_and(|accepted| accepted[0].was_duplicate)
}

#[tokio::test]
async fn what_is_not_evaluated_is_not_refused_and_fails_no_neighbour() {
    let fixture = Fixture::new().await;
    let heavy =
        fixture.command_of("heavy", json!({}), vec!["{% for a in [1] %}{{ a }}{% endfor %}".into()]).await;
    let context = fixture.evaluating_with(Evaluator::of_program("/bin/false".into()));
    let submissions = [fixture.command, heavy, fixture.command].map(|command| vec![JobRequest::new(command)]);
    let results = submit(&context, &submissions, false).await.value;
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let Err(StepError::Evaluator(Unavailable::Failed(why))) = &results[1] else { panic!("{results:?}") };
    assert!(why.contains("did not start"), "{why}");
    let group = submit_light(&context, &submissions, false, &|_| true).await.value;
    assert!(matches!(group[1], Err(StepError::Evaluator(Unavailable::NotLight))), "{group:?}");
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM jobs").await, 4);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_written() {
    let fixture = Fixture::new().await;
    let count = async || fixture.value::<i64>("SELECT count(*) FROM jobs").await;
    for is_keyed in [false, true] {
        // The caller in the middle is gone at the first look, at a later one, or never.
        for (stays, is_written) in [(0, Some(false)), (1, Some(false)), (2, None), (9, Some(true))] {
            let submissions = [0, 1, 2].map(|number| {
                let key = is_keyed.then(|| format!("{stays} {number}"));
                vec![JobRequest { idempotency_key: key, ..JobRequest::new(fixture.command) }]
            });
            let (before, looks) = (count().await, AtomicUsize::new(0));
            let is_awaited = |place| place != 1 || looks.fetch_add(1, Ordering::SeqCst) < stays;
            let results = submit_light(&fixture.context, &submissions, false, &is_awaited).await.value;
            assert!(results[0].is_ok() && results[2].is_ok(), "{is_keyed} {stays} {results:?}");
            assert_eq!(count().await - before, 2 + i64::from(results[1].is_ok()), "{is_keyed} {stays}");
            assert!(is_written.is_none_or(|is_written| is_written == results[1].is_ok()), "{stays}");
        }
    }
    let before = count().await;
    let prepared = prepare_alone(&fixture.context, &[JobRequest::new(fixture.command)], false).await.unwrap();
    assert!(write_alone(&fixture.context, &prepared, &|_| false).await.value[0].is_err());
    assert_eq!(count().await, before);
}

#[tokio::test]
async fn a_repeat_that_is_not_light_returns_its_job() {
    let fixture = Fixture::new().await;
    let heavy =
        fixture.command_of("heavy", json!({}), vec!["{% for a in [1] %}{{ a }}{% endfor %}".into()]).await;
    let request = JobRequest { idempotency_key: Some("key".into()), ..JobRequest::new(heavy) };
    assert!(!is_repeat(&fixture.context, &request).await);
    assert!(is_repeat(&fixture.context, &request).await);
    assert!(!is_repeat(&fixture.context, &JobRequest { priority: Some(1), ..request }).await);
}

/// A program that takes an order and never answers, and the file that it makes when it starts.
fn silent_child(directory: &std::path::Path) -> (Evaluator, std::path::PathBuf) {
    let started = directory.join("started");
    let text = format!("#!/bin/sh\nprintf '\\004'\n: >{}\nexec sleep 600\n", started.display());
    (Evaluator::of_program(callboard_test_support::script(directory, &text)), started)
}

#[tokio::test]
async fn a_job_that_is_being_evaluated_holds_no_connection() {
    let fixture = Fixture::with_connections(1).await;
    let heavy =
        fixture.command_of("heavy", json!({}), vec!["{% for a in [1] %}{{ a }}{% endfor %}".into()]).await;
    let directory = tempfile::tempdir().unwrap();
    let (evaluator, started) = silent_child(directory.path());
    let context = fixture.evaluating_with(evaluator);
    let heavy = [vec![JobRequest::new(heavy)]];
    let heavy = std::pin::pin!(submit(&context, &heavy, false));
    let others = std::pin::pin!(async {
        eventually(Duration::from_secs(8), || std::future::ready(started.exists())).await;
        fixture.job().await
    });
    let first = futures::future::select(heavy, others).await;
    assert!(matches!(first, futures::future::Either::Right(_)), "the heavy job ended first");
}

#[tokio::test]
async fn a_job_counts_its_times_from_when_it_is_written() {
    let fixture = Fixture::new().await;
    let (needed, now) = (fixture.job().await, clock::now());
    let policy =
        PolicyPatch { expires_after: Patch::Set("PT0.001S".parse().unwrap()), ..PolicyPatch::default() };
    let plain = JobRequest { policy: Some(policy), ..JobRequest::new(fixture.command) };
    let with = |change: &dyn Fn(&mut JobRequest)| {
        let mut request = plain.clone();
        change(&mut request);
        request
    };
    let requests = [
        with(&|_| ()),
        with(&|request| request.idempotency_key = Some("key".into())),
        with(&|request| request.depends_on = vec![needed]),
        with(&|request| request.run_at = Some(now + Duration::from_hours(1))),
    ];
    let mut prepared = Vec::new();
    for request in &requests {
        prepared.push(prepare_alone(&fixture.context, std::slice::from_ref(request), true).await.unwrap());
    }
    let prepared_until: Time = fixture.value("SELECT clock_timestamp()").await;
    for (prepared, request) in prepared.iter().zip(&requests) {
        let job = write_alone(&fixture.context, prepared, &|_| true).await.value.remove(0).unwrap()[0].job;
        let times = sqlx::query_as::<_, (Time, Time, Time, Option<Time>, Time)>(
            "SELECT jobs.created_at, jobs.run_at, live.run_at, live.expires_at, job_events.at FROM jobs
             JOIN live_jobs AS live ON job_id = id JOIN job_events USING (job_id) WHERE id = $1",
        );
        let mut transaction = fixture.store.begin().await.unwrap();
        let times = times.bind(job.uuid()).fetch_one(&mut *transaction).await.unwrap();
        let (created_at, run_at, live_run_at, expires_at, event_at) = times;
        assert!(created_at >= prepared_until, "{created_at} {prepared_until} {request:?}");
        assert_eq!(expires_at, Some(created_at + Duration::from_millis(1)), "{request:?}");
        assert_eq!((run_at, event_at), (live_run_at, created_at), "{request:?}");
        let given = request.run_at.map(|at| at.timestamp_micros());
        assert_eq!(run_at.timestamp_micros(), given.unwrap_or(created_at.timestamp_micros()), "{request:?}");
    }
}

#[tokio::test]
async fn a_request_is_repeated_however_it_is_spelled() {
    let fixture = Fixture::new().await;
    let with = |input: Option<Value>| JobRequest {
        input,
        idempotency_key: Some("key".into()),
        ..JobRequest::new(fixture.command)
    };
    assert!(!is_repeat(&fixture.context, &with(None)).await);
    let policy = PolicyPatch { max_attempts: Patch::Set(3), ..PolicyPatch::default() };
    for repeat in [
        with(None),
        with(Some(json!({}))),
        with(Some(Value::Null)),
        JobRequest { priority: Some(4), ..with(None) },
        JobRequest { queue: Some("default".into()), ..with(None) },
        JobRequest { policy: Some(policy), ..with(None) },
        JobRequest { policy: Some(PolicyPatch::default()), ..with(None) },
    ] {
        assert!(is_repeat(&fixture.context, &repeat).await, "{repeat:?}");
    }
    assert!(!is_repeat(&fixture.context, &with(Some(json!({ "n": 1 })))).await);

    // Under another master key.
    let keyring = Keyring::parse(&"qrvM3e7/ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJk=".into()).unwrap();
    let store = fixture.store.clone();
    let rotated = SubmitContext {
        store,
        keyring,
        recipes: Recipes::default(),
        evaluator: Evaluator::unbounded(),
        ids: IdSource,
    };
    assert!(is_repeat(&rotated, &with(None)).await);

    // After the command was saved with other defaults.
    let changes = CommandChanges { queue: Patch::Set("elsewhere".into()), ..CommandChanges::default() };
    let update = CommandUpdate { id: fixture.command, version: None, changes };
    fixture.catalogue.command_update(update).await.unwrap();
    assert!(is_repeat(&fixture.context, &with(None)).await);
}

#[tokio::test]
async fn secrets_and_defaults_of_the_schema_are_no_difference() {
    let fixture = Fixture::new().await;
    let schema = json!({
        "properties": {
            "pin": { "type": "string", "writeOnly": true },
            "count": { "type": "number", "default": 1 },
        },
    });
    let changes = CommandChanges { input_schema: Patch::Set(schema), ..CommandChanges::default() };
    let update = CommandUpdate { id: fixture.command, version: None, changes };
    fixture.catalogue.command_update(update).await.unwrap();
    let with = |input: Value| JobRequest {
        input: Some(input),
        idempotency_key: Some("key".into()),
        ..JobRequest::new(fixture.command)
    };
    assert!(!is_repeat(&fixture.context, &with(json!({ "pin": "1234" }))).await);
    for repeat in [
        json!({ "pin": "1234" }),
        json!({ "pin": "0000" }),
        json!({ "pin": "1234", "count": 1 }),
        json!({ "pin": "1234", "count": 1.0 }),
    ] {
        assert!(is_repeat(&fixture.context, &with(repeat.clone())).await, "{repeat}");
    }
    for other in [json!({}), json!({ "pin": "1234", "count": 2 })] {
        assert!(!is_repeat(&fixture.context, &with(other.clone())).await, "{other}");
    }
}

#[tokio::test]
async fn concurrent_submits_of_the_same_keys_do_not_deadlock() {
    const JOBS: usize = 400;
    let fixture = Fixture::new().await;
    for round in 0..5 {
        let requests = |numbers: Vec<usize>| -> Vec<JobRequest> {
            let request = |number| JobRequest {
                idempotency_key: Some(format!("{round} {number}")),
                ..JobRequest::new(fixture.command)
            };
            numbers.into_iter().map(request).collect()
        };
        let forward = [requests((0..JOBS).collect())];
        let backward = [requests((0..JOBS).rev().collect())];
        let (one, other) = tokio::join!(
            submit(&fixture.context, &forward, false),
            submit(&fixture.context, &backward, false)
        );
        let (one, other) = (one.value[0].as_ref().unwrap(), other.value[0].as_ref().unwrap());
        assert!(one.iter().zip(other.iter().rev()).all(|(one, other)| one.job == other.job));
        assert_eq!(one.iter().chain(other).filter(|accepted| accepted.was_duplicate).count(), JOBS);
    }
}
