//! `Job.waiting`: each test sets up a situation and checks the reason, sentence, blocker and time.

use std::time::Duration;

use callboard::{
    clock::{self, Time},
    ids::{JobId, ServiceId},
    limit::response::ServiceResponse,
    steps::{
        limits::observe::{RateLimitObservation, observe},
        run::claim::Decision,
    },
};
use callboard_test_support::eventually;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::harness::{Harness, failed};

const FIELDS: &str = "waiting { reason explanation position until blocker { __typename id } }";

/// The expected `waiting` of a job. `{until}` in the sentence stands for the time that is shown.
pub(crate) struct Expected<'a> {
    reason: &'a str,
    sentence: String,
    until: Option<Time>,
    blocker: Option<(&'a str, String)>,
    position: Option<i32>,
}

pub(crate) fn expected(reason: &str, sentence: impl Into<String>) -> Expected<'_> {
    Expected { reason, sentence: sentence.into(), until: None, blocker: None, position: None }
}

impl<'a> Expected<'a> {
    pub(crate) fn until(self, until: Time) -> Self {
        Self { until: Some(until), ..self }
    }

    pub(crate) fn blocked_by(self, kind: &'a str, id: &impl ToString) -> Self {
        Self { blocker: Some((kind, id.to_string())), ..self }
    }

    pub(crate) fn position(self, position: i32) -> Self {
        Self { position: Some(position), ..self }
    }
}

/// A harness with one command, `hello`, and a worker that serves the given queues.
pub(crate) struct Fixture {
    pub(crate) harness: Harness,
    command: String,
}

impl Fixture {
    pub(crate) async fn new(queues: &[&str]) -> Self {
        let harness = Harness::new().await;
        let command = harness.create_command("hello", json!({})).await;
        harness.register_worker(queues).await;
        Self { harness, command }
    }

    /// Enqueues a job of the command on this queue, with these fields in addition.
    pub(crate) async fn job(&self, queue: &str, more: Value) -> JobId {
        let mut input = json!({ "commandId": self.command, "queue": queue });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.harness.enqueue(input).await
    }

    pub(crate) async fn service(&self, name: &str, limits: Value) -> String {
        let mut input = limits;
        input["name"] = json!(name);
        self.harness.create("serviceCreate", "service", input).await
    }

    /// Claims a job, which must be parked.
    pub(crate) async fn park(&self, job: JobId) {
        let (_, decision) = self.harness.claim(job).await;
        assert!(matches!(decision, Decision::Parked { .. }), "{decision:?}");
    }

    /// Observes a response of a service, as a worker does.
    pub(crate) async fn observe_response(
        &self,
        service: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let at = clock::now();
        let seen = ServiceResponse { status, headers: &headers, body, at }.observe().unwrap();
        let service: ServiceId = service.parse().unwrap();
        observe(&self.harness.store, vec![RateLimitObservation { service, at, seen }])
            .await
            .unwrap()
            .announce(&self.harness.redis)
            .await;
    }

    pub(crate) async fn expect(&self, set_up: &str, job: JobId, expected: Expected<'_>) {
        let shown = self.harness.read_job(job, FIELDS).await["waiting"].take();
        let until = shown["until"].as_str().map(|text| text.parse::<Time>().unwrap());
        let sentence = expected.sentence.replace("{until}", shown["until"].as_str().unwrap_or("?"));
        assert_eq!(
            (&shown["reason"], &shown["explanation"]),
            (&json!(expected.reason), &json!(sentence)),
            "{set_up}"
        );
        let blocker = expected.blocker.map(|(kind, id)| json!({ "__typename": kind, "id": id }));
        assert_eq!(shown["blocker"], json!(blocker), "{set_up}");
        assert_eq!(shown["position"], json!(expected.position), "{set_up}");
        match (until, expected.until) {
            (Some(until), Some(expected)) => {
                // The database has its own clock, and times are shown in milliseconds.
                let apart = (until - expected).abs().to_std().unwrap();
                assert!(apart < Duration::from_secs(2), "{set_up}: {until} is not {expected}");
            }
            (until, expected) => assert_eq!(until, expected, "{set_up}"),
        }
    }

    pub(crate) async fn started_at(&self, job: JobId) -> Time {
        self.harness.read_job(job, "startedAt").await["startedAt"].as_str().unwrap().parse().unwrap()
    }
}

fn rfc3339(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) fn in_seconds(seconds: u64) -> Time {
    clock::now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_job_waits_for_its_start_time_its_backoff_or_its_dependencies() {
    let fixture = Fixture::new(&["q"]).await;
    let at: Time = DateTime::parse_from_rfc3339("2100-01-01T00:00:00Z").unwrap().into();
    let sentence = "The job is scheduled to start at 2100-01-01T00:00:00.000Z.";
    let later = json!({ "runAt": "2100-01-01T00:00:00Z" });
    fixture
        .expect("a start time", fixture.job("q", later.clone()).await, expected("RUN_AT", sentence).until(at))
        .await;
    let unserved = fixture.job("unserved", later.clone()).await;
    fixture.expect("a start time, and no worker", unserved, expected("RUN_AT", sentence).until(at)).await;
    fixture.harness.mutate("queuePause", "queue { id }", json!({ "name": "unserved" })).await;
    fixture.expect("a start time in a paused queue", unserved, expected("RUN_AT", sentence).until(at)).await;

    for attempts in [1, 2] {
        let job = fixture.job("q", json!({})).await;
        for round in 0..attempts {
            if round > 0 {
                fixture.harness.sql("UPDATE live_jobs SET run_at = now() WHERE is_retry").await;
                fixture.harness.run_duties().await;
            }
            let attempt = fixture.harness.start(job).await;
            fixture.harness.settle(job, attempt, failed(true)).await;
        }
        let run_at: Time =
            fixture.harness.read_job(job, "runAt").await["runAt"].as_str().unwrap().parse().unwrap();
        let sentence = format!("Attempt {attempts} failed. The next attempt starts at {}.", rfc3339(run_at));
        fixture.expect("a backoff", job, expected("RETRY_BACKOFF", sentence).until(run_at)).await;
        fixture.harness.mutate("jobCancel", "job { id }", json!({ "id": job.to_string() })).await;
    }

    let (first, second) = (fixture.job("q", json!({})).await, fixture.job("q", json!({})).await);
    let depends_on =
        |jobs: &[JobId]| json!({ "dependsOn": jobs.iter().map(ToString::to_string).collect::<Vec<_>>() });
    let of_first = || {
        expected("DEPENDENCY", format!("The job depends on {first}, which has not finished yet."))
            .blocked_by("Job", &first)
    };
    let one = fixture.job("q", depends_on(&[first])).await;
    fixture.expect("one dependency", one, of_first()).await;
    let both = fixture.job("q", depends_on(&[first, second])).await;
    let sentence = format!("The job depends on {first} and one other job, which have not finished yet.");
    fixture
        .expect("two dependencies", both, expected("DEPENDENCY", sentence).blocked_by("Job", &first))
        .await;
    let three = fixture.job("q", depends_on(&[first, second, one])).await;
    let sentence = format!("The job depends on {first} and 2 other jobs, which have not finished yet.");
    fixture
        .expect("three dependencies", three, expected("DEPENDENCY", sentence).blocked_by("Job", &first))
        .await;
    let chained = fixture.job("q", depends_on(&[one])).await;
    let sentence = format!("The job depends on {one}, which has not finished yet.");
    fixture
        .expect(
            "a job that is blocked itself",
            chained,
            expected("DEPENDENCY", sentence).blocked_by("Job", &one),
        )
        .await;
    let attempt = fixture.harness.start(first).await;
    fixture.expect("a job that runs", one, of_first()).await;
    fixture.harness.mutate("queuePause", "queue { id }", json!({ "name": "q" })).await;
    fixture.expect("a job that runs, in a paused queue", one, of_first()).await;
    fixture.harness.succeed(first, attempt).await;
    let sentence = format!("The job depends on {second}, which has not finished yet.");
    fixture
        .expect("the other of two jobs", both, expected("DEPENDENCY", sentence).blocked_by("Job", &second))
        .await;
}

#[tokio::test]
async fn a_job_waits_for_its_queue_a_worker_or_the_jobs_ahead() {
    let fixture = Fixture::new(&["served", "capped", "paused"]).await;
    let queue_id = |name: &str| {
        let name = name.to_owned();
        let harness = &fixture.harness;
        async move {
            let queues = harness.data("{ queues { id name } }", json!({})).await["queues"].take();
            let of_name =
                queues.as_array().unwrap().iter().find(|queue| queue["name"] == name.as_str()).cloned();
            of_name.unwrap()["id"].as_str().unwrap().to_owned()
        }
    };
    let unserved = fixture.job("unserved", json!({})).await;
    let no_worker = || expected("NO_WORKER", "No active worker serves the queue unserved.");
    fixture.expect("no worker for its queue", unserved, no_worker()).await;
    fixture
        .expect("the second job in its queue", fixture.job("unserved", json!({})).await, no_worker())
        .await;

    let first = fixture.job("served", json!({})).await;
    let next = || {
        expected(
            "NEXT_IN_LINE",
            "The job is next in the queue served and starts once a worker has a free slot.",
        )
        .position(1)
    };
    fixture.expect("no job is ahead", first, next()).await;
    let second = fixture.job("served", json!({})).await;
    fixture
        .expect(
            "one job is ahead",
            second,
            expected("NEXT_IN_LINE", "One job is ahead in the queue served.").position(2),
        )
        .await;
    let urgent = fixture.job("served", json!({ "priority": 9 })).await;
    fixture.expect("a later job of a higher priority", urgent, next()).await;
    let two = || expected("NEXT_IN_LINE", "2 jobs are ahead in the queue served.").position(3);
    fixture.expect("an urgent job went ahead", second, two()).await;
    let idle = fixture.job("served", json!({ "priority": 0 })).await;
    fixture
        .expect(
            "a job of a low priority",
            idle,
            expected("NEXT_IN_LINE", "3 jobs are ahead in the queue served.").position(4),
        )
        .await;
    fixture.harness.start(urgent).await;
    fixture.expect("the urgent job has started", first, next()).await;
    fixture.harness.sql("UPDATE live_jobs SET dispatched_at = NULL").await;
    fixture.expect("the same when no job is dispatched", idle, two()).await;
    fixture.harness.sql("UPDATE workers SET heartbeat_at = now() - interval '1 minute'").await;
    let gone = expected("NO_WORKER", "No active worker serves the queue served.");
    fixture.expect("its worker is lost", first, gone).await;
    fixture.harness.sql("UPDATE workers SET heartbeat_at = now()").await;

    let paused = fixture.job("paused", json!({})).await;
    fixture.harness.mutate("queuePause", "queue { id }", json!({ "name": "paused" })).await;
    let id = queue_id("paused").await;
    let is_paused = || expected("QUEUE_PAUSED", "The queue paused is paused.").blocked_by("Queue", &id);
    fixture.expect("a paused queue", paused, is_paused()).await;
    fixture
        .harness
        .mutate("queueUpdate", "queue { id }", json!({ "name": "paused", "maxConcurrency": 1 }))
        .await;
    fixture.expect("a paused queue with a limit", paused, is_paused()).await;
    fixture.harness.mutate("queueResume", "queue { id }", json!({ "name": "paused" })).await;
    let again = expected(
        "NEXT_IN_LINE",
        "The job is next in the queue paused and starts once a worker has a free slot.",
    );
    fixture.expect("resumed", paused, again.position(1)).await;
}

#[tokio::test]
async fn positions_are_exact_up_to_a_thousand() {
    let fixture = Fixture::new(&["long"]).await;
    let request = json!({ "commandId": fixture.command, "queue": "long" });
    let mut jobs: Vec<JobId> = Vec::new();
    for _ in 0..2 {
        let input = json!({ "jobs": vec![request.clone(); 600] });
        let made = fixture.harness.mutate("jobsEnqueue", "jobs { id }", input).await;
        let ids = made["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_str().unwrap().parse::<JobId>().unwrap());
        jobs.extend(ids);
    }
    // Ids follow the order of requests, whatever the order of commits.
    jobs.sort_unstable();
    for position in [2_i32, 599, 601, 999, 1000] {
        let job = jobs[usize::try_from(position).unwrap() - 1];
        let sentence = match position {
            2 => "One job is ahead in the queue long.".to_owned(),
            position => format!("{} jobs are ahead in the queue long.", position - 1),
        };
        fixture.expect("a position", job, expected("NEXT_IN_LINE", sentence).position(position)).await;
    }
    for position in [1001, 1200] {
        let beyond = expected("NEXT_IN_LINE", "1000 or more jobs are ahead in the queue long.");
        fixture.expect("a position beyond the exact ones", jobs[position - 1], beyond).await;
    }
}

#[tokio::test]
async fn a_job_that_leaves_the_queue_while_it_is_read_was_not_blocked() {
    let fixture = Fixture::new(&["q"]).await;
    let job = fixture.job("q", json!({})).await;
    // Read after the job, and before its place in the queue.
    let mut lock = fixture.harness.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE workers IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    let end = async {
        eventually(Duration::from_secs(30), async || {
            let waits =
                "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'workers'::regclass AND NOT granted)";
            let mut connection = fixture.harness.store.connection().await.unwrap();
            sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut *connection).await.unwrap()
        })
        .await;
        let cancel = json!({ "id": job.to_string() });
        fixture.harness.mutate("jobCancel", "job { id }", cancel).await;
        sqlx::raw_sql("COMMIT").execute(&mut lock).await.unwrap();
    };
    let (shown, ()) = tokio::join!(fixture.harness.read_job(job, FIELDS), end);
    let sentence = "The job has just left the queue q: a worker took it, or it was cancelled.";
    assert_eq!(shown["waiting"]["explanation"], sentence, "{shown}");
    assert_eq!(shown["waiting"]["position"], Value::Null, "{shown}");
}
