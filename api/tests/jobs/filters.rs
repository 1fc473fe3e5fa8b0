//! Every field of `JobFilter`, read from the schema, against `jobs` and `jobsChanged`: both must
//! select the same jobs. A field that is new in the schema has no row here and fails.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    changes::CHANGES,
    client::{Received, Subscription},
    harness::Harness,
};

/// Two jobs that differ in every field of the filter.
struct Two {
    one: Value,
    other: Value,
    /// A cursor of jobsChanged from before both.
    before: Value,
    /// Keeps the server's position behind both, so that a stream tells them in its first message.
    _following: Subscription,
}

const FIELDS: &str = "id state queue labels createdAt command { id } profile { id } proxy { id }
    services { id } schedule { id }";

async fn make_two(harness: &Harness) -> Two {
    harness.register_worker(&["one", "other"]).await;
    let mut first = harness.subscribe(CHANGES, json!({})).await;
    let before = first.next().await["cursor"].take();
    let mut jobs = Vec::new();
    for name in ["one", "other"] {
        let command = harness.create_command(name, json!({})).await;
        let proxy = json!({ "name": name, "protocol": "HTTP", "address": "127.0.0.1:3128" });
        let schedule = json!({ "name": name, "cron": "0 0 1 1 *", "job": { "commandId": command } });
        harness.create("scheduleCreate", "schedule", schedule).await;
        let input = json!({
            "commandId": command,
            "queue": name,
            "labels": [name],
            "profileId": harness.create_profile(name).await,
            "proxyId": harness.create("proxyCreate", "proxy", proxy).await,
            "serviceIds": [harness.create("serviceCreate", "service", json!({ "name": name })).await],
        });
        jobs.push(harness.enqueue(input).await);
        // Far enough apart for times in milliseconds.
        harness.sql("SELECT pg_sleep(0.01)").await;
    }
    harness
        .sql(
            "UPDATE jobs SET due_at = now(),
                 schedule_id = (SELECT id FROM schedules WHERE schedules.name = jobs.queue)",
        )
        .await;
    harness.start(jobs[0]).await;
    let mut told = BTreeSet::new();
    while told.len() < 2 {
        let message = first.next().await;
        let is_newest = |change: &&Value| change["state"] == "RUNNING" || change["id"] == jobs[1].to_string();
        let newest = message["changes"].as_array().unwrap().iter().filter(is_newest);
        told.extend(newest.map(|change| change["id"].to_string()));
    }
    Two {
        one: harness.read_job(jobs[0], FIELDS).await,
        other: harness.read_job(jobs[1], FIELDS).await,
        before,
        _following: first,
    }
}

/// The value of a filter's field that selects this job and not the other one.
fn value_of(field: &str, job: &Value, two: &Two) -> Value {
    match field {
        "ids" => json!([job["id"]]),
        "states" => json!([job["state"]]),
        "queues" => json!([job["queue"]]),
        "commandIds" => json!([job["command"]["id"]]),
        "profileIds" => json!([job["profile"]["id"]]),
        "proxyIds" => json!([job["proxy"]["id"]]),
        "serviceIds" => json!([job["services"][0]["id"]]),
        "scheduleIds" => json!([job["schedule"]["id"]]),
        "labels" => json!([job["labels"][0]]),
        "createdAt" if job == &two.one => json!({ "lt": two.other["createdAt"] }),
        "createdAt" => json!({ "gte": two.other["createdAt"] }),
        "search" => job["labels"][0].clone(),
        new => panic!("JobFilter.{new} has no row in this table"),
    }
}

/// The ids of the jobs that the list has.
async fn listed(harness: &Harness, filter: &Value) -> BTreeSet<String> {
    let query = "query($filter: JobFilter) { jobs(filter: $filter) { nodes { id } } }";
    let data = harness.data(query, json!({ "filter": filter })).await;
    let nodes = data["jobs"]["nodes"].as_array().unwrap().clone();
    nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

/// The ids of the jobs that the stream says are in the filter, since before both jobs were.
async fn told(harness: &Harness, filter: &Value, two: &Two, expected: usize) -> BTreeSet<String> {
    let mut changes = harness.subscribe(CHANGES, json!({ "filter": filter, "after": two.before })).await;
    if expected == 0 {
        assert!(changes.is_silent_for(Duration::from_millis(500)).await, "{filter}");
        return BTreeSet::new();
    }
    let message = changes.next().await;
    assert_eq!(message["isReset"], false, "{filter}");
    let changes = message["changes"].as_array().unwrap();
    let inside = changes.iter().filter(|change| change["isInFilter"] == true);
    inside.map(|change| change["id"].as_str().unwrap().to_owned()).collect()
}

async fn check(harness: &Harness, two: &Two, filter: Value, expected: BTreeSet<String>) {
    assert_eq!(listed(harness, &filter).await, expected, "jobs: {filter}");
    if filter["search"].is_null() {
        let told = told(harness, &filter, two, expected.len()).await;
        assert_eq!(told, expected, "jobsChanged: {filter}");
    } else {
        let mut refused = harness.subscribe(CHANGES, json!({ "filter": filter })).await;
        assert_eq!(refused.message().await, Received::Refused(vec!["BAD_REQUEST".into()]));
    }
}

#[tokio::test]
async fn the_list_and_the_stream_select_the_same_jobs_by_every_field() {
    let harness = Harness::new().await;
    let two = make_two(&harness).await;
    let fields = harness.filter_fields().await;
    assert!(fields.len() >= 11, "{fields:?}");
    let (one, other) = (two.one["id"].as_str().unwrap(), two.other["id"].as_str().unwrap());
    let mut cases: Vec<(Value, Vec<&str>)> = vec![(json!({}), vec![one, other])];
    for (field, is_list) in &fields {
        cases.push((json!({ field: null }), vec![one, other]));
        cases.push((json!({ field: value_of(field, &two.one, &two) }), vec![one]));
        cases.push((json!({ field: value_of(field, &two.other, &two) }), vec![other]));
        if *is_list {
            cases.push((json!({ field: [] }), vec![]));
        }
        // Several fields must all match.
        for (second, _) in fields.iter().filter(|(second, _)| second > field) {
            let both = |a: &Value, b: &Value| json!({ field: value_of(field, a, &two), second: value_of(second, b, &two) });
            cases.push((both(&two.one, &two.one), vec![one]));
            cases.push((both(&two.one, &two.other), vec![]));
        }
    }
    while !cases.is_empty() {
        let batch = cases.split_off(cases.len().saturating_sub(30));
        let checks = batch.into_iter().map(|(filter, expected)| {
            let expected = expected.into_iter().map(str::to_owned).collect();
            check(&harness, &two, filter, expected)
        });
        join_all(checks).await;
    }
}
