//! Why a job waits: a table of set-ups, each with its one reason, the sentence, what blocks, and until when.

use std::time::Duration;

use callboard::{
    clock::{self, Time},
    ids::{JobId, ServiceId},
    limit::answer::Answer as Heard,
    steps::{
        claim::Answer,
        observe::{Sighting, observe},
    },
};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::stage::{Stage, failed};

const FIELDS: &str = "waiting { reason explanation position until blocker { __typename id } }";

/// What must be said. `{until}` in the sentence stands for the time that is shown.
struct Why<'a> {
    reason: &'a str,
    sentence: String,
    until: Option<Time>,
    blocker: Option<(&'a str, String)>,
    position: Option<i32>,
}

fn why(reason: &str, sentence: impl Into<String>) -> Why<'_> {
    Why { reason, sentence: sentence.into(), until: None, blocker: None, position: None }
}

impl<'a> Why<'a> {
    fn until(self, until: Time) -> Self {
        Self { until: Some(until), ..self }
    }

    fn by(self, kind: &'a str, id: impl ToString) -> Self {
        Self { blocker: Some((kind, id.to_string())), ..self }
    }

    fn at(self, position: i32) -> Self {
        Self { position: Some(position), ..self }
    }
}

/// A stage with one command, `hello`, whose jobs each set-up sends to a queue of its own.
struct Table {
    stage: Stage,
    command: String,
}

impl Table {
    async fn set(queues: &[&str]) -> Self {
        let stage = Stage::set().await;
        let command = stage.command("hello", json!({})).await;
        stage.enter(queues).await;
        Self { stage, command }
    }

    /// A job of the command on this queue, with this on top.
    async fn job(&self, queue: &str, more: Value) -> JobId {
        let mut input = json!({ "commandId": self.command, "queue": queue });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.stage.enqueue(input).await
    }

    async fn service(&self, name: &str, limits: Value) -> String {
        let mut input = limits;
        input["name"] = json!(name);
        self.stage.made("serviceCreate", "service", input).await
    }

    /// Claims a job that must not be granted.
    async fn park(&self, job: JobId) {
        let (_, answer) = self.stage.claim(job).await;
        assert!(matches!(answer, Answer::Parked { .. }), "{answer:?}");
    }

    /// An answer of a service, as a worker sees it.
    async fn hear(&self, service: &str, status: u16, headers: &[(&str, &str)], body: Option<&str>) {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let at = clock::now();
        let seen = Heard { status, headers: &headers, body, at }.observe().unwrap();
        let service: ServiceId = service.parse().unwrap();
        observe(&self.stage.store, vec![Sighting { service, at, seen }])
            .await
            .unwrap()
            .announce(&self.stage.redis)
            .await;
    }

    async fn expect(&self, set_up: &str, job: JobId, expected: Why<'_>) {
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

    async fn started_at(&self, job: JobId) -> Time {
        self.stage.of_job(job, "startedAt").await["startedAt"].as_str().unwrap().parse().unwrap()
    }
}

fn written(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn in_seconds(seconds: u64) -> Time {
    clock::now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn its_time_its_backoff_or_jobs_that_it_needs() {
    let table = Table::set(&["q"]).await;
    let at: Time = DateTime::parse_from_rfc3339("2100-01-01T00:00:00Z").unwrap().into();
    let sentence = "It starts at 2100-01-01T00:00:00Z.";
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
        let sentence = format!("Attempt {attempts} failed; the next one starts at {}.", written(run_at));
        table.expect("a backoff", job, why("RETRY_BACKOFF", sentence).until(run_at)).await;
        table.stage.mutate("jobCancel", "job { id }", json!({ "id": job.to_string() })).await;
    }

    let (first, second) = (table.job("q", json!({})).await, table.job("q", json!({})).await);
    let needs =
        |jobs: &[JobId]| json!({ "dependsOn": jobs.iter().map(ToString::to_string).collect::<Vec<_>>() });
    let of_first =
        || why("DEPENDENCY", format!("It needs {first}, which has not ended yet.")).by("Job", first);
    let one = table.job("q", needs(&[first])).await;
    table.expect("one job that it needs", one, of_first()).await;
    let both = table.job("q", needs(&[first, second])).await;
    let sentence = format!("It needs {first} and 1 others, which have not ended yet.");
    table.expect("two jobs that it needs", both, why("DEPENDENCY", sentence).by("Job", first)).await;
    let chained = table.job("q", needs(&[one])).await;
    let sentence = format!("It needs {one}, which has not ended yet.");
    table.expect("one that is blocked itself", chained, why("DEPENDENCY", sentence).by("Job", one)).await;
    let attempt = table.stage.start(first).await;
    table.expect("one that runs", one, of_first()).await;
    table.stage.mutate("queuePause", "queue { id }", json!({ "name": "q" })).await;
    table.expect("one that runs, in a paused queue", one, of_first()).await;
    table.stage.succeed(first, attempt).await;
    let sentence = format!("It needs {second}, which has not ended yet.");
    table.expect("the other of two", both, why("DEPENDENCY", sentence).by("Job", second)).await;
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
        why("NEXT_IN_LINE", "It is next in the queue served, and runs as soon as a worker has a free slot.")
            .at(1)
    };
    table.expect("nobody is before it", first, next()).await;
    let second = table.job("served", json!({})).await;
    table
        .expect(
            "one is before it",
            second,
            why("NEXT_IN_LINE", "One job of the queue served is before it.").at(2),
        )
        .await;
    let urgent = table.job("served", json!({ "priority": 9 })).await;
    table.expect("a late one of a high priority", urgent, next()).await;
    let two = || why("NEXT_IN_LINE", "2 jobs of the queue served are before it.").at(3);
    table.expect("an urgent one came before it", second, two()).await;
    let idle = table.job("served", json!({ "priority": 0 })).await;
    table
        .expect(
            "one of a low priority",
            idle,
            why("NEXT_IN_LINE", "3 jobs of the queue served are before it.").at(4),
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
    let is_paused = || why("QUEUE_PAUSED", "The queue paused is paused.").by("Queue", id.clone());
    table.expect("a paused queue", paused, is_paused()).await;
    table.stage.mutate("queueUpdate", "queue { id }", json!({ "name": "paused", "maxConcurrency": 1 })).await;
    table.expect("a paused queue with a cap", paused, is_paused()).await;
    table.stage.mutate("queueResume", "queue { id }", json!({ "name": "paused" })).await;
    let again =
        why("NEXT_IN_LINE", "It is next in the queue paused, and runs as soon as a worker has a free slot.");
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
        let ids =
            made["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().parse::<JobId>().unwrap());
        jobs.extend(ids);
    }
    // Ids of one call have been made in order, whichever call was committed first.
    jobs.sort_unstable();
    for place in [2_i32, 599, 601, 999, 1000] {
        let job = jobs[usize::try_from(place).unwrap() - 1];
        let sentence = match place {
            2 => "One job of the queue long is before it.".to_owned(),
            place => format!("{} jobs of the queue long are before it.", place - 1),
        };
        table.expect("a place", job, why("NEXT_IN_LINE", sentence).at(place)).await;
    }
    for place in [1001, 1200] {
        let beyond = why("NEXT_IN_LINE", "1000 or more jobs of the queue long are before it.");
        table.expect("a place beyond", jobs[place - 1], beyond).await;
    }
}

#[tokio::test]
async fn as_many_run_as_may() {
    let table = Table::set(&["q", "one", "two"]).await;
    let full = |sentence: String| why("CONCURRENCY", sentence);

    let service = table.service("github", json!({ "maxConcurrency": 2 })).await;
    let with = json!({ "serviceIds": [service] });
    let jobs = [
        table.job("q", with.clone()).await,
        table.job("q", with.clone()).await,
        table.job("q", with.clone()).await,
    ];
    let running = [table.stage.start(jobs[0]).await, table.stage.start(jobs[1]).await];
    let of_service =
        || full("2 jobs of its service github run already, as many as may.".into()).by("Service", &service);
    table.expect("a service is full, before anybody has asked", jobs[2], of_service()).await;
    table.park(jobs[2]).await;
    table.expect("a service is full", jobs[2], of_service()).await;
    let behind = table.job("q", with.clone()).await;
    table.expect("a service is full, and somebody waits", behind, of_service()).await;
    table.stage.succeed(jobs[0], running[0]).await;
    let waits = full("Jobs that came before it wait for its service github.".into()).by("Service", &service);
    let called =
        why("NEXT_IN_LINE", "It is next in the queue q, and runs as soon as a worker has a free slot.").at(1);
    table.expect("a place at the service was left: it is called", jobs[2], called).await;
    table.stage.sql("UPDATE gates SET has_waiters = true").await;
    table.expect("a place was left, and it is not its turn", behind, waits).await;

    let id = |value: &Value| value["queue"]["id"].as_str().unwrap().to_owned();
    let cap = |name: &'static str, most: i32| {
        table.stage.mutate("queueUpdate", "queue { id }", json!({ "name": name, "maxConcurrency": most }))
    };
    let first = table.job("one", json!({})).await;
    let queue = id(&cap("one", 1).await);
    table.stage.start(first).await;
    let job = table.job("one", json!({})).await;
    let of_one =
        full("A job of its queue one runs already, and one may at a time.".into()).by("Queue", &queue);
    table.expect("a queue of one", job, of_one).await;
    let (first, second) = (table.job("two", json!({})).await, table.job("two", json!({})).await);
    let queue = id(&cap("two", 2).await);
    table.stage.start_all(&[first, second]).await;
    let job = table.job("two", json!({})).await;
    let of_two = full("2 jobs of its queue two run already, as many as may.".into()).by("Queue", &queue);
    table.expect("a queue of two", job, of_two).await;

    let limited = table.stage.command("limited", json!({ "policy": { "maxConcurrency": 1 } })).await;
    let own = json!({ "commandId": limited });
    let (first, job) = (table.job("q", own.clone()).await, table.job("q", own.clone()).await);
    table.stage.start(first).await;
    let of_command = full("A job of its command limited runs already, and one may at a time.".into());
    table.expect("a command of one", job, of_command.by("Command", &limited)).await;
    let wide = table.job("q", json!({ "commandId": limited, "policy": { "maxConcurrency": null } })).await;
    assert!(matches!(table.stage.claim(wide).await.1, Answer::Granted(_)), "its own policy has no limit");

    let proxy = json!({ "name": "exit", "protocol": "HTTP", "address": "127.0.0.1:9", "maxConcurrency": 1 });
    let proxy = table.stage.made("proxyCreate", "proxy", proxy).await;
    let through = json!({ "proxyId": proxy });
    let (first, job) = (table.job("q", through.clone()).await, table.job("q", through).await);
    table.stage.start(first).await;
    let of_proxy = full("A job of its proxy exit runs already, and one may at a time.".into());
    table.expect("a proxy of one", job, of_proxy.by("Proxy", &proxy)).await;
}

#[tokio::test]
async fn another_job_is_on_its_profile() {
    let table = Table::set(&["q"]).await;
    let profile = table.stage.profile("alice").await;
    let on = json!({ "profileId": profile });
    let (first, second, third) = (
        table.job("q", on.clone()).await,
        table.job("q", on.clone()).await,
        table.job("q", on.clone()).await,
    );
    let attempt = table.stage.start(first).await;
    let busy = || why("PROFILE_BUSY", format!("Its profile alice is in use by {first}.")).by("Job", first);
    table.expect("a profile in use, before anybody has asked", second, busy()).await;
    table.park(second).await;
    table.expect("a profile in use", second, busy()).await;
    table.expect("a profile in use, and somebody waits", third, busy()).await;
    table.stage.mutate("jobCancel", "job { id }", json!({ "id": first.to_string() })).await;
    table.expect("a profile in use by one that is asked to end", second, busy()).await;
    table.stage.succeed(first, attempt).await;
    let called =
        why("NEXT_IN_LINE", "It is next in the queue q, and runs as soon as a worker has a free slot.").at(1);
    table.expect("the profile is free", second, called).await;
    table.stage.start(second).await;
    let other = why("PROFILE_BUSY", format!("Its profile alice is in use by {second}.")).by("Job", second);
    table.expect("the next one is on it", third, other).await;
}

#[tokio::test]
async fn a_rate_of_its_own_or_of_a_service() {
    let table = Table::set(&["q"]).await;
    let hourly = json!({ "rateLimits": [{ "name": "hour", "limit": 1, "per": "PT1H" }] });
    let service = table.service("hourly", hourly.clone()).await;
    let with = json!({ "serviceIds": [service] });
    let (first, job) = (table.job("q", with.clone()).await, table.job("q", with.clone()).await);
    table.stage.start(first).await;
    let opens = table.started_at(first).await + Duration::from_hours(1);
    let no_room = |it: &str| format!("The limit hour of its {it} has no room for it before {{until}}.");
    let of_service = || why("RATE_LIMIT", no_room("service hourly")).by("Service", &service).until(opens);
    table.expect("a rate of a service, before anybody has asked", job, of_service()).await;
    table.park(job).await;
    table.expect("a rate of a service", job, of_service()).await;
    table.expect("a rate of a service, and somebody waits", table.job("q", with).await, of_service()).await;

    let limited = table.stage.command("limited", json!({ "policy": hourly })).await;
    let own = json!({ "commandId": limited });
    let (first, job) = (table.job("q", own.clone()).await, table.job("q", own).await);
    table.stage.start(first).await;
    let of_command =
        why("RATE_LIMIT", no_room("command limited")).by("Command", &limited).until(in_seconds(3600));
    table.expect("a rate of its command", job, of_command).await;

    let mut proxy = hourly.clone();
    proxy["name"] = json!("exit");
    proxy["protocol"] = json!("HTTP");
    proxy["address"] = json!("127.0.0.1:9");
    let proxy = table.stage.made("proxyCreate", "proxy", proxy).await;
    let through = json!({ "proxyId": proxy });
    let (first, job) = (table.job("q", through.clone()).await, table.job("q", through).await);
    table.stage.start(first).await;
    let of_proxy = why("RATE_LIMIT", no_room("proxy exit")).by("Proxy", &proxy).until(in_seconds(3600));
    table.expect("a rate of its proxy", job, of_proxy).await;

    let two = json!({ "maxConcurrency": 1, "rateLimits": [{ "name": "minute", "limit": 1, "per": "PT1M" },
        { "name": "day", "limit": 2, "per": "P1D" }] });
    let both = table.service("both", two).await;
    let with = json!({ "serviceIds": [both] });
    let (first, job) = (table.job("q", with.clone()).await, table.job("q", with.clone()).await);
    table.stage.start(first).await;
    let longest = "The limit day of its service both has no room for it before {until}.";
    let longest = || why("RATE_LIMIT", longest).by("Service", &both).until(in_seconds(12 * 3600));
    table.expect("of two rates and a cap, what takes longest", job, longest()).await;
    let on_both = table.job("q", json!({ "serviceIds": [service, both] })).await;
    table.expect("of two services, the one that takes longest", on_both, longest()).await;
}

#[tokio::test]
async fn a_service_that_has_said_so_itself() {
    let table = Table::set(&["q"]).await;
    let service = table.service("github", json!({ "maxConcurrency": 1 })).await;
    let with = json!({ "serviceIds": [service] });
    let job = table.job("q", with.clone()).await;
    table.hear(&service, 429, &[("retry-after", "600")], None).await;
    let refusing = || {
        why("RATE_LIMIT", "Its service github asked for no more requests before {until}.")
            .by("Service", &service)
    };
    table.expect("a service that refuses", job, refusing().until(in_seconds(600))).await;
    table.park(job).await;
    table.expect("parked on it", job, refusing().until(in_seconds(600))).await;
    table.hear(&service, 429, &[("retry-after", "1800")], None).await;
    table.expect("it refuses again, for longer", job, refusing().until(in_seconds(1800))).await;

    let quota = r#"{ "error": { "type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your current quota." } }"#;
    table.hear(&service, 429, &[], Some(quota)).await;
    let shown = table
        .stage
        .data("query($id: ID!) { service(id: $id) { suspendedReason } }", json!({ "id": service }))
        .await;
    let reason = shown["service"]["suspendedReason"].as_str().unwrap().to_owned();
    assert!(!reason.is_empty());
    let suspended = || {
        why("SERVICE_SUSPENDED", format!("Its service github is suspended: {reason}")).by("Service", &service)
    };
    table.expect("a service that wants to be paid", job, suspended()).await;
    let other = table
        .service("other", json!({ "rateLimits": [{ "name": "hour", "limit": 1, "per": "PT1H" }] }))
        .await;
    let both = json!({ "serviceIds": [other, service] });
    let (first, on_both) =
        (table.job("q", json!({ "serviceIds": [other] })).await, table.job("q", both).await);
    table.stage.start(first).await;
    table.expect("suspended goes before a rate", on_both, suspended()).await;
    table.stage.mutate("serviceResume", "service { id }", json!({ "id": service })).await;
    let of_other =
        why("RATE_LIMIT", "The limit hour of its service other has no room for it before {until}.");
    table
        .expect("resumed, the rate is left", on_both, of_other.by("Service", &other).until(in_seconds(3600)))
        .await;

    let reset = in_seconds(900).timestamp().to_string();
    let headers = [
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", reset.as_str()),
        ("x-ratelimit-resource", "core"),
    ];
    let told = table.service("told", json!({})).await;
    table.hear(&told, 200, &headers, None).await;
    let job = table.job("q", json!({ "serviceIds": [told] })).await;
    let used_up = why("RATE_LIMIT", "Its service told says that its limit core is used up until {until}.");
    table
        .expect(
            "a service whose own limit is used up",
            job,
            used_up.by("Service", &told).until(in_seconds(900)),
        )
        .await;
    let free = table.service("free", json!({})).await;
    let job = table.job("free", json!({ "serviceIds": [free] })).await;
    table.expect("another service", job, why("NO_WORKER", "No active worker serves the queue free.")).await;
}
