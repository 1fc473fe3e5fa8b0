//! What a private command keeps from VIEWERs: in fields, lists, streams and by ids.

use callboard::{
    ids::JobId,
    job::{Failure, FailureCode, Outcome},
};
use serde_json::{Value, json};

use crate::{
    client::{Received, Subscription},
    harness::Harness,
};

/// In inputs, logs, results, messages and names. Never shown to a VIEWER.
const CANARY: &str = "canary-5e3d";

/// Everything that shows a job, and what belongs to it.
const JOB: &str =
    "isKeptBack input composed { kind program arguments environment display http { url } } result
    progress { fraction message } failure { code message } artifacts { name url } createdBy idempotencyKey
    log(first: 10, search: \"canary\") { totalCount nodes { text } } all: log(first: 10) { totalCount nodes { text } }
    events(first: 10) { nodes { kind message actor } }
    attempts(first: 3) { nodes { id composed { arguments display } failure { code message } } }";

async fn read(harness: &Harness, key: &str, job: JobId) -> Value {
    let query = format!("query($id: ID!) {{ job(id: $id) {{ {JOB} }}
        listed: jobs(first: 2, filter: {{ ids: [$id] }}) {{ nodes {{ {JOB} }} }} node(id: $id) {{ ... on Job {{ {JOB} }} }} }}");
    let mut response = harness.execute(key, &query, json!({ "id": job.to_string() })).await;
    assert_eq!(response.get("errors"), None, "{response}");
    response["data"].take()
}

/// A job that has failed, with the canary wherever a job can have it.
async fn failed_job(harness: &Harness, command: &str) -> (JobId, String) {
    let job = harness.enqueue(json!({ "commandId": command, "input": { "note": CANARY } })).await;
    let attempt = harness.start(job).await;
    harness.log(job, attempt, &[CANARY]).await;
    let artifact = harness.keep_artifact(job, attempt, CANARY).await;
    let failure = Failure::new(FailureCode::INTERNAL, CANARY, false);
    harness.settle(job, attempt, Outcome::Failed(failure)).await;
    (job, artifact.to_string())
}

async fn command(harness: &Harness, more: Value) -> String {
    let mut input =
        json!({ "spec": { "program": { "program": "/bin/echo", "arguments": ["{{ input.note }}"] } } });
    input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    harness.create_command("c", input).await
}

#[tokio::test]
async fn contents_are_kept_from_viewers_and_from_no_one_else() {
    let harness = Harness::new().await;
    let command = command(&harness, json!({ "isPrivate": true })).await;
    harness.register_worker(&["default"]).await;
    let (job, artifact) = failed_job(&harness, &command).await;

    for key in ["cb_admin", "cb_operator"] {
        let shown = read(&harness, key, job).await;
        let of_job = &shown["job"];
        assert_eq!(
            (&of_job["isKeptBack"], &of_job["input"]),
            (&json!(false), &json!({ "note": CANARY })),
            "{key}"
        );
        assert_eq!(
            (&of_job["composed"]["arguments"], &of_job["log"]["totalCount"]),
            (&json!([CANARY]), &json!(1))
        );
        assert_eq!(
            (&of_job["failure"]["message"], &of_job["artifacts"][0]["name"]),
            (&json!(CANARY), &json!(CANARY))
        );
    }
    let shown = read(&harness, "cb_viewer", job).await;
    assert!(!shown.to_string().contains(CANARY), "{shown}");
    for of_job in [&shown["job"], &shown["listed"]["nodes"][0], &shown["node"]] {
        assert_eq!((&of_job["isKeptBack"], &of_job["input"]), (&json!(true), &json!("***")));
        assert_eq!(
            (&of_job["composed"]["display"], &of_job["composed"]["kind"]),
            (&json!("***"), &json!("PROGRAM"))
        );
        assert_eq!(
            (&of_job["failure"]["code"], &of_job["failure"]["message"]),
            (&json!("INTERNAL"), &json!("***"))
        );
        assert_eq!((&of_job["all"]["totalCount"], &of_job["artifacts"]), (&json!(0), &json!([])));
        assert_eq!(of_job["createdBy"], "cb_admin");
        let actors: Vec<&Value> =
            of_job["events"]["nodes"].as_array().unwrap().iter().map(|event| &event["actor"]).collect();
        assert_eq!(actors, ["cb_admin", "worker", "worker"]);
    }
    let node = "query($id: ID!) { node(id: $id) { ... on Artifact { name url } } }";
    let by_id =
        async |key: &str| harness.execute(key, node, json!({ "id": artifact })).await["data"]["node"].take();
    assert_eq!(by_id("cb_viewer").await, Value::Null);
    assert_eq!(by_id("cb_operator").await["name"], CANARY);

    let stream = "subscription($id: ID!) { jobLog(jobId: $id) { lines { text } } }";
    let variables = json!({ "id": job.to_string() });
    let mut kept_back = Subscription::open(harness.address, "cb_viewer", stream, variables.clone()).await;
    let refused = format!("{:?}", kept_back.message().await);
    assert!(refused.contains("FORBIDDEN") && !refused.contains(CANARY), "{refused}");
    let mut shown = Subscription::open(harness.address, "cb_operator", stream, variables.clone()).await;
    assert!(shown.next().await.to_string().contains(CANARY));
    let stream =
        "subscription($id: ID!) { jobEvents(jobId: $id) { kind message job { input failure { message } } } }";
    let mut events = Subscription::open(harness.address, "cb_viewer", stream, variables).await;
    for _ in 0..4 {
        let event = events.next().await;
        assert!(!event.to_string().contains(CANARY), "{event}");
    }
}

#[tokio::test]
async fn privacy_holds_for_the_jobs_that_exist_and_outlives_the_command() {
    let harness = Harness::new().await;
    let command = command(&harness, json!({})).await;
    harness.register_worker(&["default"]).await;
    let (open, _) = failed_job(&harness, &command).await;
    let is_kept_back = async |job| read(&harness, "cb_viewer", job).await["job"]["isKeptBack"].take();
    let set = async |value: Value| {
        let changed = harness.mutate(
            "commandUpdate",
            "command { isPrivate }",
            json!({ "id": command, "isPrivate": value }),
        );
        changed.await["command"]["isPrivate"].take()
    };
    assert_eq!(is_kept_back(open).await, false);
    assert_eq!(set(json!(true)).await, true);
    assert_eq!(is_kept_back(open).await, true, "true holds for the jobs that exist");
    let (private, _) = failed_job(&harness, &command).await;
    assert_eq!(set(json!(null)).await, false);
    assert_eq!((is_kept_back(open).await, is_kept_back(private).await), (json!(false), json!(true)));
    assert_eq!(set(json!(true)).await, true);
    let deleted = harness.mutate("commandDelete", "deletedId", json!({ "id": command })).await;
    assert_eq!(deleted["deletedId"], json!(command));
    assert_eq!((is_kept_back(open).await, is_kept_back(private).await), (json!(true), json!(true)));
}

#[tokio::test]
async fn a_private_schedule_keeps_its_input_back() {
    let harness = Harness::new().await;
    let command = command(&harness, json!({ "isPrivate": true })).await;
    let job = json!({ "commandId": command, "input": { "note": CANARY } });
    let schedule = json!({ "name": "s", "cron": "0 0 1 1 *", "job": job });
    harness.create("scheduleCreate", "schedule", schedule).await;
    harness.sql("UPDATE schedules SET last_failure = 'The input is canary-5e3d.'").await;
    let query = "{ schedule(name: \"s\") { lastFailure job { input } } }";
    let read = async |key: &str| harness.execute(key, query, json!({})).await["data"]["schedule"].take();
    assert_eq!(read("cb_viewer").await, json!({ "lastFailure": "***", "job": { "input": "***" } }));
    let shown = read("cb_operator").await;
    assert_eq!(shown["job"]["input"], json!({ "note": CANARY }));
    assert!(shown["lastFailure"].as_str().unwrap().contains(CANARY), "{shown}");
    harness.sql("UPDATE schedules SET last_failure = NULL").await;
    assert_eq!(read("cb_viewer").await["lastFailure"], Value::Null);
}

#[tokio::test]
async fn streams_show_nothing_more_once_the_command_is_private() {
    let harness = Harness::new().await;
    let command = command(&harness, json!({})).await;
    harness.register_worker(&["default"]).await;
    let job = harness.enqueue(json!({ "commandId": command, "input": { "note": CANARY } })).await;
    let attempt = harness.start(job).await;
    harness.log(job, attempt, &[CANARY]).await;
    let open = async |key: &str, stream: &str| {
        let query = format!("subscription($id: ID!) {{ {stream} }}");
        let variables = if stream.contains("$id") { json!({ "id": job.to_string() }) } else { json!({}) };
        let query = if stream.contains("$id") { query } else { query.replace("($id: ID!)", "") };
        Subscription::open(harness.address, key, &query, variables).await
    };
    let log = "jobLog(jobId: $id) { lines { text } }";
    let mut logs = [open("cb_viewer", log).await, open("cb_operator", log).await];
    for log in &mut logs {
        assert_eq!(log.next().await["lines"][0]["text"], CANARY, "the command is not private yet");
    }
    let job_fields = "input result failure { message } progress { message }";
    let events = format!(
        "jobEvents(jobId: $id) {{ kind message job {{ {job_fields} log(first: 9) {{ totalCount }} }} }}"
    );
    let changes = format!("jobsChanged {{ isReset changes {{ state job {{ {job_fields} }} }} }}");
    let mut events = open("cb_viewer", &events).await;
    while events.next().await["kind"] != "STARTED" {}
    let mut changes = open("cb_viewer", &changes).await;
    assert_eq!(changes.next().await["isReset"], true);

    let private = json!({ "id": command, "isPrivate": true });
    harness.mutate("commandUpdate", "command { id }", private).await;
    harness.log(job, attempt, &[CANARY]).await;
    let [of_viewer, of_operator] = &mut logs;
    assert_eq!(of_viewer.message().await, Received::Refused(vec!["FORBIDDEN".into()]));
    assert_eq!(of_viewer.message().await, Received::Complete);
    assert_eq!(of_operator.next().await["lines"][0]["text"], CANARY);
    let failure = Failure::new(FailureCode::INTERNAL, CANARY, false);
    harness.settle(job, attempt, Outcome::Failed(failure)).await;
    let last = events.next().await;
    assert_eq!((&last["kind"], &last["job"]["input"]), (&json!("FAILED"), &json!("***")));
    assert!(!last.to_string().contains(CANARY), "{last}");
    let change = changes.next().await;
    assert_eq!(change["changes"][0]["job"]["input"], "***");
    assert!(!change.to_string().contains(CANARY), "{change}");
}
