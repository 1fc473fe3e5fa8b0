//! Enqueue again: what a new job takes over from an old one, and who may take over its secrets.

use std::{sync::Arc, time::Duration};

use callboard::{
    audit::{Actor, By},
    catalogue::ScheduleCreate,
    clock::{self, IdSource},
    duration::IsoDuration,
    ids::{CommandId, JobId},
    job::{JobRequest, JobState},
    patch::{Patch, PolicyPatch},
    refusal::{Refusal, RefusalCode},
    schedule::Overlap,
    secret::Owner,
    steps::{
        Done, StepError,
        enqueue::{
            again::{Changes, again, refused},
            submit::submit,
        },
        finish::cancel::cancel,
    },
    store::jobs::{
        inputs,
        records::{self, JobRecord},
    },
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, failed},
    schedules::{hourly, template},
};

fn caller(name: &str, is_bound: bool) -> By {
    let actor = Actor { name: name.into(), is_bound, ..Actor::default() };
    By { actor: Arc::new(actor), mutation: Some("jobEnqueueAgain") }
}

async fn enqueued(fixture: &Fixture, request: JobRequest) -> JobId {
    let Done { value, .. } = submit(&fixture.context, &[vec![request]], false).await;
    value.into_iter().next().unwrap().unwrap()[0].job
}

/// Enqueues again, as the API does.
async fn repeat(fixture: &Fixture, job: JobId, changes: Changes, by: &By) -> Result<JobId, Vec<Refusal>> {
    let request = match again(&fixture.context, job, changes, by).await {
        Err(StepError::Refused(refusals)) => return Err(refusals),
        made => made.unwrap(),
    };
    let Done { mut value, .. } = submit(&fixture.context, &[vec![request]], false).await;
    match value.remove(0) {
        Err(StepError::Refused(refusals)) => Err(refused(job, refusals)),
        accepted => Ok(accepted.unwrap()[0].job),
    }
}

async fn record(fixture: &Fixture, job: JobId) -> JobRecord {
    records::by_ids(&mut fixture.store.connection().await.unwrap(), &[job]).await.unwrap().remove(0)
}

/// The stored input, and its secrets as they were given.
async fn input(fixture: &Fixture, job: JobId) -> (Value, Value) {
    let found = inputs::load(&mut fixture.store.connection().await.unwrap(), &[job]).await.unwrap().remove(0);
    let secrets = found.input_sealed.map(|sealed| {
        let opened = fixture.context.keyring.open(Owner::JobInput(job), &sealed).unwrap();
        serde_json::from_str(opened.expose_secret()).unwrap()
    });
    (found.input, secrets.unwrap_or_default())
}

async fn secret_command(fixture: &Fixture) -> CommandId {
    let secret = json!({ "type": "string", "writeOnly": true });
    fixture.command_with("with-secrets", json!({ "properties": { "pin": secret, "word": secret } })).await
}

/// What a job asks for, beside its input.
fn asked(job: &JobRecord) -> impl PartialEq + std::fmt::Debug + use<> {
    let of = (job.command_id, job.profile_id, job.proxy_id, job.service_ids.clone());
    (of, job.queue.clone(), job.priority, job.labels.clone(), job.policy.clone(), job.fairness_key.clone())
}

#[tokio::test]
async fn a_job_is_copied_as_it_is_and_each_change_changes_one_thing() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (profile, needed) = (fixture.profile().await, fixture.job().await);
    let timeout = Patch::Set(IsoDuration::from_secs(9));
    let request = JobRequest {
        profile: Some(profile),
        services: Some(Vec::new()),
        input: Some(json!({ "n": 1 })),
        queue: Some("own".into()),
        priority: Some(7),
        policy: Some(PolicyPatch { timeout, max_attempts: Patch::Set(2), ..PolicyPatch::default() }),
        labels: vec!["a".into(), "b".into()],
        fairness_key: Some("f".into()),
        idempotency_key: Some("i".into()),
        depends_on: vec![needed],
        ..JobRequest::new(fixture.command)
    };
    let job = enqueued(&fixture, request).await;
    let by = caller("olga", true);
    let copy = repeat(&fixture, job, Changes::default(), &by).await.unwrap();
    let (old, new) = (record(&fixture, job).await, record(&fixture, copy).await);
    assert_eq!(asked(&new), asked(&old));
    assert_eq!(input(&fixture, copy).await, (json!({ "n": 1 }), Value::Null));
    assert_eq!((old.state, new.state), (JobState::Blocked, JobState::Queued), "it depends on nothing");
    assert_eq!((new.idempotency_key, new.created_by.as_deref()), (None, Some("olga")));

    let cleared = Changes {
        input: Patch::Clear,
        profile: Patch::Clear,
        proxy: Patch::Clear,
        services: Patch::Clear,
        queue: Patch::Clear,
        priority: Patch::Clear,
        run_at: Patch::Clear,
        policy: Patch::Clear,
        labels: Patch::Clear,
        fairness_key: Patch::Clear,
        idempotency_key: Some("j".into()),
    };
    let bare = repeat(&fixture, job, cleared.clone(), &by).await.unwrap();
    let plain = enqueued(&fixture, JobRequest::new(fixture.command)).await;
    let new = record(&fixture, bare).await;
    assert_eq!(asked(&new), asked(&record(&fixture, plain).await));
    assert_eq!((input(&fixture, bare).await.0, new.idempotency_key.as_deref()), (json!({}), Some("j")));
    assert_eq!(repeat(&fixture, job, cleared, &by).await.unwrap(), bare, "the key recognises the repeat");

    let changes = Changes {
        priority: Patch::Set(9),
        labels: Patch::Set(vec!["c".into()]),
        policy: Patch::Set(PolicyPatch { max_attempts: Patch::Set(5), ..PolicyPatch::default() }),
        ..Changes::default()
    };
    let changed = record(&fixture, repeat(&fixture, job, changes, &by).await.unwrap()).await;
    assert_eq!((changed.priority, changed.labels, &*changed.queue), (9, vec!["c".to_owned()], "own"));
    assert_eq!((changed.policy.max_attempts, changed.policy.timeout), (5, IsoDuration::from_secs(300)));

    // In any state.
    let attempt = fixture.start(worker, needed).await;
    repeat(&fixture, needed, Changes::default(), &by).await.unwrap();
    fixture.settle(needed, attempt, failed()).await;
    let fresh = record(&fixture, repeat(&fixture, needed, Changes::default(), &by).await.unwrap()).await;
    assert_eq!(fresh.state, JobState::Queued, "the backoff is that of the old job");
    let _after = cancel(&fixture.store, job, None, &By::worker()).await.unwrap();
    repeat(&fixture, job, Changes::default(), &by).await.unwrap();
}

#[tokio::test]
async fn a_start_time_is_taken_over_while_it_has_not_come() {
    let fixture = Fixture::new().await;
    let by = caller("olga", true);
    let run_at = clock::now() + Duration::from_hours(1);
    let job =
        enqueued(&fixture, JobRequest { run_at: Some(run_at), ..JobRequest::new(fixture.command) }).await;
    let later = record(&fixture, repeat(&fixture, job, Changes::default(), &by).await.unwrap()).await;
    assert_eq!((later.state, later.run_at), (JobState::Scheduled, record(&fixture, job).await.run_at));
    let now = Changes { run_at: Patch::Clear, ..Changes::default() };
    assert_eq!(
        record(&fixture, repeat(&fixture, job, now, &by).await.unwrap()).await.state,
        JobState::Queued
    );
    fixture.sql("UPDATE live_jobs SET run_at = now() - interval '1 day'").await;
    let past = record(&fixture, repeat(&fixture, job, Changes::default(), &by).await.unwrap()).await;
    assert!(past.run_at >= past.created_at, "{past:?}");
}

#[tokio::test]
async fn secrets_are_sealed_anew_for_the_new_job() {
    let fixture = Fixture::new().await;
    let command = secret_command(&fixture).await;
    let olga = caller("olga", true);
    let given = json!({ "pin": "4711", "word": "sesame", "n": 1 });
    let job = enqueued(&fixture, JobRequest { by: Some(olga.clone()), ..template(command, given) }).await;
    let masked = json!({ "pin": "***", "word": "***", "n": 1 });

    let copy = repeat(&fixture, job, Changes::default(), &olga).await.unwrap();
    assert_eq!(input(&fixture, copy).await, (masked, json!({ "/pin": "4711", "/word": "sesame" })));
    let with = |input: Value| Changes { input: Patch::Set(input), ..Changes::default() };
    let changed = with(json!({ "pin": "***", "word": "open", "n": 2 }));
    let changed = repeat(&fixture, copy, changed, &olga).await.unwrap();
    let expected = json!({ "pin": "***", "word": "***", "n": 2 });
    assert_eq!(input(&fixture, changed).await, (expected, json!({ "/pin": "4711", "/word": "open" })));
    let less = repeat(&fixture, job, with(json!({ "word": "***" })), &olga).await.unwrap();
    assert_eq!(input(&fixture, less).await, (json!({ "word": "***" }), json!({ "/word": "sesame" })));

    // The command no longer keeps one of them secret. The other one may still be taken over.
    let word = json!({ "type": "string", "writeOnly": true });
    fixture.set_schema(command, json!({ "properties": { "word": word } })).await;
    let refusals = repeat(&fixture, job, Changes::default(), &olga).await.unwrap_err();
    assert_eq!((refusals.len(), refusals[0].path.join(".")), (1, "input.pin".to_owned()));
    repeat(&fixture, job, with(json!({ "word": "***" })), &olga).await.unwrap();
    let dump: String = fixture
        .value("SELECT string_agg(jobs::text || audit_events::text, '') FROM jobs, audit_events")
        .await;
    assert!(!dump.contains("4711") && !dump.contains("sesame"));
}

#[tokio::test]
async fn only_who_gave_a_secret_and_an_admin_may_take_it_over() {
    let fixture = Fixture::new().await;
    let command = secret_command(&fixture).await;
    let (olga, otto, ada) = (caller("olga", true), caller("otto", true), caller("ada", false));
    let given = json!({ "pin": "4711", "n": 1 });
    let job = enqueued(&fixture, JobRequest { by: Some(olga), ..template(command, given.clone()) }).await;
    let with = |input: Value| Changes { input: Patch::Set(input), ..Changes::default() };
    for changes in [Changes::default(), with(json!({ "pin": "***" })), with(json!({ "pin": "***", "n": 1 }))]
    {
        let refusals = repeat(&fixture, job, changes.clone(), &otto).await.unwrap_err();
        assert_eq!((refusals.len(), refusals[0].path.join(".")), (1, "input.pin".to_owned()));
        assert!(refusals[0].message.contains(&job.to_string()), "{}", refusals[0].message);
        repeat(&fixture, job, changes, &ada).await.unwrap();
    }
    let own = repeat(&fixture, job, with(json!({ "pin": "0815" })), &otto).await.unwrap();
    repeat(&fixture, own, with(json!({ "pin": "***", "n": 2 })), &otto).await.unwrap();
    repeat(&fixture, job, Changes { input: Patch::Clear, ..Changes::default() }, &otto).await.unwrap();

    // The secrets of a schedule are of whoever made it, also if it has the name of a key.
    let schedule =
        ScheduleCreate { job: template(command, given), ..hourly("otto", command, Overlap::Skip, 0) };
    fixture.schedule(schedule).await;
    fixture.sql("UPDATE schedules SET next_at = date_trunc('second', clock_timestamp())").await;
    fixture.fire().await;
    let fired: uuid::Uuid = fixture.value("SELECT id FROM jobs WHERE schedule_id IS NOT NULL").await;
    let refusals = repeat(&fixture, fired.into(), Changes::default(), &otto).await.unwrap_err();
    assert_eq!(refusals[0].path, ["input", "pin"]);
}

#[tokio::test]
async fn the_command_is_used_as_it_is_now() {
    let fixture = Fixture::new().await;
    let command = fixture.command_with("changing", json!({})).await;
    let job = enqueued(&fixture, template(command, json!({ "n": 1 }))).await;
    fixture
        .set_schema(command, json!({ "properties": { "n": { "type": "string" }, "m": { "default": 7 } } }))
        .await;
    let by = caller("olga", true);
    let refusals = repeat(&fixture, job, Changes::default(), &by).await.unwrap_err();
    assert_eq!(refusals[0].path, ["input", "n"]);
    let changes = Changes { input: Patch::Set(json!({ "n": "1" })), ..Changes::default() };
    let new = repeat(&fixture, job, changes, &by).await.unwrap();
    assert_eq!(input(&fixture, new).await.0, json!({ "n": "1", "m": 7 }));
    let (old, new) = (record(&fixture, job).await, record(&fixture, new).await);
    assert_ne!(old.version_id, new.version_id);

    fixture.catalogue.command_delete(command, None).await.unwrap();
    let refusals = repeat(&fixture, job, Changes::default(), &by).await.unwrap_err();
    assert_eq!((refusals[0].code, refusals[0].path.join(".")), (RefusalCode::NotFound, "id".to_owned()));
    assert!(refusals[0].message.contains("has been deleted"), "{}", refusals[0].message);
    let unknown = repeat(&fixture, IdSource.make(), Changes::default(), &by).await.unwrap_err();
    assert_eq!((unknown[0].code, unknown[0].path.join(".")), (RefusalCode::NotFound, "id".to_owned()));
}
