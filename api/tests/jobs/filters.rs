//! Every field of `JobFilter`, read from the schema, against `jobs` and `jobsChanged`: both must
//! select the same jobs. A field that is new in the schema has no row here and fails.

use std::collections::BTreeSet;

use callboard::ids::JobId;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    changes::CHANGES,
    client::{Received, Subscription},
    harness::Harness,
};

/// Two jobs that differ in every field of the filter, between two sentinels.
///
/// Silence proves nothing, because a stream may be late. So a filter that selects neither job is
/// widened by the sentinels' own values, and only the sentinels may be reported.
struct Jobs {
    one: Value,
    other: Value,
    /// The job before both and the job after both. They have the labels of both.
    sentinels: [Value; 2],
    /// A cursor of jobsChanged from before all.
    before: Value,
    /// Keeps the server's position behind all, so that a stream reports them in its first message.
    _following: Subscription,
}

const FIELDS: &str = "id state queue labels createdAt command { id } profile { id } proxy { id }
    services { id } schedule { id }";

async fn enqueue(harness: &Harness, name: &str) -> JobId {
    let command = harness.create_command(name, json!({})).await;
    let proxy = json!({ "name": name, "protocol": "HTTP", "address": "127.0.0.1:3128" });
    let schedule = json!({ "name": name, "cron": "0 0 1 1 *", "job": { "commandId": command } });
    harness.create("scheduleCreate", "schedule", schedule).await;
    let is_sentinel = matches!(name, "first" | "last");
    let input = json!({
        "commandId": command,
        "queue": name,
        "labels": if is_sentinel { vec!["one", "other"] } else { vec![name] },
        "runAt": is_sentinel.then_some("2100-01-01T00:00:00Z"),
        "profileId": harness.create_profile(name).await,
        "proxyId": harness.create("proxyCreate", "proxy", proxy).await,
        "serviceIds": [harness.create("serviceCreate", "service", json!({ "name": name })).await],
    });
    let job = harness.enqueue(input).await;
    // Far enough apart for times in milliseconds.
    harness.sql("SELECT pg_sleep(0.01)").await;
    job
}

async fn make_jobs(harness: &Harness) -> Jobs {
    harness.register_worker(&["one", "other"]).await;
    let mut following = harness.subscribe(CHANGES, json!({})).await;
    let before = following.next().await["cursor"].take();
    let mut jobs = Vec::new();
    for name in ["first", "one", "other", "last"] {
        jobs.push(enqueue(harness, name).await);
    }
    harness
        .sql(
            "UPDATE jobs SET due_at = now(),
                 schedule_id = (SELECT id FROM schedules WHERE schedules.name = jobs.queue)",
        )
        .await;
    harness.start(jobs[1]).await;
    let mut reported = BTreeSet::new();
    while reported.len() < jobs.len() {
        let message = following.next().await;
        let is_newest = |change: &&Value| change["state"] == "RUNNING" || change["id"] != jobs[1].to_string();
        let newest = message["changes"].as_array().unwrap().iter().filter(is_newest);
        reported.extend(newest.map(|change| change["id"].to_string()));
    }
    let mut read = Vec::new();
    for job in jobs {
        read.push(harness.read_job(job, FIELDS).await);
    }
    let [first, one, other, last] = read.try_into().unwrap();
    Jobs { one, other, sentinels: [first, last], before, _following: following }
}

/// The value of a filter's field that selects this job and not the other one.
fn value_of(field: &str, job: &Value, jobs: &Jobs) -> Value {
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
        "createdAt" if job == &jobs.one => json!({ "lt": jobs.other["createdAt"] }),
        "createdAt" => json!({ "gte": jobs.other["createdAt"] }),
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

/// The ids of the jobs that the stream says are in the filter, since before all were.
async fn reported(harness: &Harness, filter: &Value, jobs: &Jobs) -> BTreeSet<String> {
    let mut changes = harness.subscribe(CHANGES, json!({ "filter": filter, "after": jobs.before })).await;
    let message = changes.next().await;
    assert_eq!(message["isReset"], false, "{filter}");
    let changes = message["changes"].as_array().unwrap();
    let inside = changes.iter().filter(|change| change["isInFilter"] == true);
    inside.map(|change| change["id"].as_str().unwrap().to_owned()).collect()
}

/// The filter with the sentinels' values in its lists. One of them is in every range of times.
fn with_sentinels(filter: &Value, jobs: &Jobs) -> Value {
    let mut wide = filter.clone();
    for (field, value) in wide.as_object_mut().unwrap() {
        let Some(list) = value.as_array_mut() else { continue };
        if field == "labels" {
            // Jobs must have all of them.
            list.extend(jobs.sentinels[0]["labels"].as_array().cloned().unwrap_or_default());
        } else {
            for sentinel in &jobs.sentinels {
                list.extend(value_of(field, sentinel, jobs).as_array().cloned().unwrap_or_default());
            }
        }
    }
    wide
}

/// What a filter selects, by the positions of the jobs: 0 and 3 are the sentinels.
type Selected = BTreeSet<usize>;

fn ids(selected: &Selected, jobs: &Jobs) -> BTreeSet<String> {
    let [first, last] = &jobs.sentinels;
    let all = [first, &jobs.one, &jobs.other, last];
    selected.iter().map(|position| all[*position]["id"].as_str().unwrap().to_owned()).collect()
}

async fn check(harness: &Harness, jobs: &Jobs, filter: Value, selected: Selected) {
    let expected = ids(&selected, jobs);
    assert_eq!(listed(harness, &filter).await, expected, "jobs: {filter}");
    if !filter["search"].is_null() {
        let mut refused = harness.subscribe(CHANGES, json!({ "filter": filter })).await;
        assert_eq!(refused.message().await, Received::Refused(vec!["BAD_REQUEST".into()]));
    } else if !selected.is_empty() {
        assert_eq!(reported(harness, &filter, jobs).await, expected, "jobsChanged: {filter}");
    } else {
        let wide = with_sentinels(&filter, jobs);
        let sentinels: BTreeSet<String> = listed(harness, &wide).await;
        assert!(!sentinels.is_empty() && sentinels.is_subset(&ids(&[0, 3].into(), jobs)), "{wide}");
        assert_eq!(reported(harness, &wide, jobs).await, sentinels, "jobsChanged: {wide}");
    }
}

/// What the value of a field selects that is made of the first or of the second job.
fn selected(field: &str, is_of_one: bool) -> Selected {
    match (field, is_of_one) {
        ("labels" | "search", true) => [0, 1, 3].into(),
        ("labels" | "search", false) => [0, 2, 3].into(),
        ("createdAt", true) => [0, 1].into(),
        ("createdAt", false) => [2, 3].into(),
        (_, true) => [1].into(),
        (_, false) => [2].into(),
    }
}

#[tokio::test]
async fn the_list_and_the_stream_select_the_same_jobs_by_every_field() {
    let harness = Harness::new().await;
    let jobs = make_jobs(&harness).await;
    let fields = harness.filter_fields().await;
    assert!(fields.len() >= 11, "{fields:?}");
    let all: Selected = [0, 1, 2, 3].into();
    let mut cases: Vec<(Value, Selected)> = vec![(json!({}), all.clone())];
    let (one, other) = ((&jobs.one, true), (&jobs.other, false));
    for (field, is_list) in &fields {
        cases.push((json!({ field: null }), all.clone()));
        for (job, is_of_one) in [one, other] {
            cases.push((json!({ field: value_of(field, job, &jobs) }), selected(field, is_of_one)));
        }
        if *is_list {
            cases.push((json!({ field: [] }), Selected::new()));
        }
        // Several fields must all match.
        for (second, _) in fields.iter().filter(|(second, _)| second > field) {
            for (left, right) in [(one, one), (one, other)] {
                let (a, b) = (value_of(field, left.0, &jobs), value_of(second, right.0, &jobs));
                let both = &selected(field, left.1) & &selected(second, right.1);
                cases.push((json!({ field: a, second: b }), both));
            }
        }
    }
    while !cases.is_empty() {
        let batch = cases.split_off(cases.len().saturating_sub(30));
        join_all(batch.into_iter().map(|(filter, selected)| check(&harness, &jobs, filter, selected))).await;
    }
}
