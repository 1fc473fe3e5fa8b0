//! Why a job waits: a table of set-ups, each with its one reason, the sentence, what blocks, and until when.

use std::time::Duration;

use callboard::{
    clock::{self, Time},
    ids::{JobId, ServiceId},
    limit::response::ServiceResponse as Heard,
    steps::{
        limits::observe::{RateLimitObservation, observe},
        run::claim::Decision,
    },
};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::stage::{Stage, failed};

const FIELDS: &str = "waiting { reason explanation position until blocker { __typename id } }";

/// What must be said. `{until}` in the sentence stands for the time that is shown.
pub(crate) struct Why<'a> {
    reason: &'a str,
    sentence: String,
    until: Option<Time>,
    blocker: Option<(&'a str, String)>,
    position: Option<i32>,
}

pub(crate) fn why(reason: &str, sentence: impl Into<String>) -> Why<'_> {
    Why { reason, sentence: sentence.into(), until: None, blocker: None, position: None }
}

impl<'a> Why<'a> {
    pub(crate) fn until(self, until: Time) -> Self {
        Self { until: Some(until), ..self }
    }

    pub(crate) fn by(self, kind: &'a str, id: &impl ToString) -> Self {
        Self { blocker: Some((kind, id.to_string())), ..self }
    }

    pub(crate) fn at(self, position: i32) -> Self {
        Self { position: Some(position), ..self }
    }
}

/// A stage with one command, `hello`, whose jobs each set-up sends to a queue of its own.
pub(crate) struct Table {
    pub(crate) stage: Stage,
    command: String,
}

impl Table {
    pub(crate) async fn set(queues: &[&str]) -> Self {
        let stage = Stage::set().await;
        let command = stage.command("hello", json!({})).await;
        stage.enter(queues).await;
        Self { stage, command }
    }

    /// A job of the command on this queue, with this on top.
    pub(crate) async fn job(&self, queue: &str, more: Value) -> JobId {
        let mut input = json!({ "commandId": self.command, "queue": queue });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.stage.enqueue(input).await
    }

    pub(crate) async fn service(&self, name: &str, limits: Value) -> String {
        let mut input = limits;
        input["name"] = json!(name);
        self.stage.made("serviceCreate", "service", input).await
    }

    /// Claims a job that must not be granted.
    pub(crate) async fn park(&self, job: JobId) {
        let (_, answer) = self.stage.claim(job).await;
        assert!(matches!(answer, Decision::Parked { .. }), "{answer:?}");
    }

    /// An answer of a service, as a worker sees it.
    pub(crate) async fn hear(
        &self,
        service: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let at = clock::now();
        let seen = Heard { status, headers: &headers, body, at }.observe().unwrap();
        let service: ServiceId = service.parse().unwrap();
        observe(&self.stage.store, vec![RateLimitObservation { service, at, seen }])
            .await
            .unwrap()
            .announce(&self.stage.redis)
            .await;
    }

    pub(crate) async fn expect(&self, set_up: &str, job: JobId, expected: Why<'_>) {
        let shown = self.stage.of_job(job, FIELDS).await["waiting"].take();
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
                // Clocks of this process and of the database, and what is written in whole milliseconds.
                let apart = (until - expected).abs().to_std().unwrap();
                assert!(apart < Duration::from_secs(2), "{set_up}: {until} is not {expected}");
            }
            (until, expected) => assert_eq!(until, expected, "{set_up}"),
        }
    }

    pub(crate) async fn started_at(&self, job: JobId) -> Time {
        self.stage.of_job(job, "startedAt").await["startedAt"].as_str().unwrap().parse().unwrap()
    }
}

fn written(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) fn in_seconds(seconds: u64) -> Time {
    clock::now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn its_time_its_backoff_or_jobs_that_it_needs() {
    let table = Table::set(&["q"]).await;
    let at: Time = DateTime::parse_from_rfc3339("2100-01-01T00:00:00Z").unwrap().into();
    let sentence = "The job is scheduled to start at 2100-01-01T00:00:00.000Z.";
    let later = json!({ "runAt": "2100-01-01T00:00:00Z" });
    table
        .expect("a start time", table.job("q", later.clone()).await, why("RUN_AT", sentence).until(at))
        .await;
    let unserved = table.job("nobody", later.clone()).await;
    table.expect("a start time, and no worker", unserved, why("RUN_AT", sentence).until(at)).await;
    table.stage.mutate("queuePause", "queue { id }", json!({ "name": "nobody" })).await;
    table.expect("a start time in a paused queue", unserved, why("RUN_AT", sentence).until(at)).await;

    for attempts in [1, 2] {
        let job = table.job("q", json!({})).await;
        for round in 0..attempts {
            if round > 0 {
                table.stage.sql("UPDATE live_jobs SET run_at = now() WHERE is_retry").await;
                table.stage.do_duties().await;
            }
            let attempt = table.stage.start(job).await;
            table.stage.settle(job, attempt, failed(true)).await;
        }
        let run_at: Time = table.stage.of_job(job, "runAt").await["runAt"].as_str().unwrap().parse().unwrap();
        let sentence = format!("Attempt {attempts} failed. The next attempt starts at {}.", written(run_at));
        table.expect("a backoff", job, why("RETRY_BACKOFF", sentence).until(run_at)).await;
        table.stage.mutate("jobCancel", "job { id }", json!({ "id": job.to_string() })).await;
    }

    let (first, second) = (table.job("q", json!({})).await, table.job("q", json!({})).await);
    let needs =
        |jobs: &[JobId]| json!({ "dependsOn": jobs.iter().map(ToString::to_string).collect::<Vec<_>>() });
    let of_first = || {
        why("DEPENDENCY", format!("The job depends on {first}, which has not finished yet."))
            .by("Job", &first)
    };
    let one = table.job("q", needs(&[first])).await;
    table.expect("one job that it needs", one, of_first()).await;
    let both = table.job("q", needs(&[first, second])).await;
    let sentence = format!("The job depends on {first} and one other job, which have not finished yet.");
    table.expect("two jobs that it needs", both, why("DEPENDENCY", sentence).by("Job", &first)).await;
    let three = table.job("q", needs(&[first, second, one])).await;
    let sentence = format!("The job depends on {first} and 2 other jobs, which have not finished yet.");
    table.expect("three jobs that it needs", three, why("DEPENDENCY", sentence).by("Job", &first)).await;
    let chained = table.job("q", needs(&[one])).await;
    let sentence = format!("The job depends on {one}, which has not finished yet.");
    table.expect("one that is blocked itself", chained, why("DEPENDENCY", sentence).by("Job", &one)).await;
    let attempt = table.stage.start(first).await;
    table.expect("one that runs", one, of_first()).await;
    table.stage.mutate("queuePause", "queue { id }", json!({ "name": "q" })).await;
    table.expect("one that runs, in a paused queue", one, of_first()).await;
    table.stage.succeed(first, attempt).await;
    let sentence = format!("The job depends on {second}, which has not finished yet.");
    table.expect("the other of two", both, why("DEPENDENCY", sentence).by("Job", &second)).await;
}

#[tokio::test]
async fn its_queue_its_workers_or_its_place() {
    let table = Table::set(&["served", "capped", "paused"]).await;
    let queue_id = |name: &str| {
        let name = name.to_owned();
        let stage = &table.stage;
        async move {
            let queues = stage.data("{ queues { id name } }", json!({})).await["queues"].take();
            let of_name =
                queues.as_array().unwrap().iter().find(|queue| queue["name"] == name.as_str()).cloned();
            of_name.unwrap()["id"].as_str().unwrap().to_owned()
        }
    };
    let unserved = table.job("nobody", json!({})).await;
    let nobody = || why("NO_WORKER", "No active worker serves the queue nobody.");
    table.expect("no worker for its queue", unserved, nobody()).await;
    table.expect("the second there", table.job("nobody", json!({})).await, nobody()).await;

    let first = table.job("served", json!({})).await;
    let next = || {
        why("NEXT_IN_LINE", "The job is next in the queue served and starts once a worker has a free slot.")
            .at(1)
    };
    table.expect("nobody is before it", first, next()).await;
    let second = table.job("served", json!({})).await;
    table
        .expect(
            "one is before it",
            second,
            why("NEXT_IN_LINE", "One job is ahead in the queue served.").at(2),
        )
        .await;
    let urgent = table.job("served", json!({ "priority": 9 })).await;
    table.expect("a late one of a high priority", urgent, next()).await;
    let two = || why("NEXT_IN_LINE", "2 jobs are ahead in the queue served.").at(3);
    table.expect("an urgent one came before it", second, two()).await;
    let idle = table.job("served", json!({ "priority": 0 })).await;
    table
        .expect(
            "one of a low priority",
            idle,
            why("NEXT_IN_LINE", "3 jobs are ahead in the queue served.").at(4),
        )
        .await;
    table.stage.start(urgent).await;
    table.expect("the urgent one has started", first, next()).await;
    table.stage.sql("UPDATE live_jobs SET dispatched_at = NULL").await;
    table.expect("the same when nothing was handed over", idle, two()).await;
    table.stage.sql("UPDATE workers SET heartbeat_at = now() - interval '1 minute'").await;
    let gone = why("NO_WORKER", "No active worker serves the queue served.");
    table.expect("its worker has gone", first, gone).await;
    table.stage.sql("UPDATE workers SET heartbeat_at = now()").await;

    let paused = table.job("paused", json!({})).await;
    table.stage.mutate("queuePause", "queue { id }", json!({ "name": "paused" })).await;
    let id = queue_id("paused").await;
    let is_paused = || why("QUEUE_PAUSED", "The queue paused is paused.").by("Queue", &id);
    table.expect("a paused queue", paused, is_paused()).await;
    table.stage.mutate("queueUpdate", "queue { id }", json!({ "name": "paused", "maxConcurrency": 1 })).await;
    table.expect("a paused queue with a cap", paused, is_paused()).await;
    table.stage.mutate("queueResume", "queue { id }", json!({ "name": "paused" })).await;
    let again =
        why("NEXT_IN_LINE", "The job is next in the queue paused and starts once a worker has a free slot.");
    table.expect("resumed", paused, again.at(1)).await;
}

#[tokio::test]
async fn exact_places_up_to_a_thousand() {
    let table = Table::set(&["long"]).await;
    let order = json!({ "commandId": table.command, "queue": "long" });
    let mut jobs: Vec<JobId> = Vec::new();
    for _ in 0..2 {
        let input = json!({ "jobs": vec![order.clone(); 600] });
        let made = table.stage.mutate("jobsEnqueue", "jobs { id }", input).await;
        let ids = made["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_str().unwrap().parse::<JobId>().unwrap());
        jobs.extend(ids);
    }
    // Ids of one call have been made in order, whichever call was committed first.
    jobs.sort_unstable();
    for place in [2_i32, 599, 601, 999, 1000] {
        let job = jobs[usize::try_from(place).unwrap() - 1];
        let sentence = match place {
            2 => "One job is ahead in the queue long.".to_owned(),
            place => format!("{} jobs are ahead in the queue long.", place - 1),
        };
        table.expect("a place", job, why("NEXT_IN_LINE", sentence).at(place)).await;
    }
    for place in [1001, 1200] {
        let beyond = why("NEXT_IN_LINE", "1000 or more jobs are ahead in the queue long.");
        table.expect("a place beyond", jobs[place - 1], beyond).await;
    }
}
