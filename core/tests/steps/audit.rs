//! Who did what to jobs: the entries of the audit, the actors of events, and who enqueued a job.

use std::sync::Arc;

use callboard::{
    audit::{Actor, By, WORKER},
    clock::{self, IdSource},
    ids::JobId,
    job::JobRequest,
    steps::{
        enqueue::submit::submit,
        finish::{cancel::cancel, cancel::cancel_many, retry::retry},
        hand_out::pause::set_paused,
        run::drain::drain,
    },
    store::{
        audit::{self, AuditEvent, Filter, PageRequest},
        jobs::{events, records},
    },
};

use crate::fixture::{Fixture, settlement, succeeded};

fn by(name: &str, mutation: &'static str) -> By {
    By { actor: Arc::new(Actor { name: name.into(), ..Actor::default() }), mutation: Some(mutation) }
}

async fn entries(fixture: &Fixture, filter: Filter) -> Vec<AuditEvent> {
    let request = PageRequest { filter, rows: 100, ..PageRequest::default() };
    audit::page(&mut fixture.store.connection().await.unwrap(), &request).await.unwrap()
}

async fn of_mutation(fixture: &Fixture, mutation: &str) -> Vec<AuditEvent> {
    entries(fixture, Filter { action: Some(mutation.into()), ..Filter::default() }).await
}

async fn actors(fixture: &Fixture, job: JobId) -> Vec<Option<String>> {
    let mut connection = fixture.store.connection().await.unwrap();
    let events = events::after(&mut connection, &[(job, 0)], 100).await.unwrap();
    events.into_iter().flat_map(|(_, events)| events).map(|event| event.actor).collect()
}

#[tokio::test]
async fn a_call_has_one_entry_and_callers_of_one_key_share_it() {
    let fixture = Fixture::new().await;
    let request = |by: By| JobRequest { by: Some(by), ..JobRequest::new(fixture.command) };
    let submissions = [
        vec![request(by("ci", "jobEnqueue"))],
        vec![request(by("ci", "jobEnqueue"))],
        vec![request(by("ops", "jobsEnqueue")); 3],
        vec![JobRequest { by: Some(By::schedule("nightly")), ..JobRequest::new(fixture.command) }],
        vec![JobRequest { priority: Some(77), ..request(by("bad", "jobEnqueue")) }],
    ];
    let results = submit(&fixture.context, &submissions, false).await.value;
    assert!(results[..4].iter().all(Result::is_ok) && results[4].is_err());
    let jobs = |index: usize| results[index].as_ref().unwrap().iter().map(|accepted| accepted.job);
    let single: Vec<String> = jobs(0).chain(jobs(1)).map(|job| job.to_string()).collect();

    let found = of_mutation(&fixture, "jobEnqueue").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].actor.as_deref(), found[0].count), (Some("ci"), 2));
    assert_eq!(
        found[0].object_ids.iter().collect::<std::collections::BTreeSet<_>>(),
        single.iter().collect()
    );
    let found = of_mutation(&fixture, "jobsEnqueue").await;
    assert_eq!((found.len(), found[0].actor.as_deref(), found[0].count), (1, Some("ops"), 3));
    // By the id of a job that was enqueued with others.
    let object = Filter { object: Some(jobs(2).next_back().unwrap().to_string()), ..Filter::default() };
    assert_eq!(entries(&fixture, object).await.len(), 1);

    let mut connection = fixture.store.connection().await.unwrap();
    let scheduled: Vec<JobId> = jobs(3).collect();
    let record = records::by_ids(&mut connection, &scheduled).await.unwrap().remove(0);
    assert_eq!(record.created_by.as_deref(), Some("nightly"));
    assert_eq!(actors(&fixture, scheduled[0]).await, [Some("nightly".to_owned())]);
    assert_eq!(
        entries(&fixture, Filter { actor: Some("nightly".into()), ..Filter::default() }).await.len(),
        0
    );
}

#[tokio::test]
async fn a_repeat_has_no_entry() {
    let fixture = Fixture::new().await;
    let keyed = || JobRequest {
        by: Some(by("ci", "jobEnqueue")),
        idempotency_key: Some("k".into()),
        ..JobRequest::new(fixture.command)
    };
    for _ in 0..2 {
        assert!(submit(&fixture.context, &[vec![keyed()]], false).await.value[0].is_ok());
    }
    assert_eq!(of_mutation(&fixture, "jobEnqueue").await.len(), 1);
}

#[tokio::test]
async fn events_name_their_actors() {
    let fixture = Fixture::new().await;
    let request = JobRequest { by: Some(by("ci", "jobEnqueue")), ..JobRequest::new(fixture.command) };
    let job = fixture.submit(vec![request.clone()]).await[0];
    let worker = fixture.worker().await;
    let attempt = fixture.start(worker, job).await;
    let _settled = callboard::steps::finish::settle::settle(
        &fixture.store,
        vec![settlement(job, attempt, succeeded("x"))],
    )
    .await
    .unwrap();
    drop(retry(&fixture.store, job, &by("ops", "jobRetry")).await.unwrap());
    drop(cancel(&fixture.store, job, Some("enough".into()), &by("boss", "jobCancel")).await.unwrap());
    let expected = ["ci", WORKER, WORKER, "ops", "boss"].map(|name| Some(name.to_owned()));
    assert_eq!(actors(&fixture, job).await, expected);
    let cancelled = of_mutation(&fixture, "jobCancel").await;
    assert_eq!(
        (cancelled[0].object_ids[0].clone(), cancelled[0].message.as_deref()),
        (job.to_string(), Some("enough"))
    );
    assert_eq!(of_mutation(&fixture, "jobRetry").await.len(), 1);

    let jobs = fixture.submit(vec![request; 3]).await;
    drop(cancel_many(&fixture.store, &jobs, None, &by("boss", "jobsCancel")).await.unwrap());
    assert_eq!(of_mutation(&fixture, "jobsCancel").await[0].count, 3);
    // Nothing is left to cancel, and so nothing is done.
    drop(cancel_many(&fixture.store, &jobs, None, &by("boss", "jobsCancel")).await.unwrap());
    assert_eq!(of_mutation(&fixture, "jobsCancel").await.len(), 1);
    let of_job = Filter { object: Some(jobs[1].to_string()), ..Filter::default() };
    let found = entries(&fixture, of_job).await;
    let actions: Vec<&str> = found.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["jobsCancel", "jobEnqueue"]);

    drop(set_paused(&fixture.store, "default", true, &by("boss", "queuePause")).await.unwrap());
    drop(drain(&fixture.store, worker, &by("boss", "workerDrain")).await.unwrap());
    assert_eq!(of_mutation(&fixture, "queuePause").await[0].object_ids, ["default"]);
    assert_eq!(of_mutation(&fixture, "workerDrain").await[0].object_ids, [worker.to_string()]);
}

#[tokio::test]
async fn a_job_whose_entry_cannot_be_written_is_not_accepted() {
    let fixture = Fixture::new().await;
    fixture.sql("ALTER TABLE audit_events ADD CONSTRAINT no_room CHECK (actor <> 'ci')").await;
    let request =
        |name: &str| JobRequest { by: Some(by(name, "jobEnqueue")), ..JobRequest::new(fixture.command) };
    let results = submit(&fixture.context, &[vec![request("ci")], vec![request("ops")]], false).await.value;
    assert!(results[0].is_err() && results[1].is_ok(), "{results:?}");
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM jobs").await, 1);
}

/// Rows of the audit that were read so far, by an index or without.
async fn rows_read(fixture: &Fixture) -> i64 {
    fixture.sql("SELECT pg_stat_force_next_flush()").await;
    fixture
        .value(
            "SELECT (seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
             WHERE relname = 'audit_events'",
        )
        .await
}

#[tokio::test]
async fn pages_read_little_of_a_million_entries() {
    let fixture = Fixture::with_connections(1).await;
    // Made in the year 2000, and among the jobs of four calls since.
    let job = JobId::from(uuid::Uuid::from_u128(0x00dc_6acf_ac00_7000_8000_0000_0000_0001));
    // A rare actor, action and object among them, far from both ends, and many entries at one time.
    // In parts, because a statement has a time limit.
    for first in (1..1_000_000).step_by(100_000) {
        let mut transaction = fixture.store.begin().await.unwrap();
        let insert = sqlx::query(
            "INSERT INTO audit_events (at, id, actor, action, outcome, object_id, job_ids)
             SELECT date_trunc('minute', now() - make_interval(secs => n)), lpad(to_hex(n), 32, '0')::uuid,
                 CASE WHEN n % 250000 = 77 THEN 'rare' ELSE 'k' || n % 10 END,
                 CASE WHEN n % 250000 = 77 THEN 'rareUpdate' WHEN n % 100 = 1 THEN 'jobsCancel' ELSE 'jobEnqueue' END,
                 'done',
                 CASE WHEN n % 250000 = 77 THEN 'service_rare' WHEN n % 2 = 0 THEN 'o' || n END,
                 CASE WHEN n % 250000 = 1 THEN ARRAY['00dc6acf-ac00-7000-8000-000000000001', gen_random_uuid()]
                     WHEN n % 10 = 1 THEN ARRAY[gen_random_uuid(), gen_random_uuid()] END
             FROM generate_series($1, $1 + 99999) AS n",
        );
        insert.bind(first).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
    fixture.sql("ANALYZE audit_events").await;
    let mut connection = fixture.store.connection().await.unwrap();
    let (all, unknown) = (Filter::default, IdSource.make::<JobId>());
    let (half, first) = (
        clock::now() - chrono::Duration::seconds(500_000),
        PageRequest { rows: 26, ..PageRequest::default() },
    );
    let place = |seconds| (clock::now() - chrono::Duration::seconds(seconds), IdSource.make());
    let rare = |filter: Filter| PageRequest { filter, ..first.clone() };
    let requests = [
        (first.clone(), 26),
        (PageRequest { is_from_end: true, ..first.clone() }, 26),
        (PageRequest { after: Some(place(500_000)), ..first.clone() }, 26),
        (PageRequest { before: Some(place(500_000)), is_from_end: true, ..first.clone() }, 26),
        (rare(Filter { since: Some(half), until: Some(half + chrono::Duration::minutes(2)), ..all() }), 26),
        (rare(Filter { until: Some(half), ..all() }), 26),
        (rare(Filter { actor: Some("rare".into()), ..all() }), 4),
        (rare(Filter { actor: Some("k3".into()), until: Some(half), ..all() }), 26),
        (rare(Filter { action: Some("rareUpdate".into()), ..all() }), 4),
        (rare(Filter { object: Some("service_rare".into()), ..all() }), 4),
        (rare(Filter { actor: Some("rare".into()), action: Some("rareUpdate".into()), ..all() }), 4),
        (rare(Filter { object: Some(job.to_string()), ..all() }), 4),
        (rare(Filter { object: Some(job.to_string()), until: Some(half), ..all() }), 2),
        (rare(Filter { object: Some(unknown.to_string()), ..all() }), 0),
    ];
    drop(connection);
    // Often enough that Postgres keeps a plan for whatever values come.
    for _ in 0..8 {
        for (request, expected) in &requests {
            let before = rows_read(&fixture).await;
            connection = fixture.store.connection().await.unwrap();
            let found = audit::page(&mut connection, request).await.unwrap();
            drop(connection);
            assert_eq!(found.len(), *expected, "{request:?}");
            let rows = rows_read(&fixture).await - before;
            assert!(rows < 2_000, "{rows} rows were read for {request:?}");
        }
    }
}
