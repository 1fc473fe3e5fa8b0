//! scheduleRunNow: the job, who may, and what a refusal says.

use std::time::Duration;

use callboard::steps::enqueue::fire_schedules::fire_schedules;
use serde_json::{Value, json};

use crate::api::{TestApi, reasons};

const JOB: &str =
    "job { id state createdBy schedule { name nextRunAt lastRunAt isPaused } scheduledFor input labels }";

async fn scheduled(api: &TestApi, name: &str, job: Value) -> Value {
    let input = json!({ "name": name, "cron": "0 0 1 1 *", "job": job });
    api.mutate_ok("scheduleCreate", "id nextRunAt", input).await
}

/// What an OPERATOR gets.
async fn run(api: &TestApi, id: &Value) -> Value {
    let query = format!(
        "mutation($id: ID!) {{ scheduleRunNow(input: {{ id: $id }}) {{ {JOB} userErrors {{ code path message }} }} }}"
    );
    let (_, mut response) = api.execute(Some("cb_operator"), &query, json!({ "id": id })).await;
    assert_eq!(response.get("errors"), None, "{response}");
    response["data"]["scheduleRunNow"].take()
}

#[tokio::test]
async fn a_schedule_that_is_run_by_hand_enqueues_a_job_and_stays_as_it_was() {
    let api = TestApi::start().await;
    let schema = json!({ "properties": { "pin": { "type": "string", "writeOnly": true } } });
    let command =
        json!({ "name": "c", "spec": { "program": { "program": "/usr/bin/true" } }, "inputSchema": schema });
    let command = api.mutate_ok("commandCreate", "id", command).await["id"].clone();
    let job = json!({ "commandId": command, "input": { "pin": "9081726354" }, "labels": ["l"] });
    let schedule = scheduled(&api, "yearly", job).await;
    let pause = json!({ "id": schedule["id"], "isPaused": true });
    for (is_paused, next) in [(false, schedule["nextRunAt"].clone()), (true, Value::Null)] {
        if is_paused {
            api.mutate_ok("scheduleUpdate", "id", pause.clone()).await;
        }
        let payload = run(&api, &schedule["id"]).await;
        assert_eq!(payload["userErrors"], json!([]));
        let mut job = payload["job"].clone();
        assert!(job["id"].take().as_str().unwrap().starts_with("job_"));
        let of = json!({ "name": "yearly", "nextRunAt": next, "lastRunAt": null, "isPaused": is_paused });
        let expected = json!({ "id": null, "state": "QUEUED", "createdBy": "cb_operator", "schedule": of,
            "scheduledFor": null, "input": { "pin": "***" }, "labels": ["l"] });
        assert_eq!(job, expected);
    }
    let listed = "query($ids: [ID!]) { jobs(filter: { scheduleIds: $ids }) { totalCount } }";
    let listed = api.data(listed, json!({ "ids": [schedule["id"]] })).await;
    assert_eq!(listed["jobs"]["totalCount"], 2);
    let entries = api
        .data(
            "{ auditEvents(filter: { action: \"scheduleRunNow\" }) { nodes { actor outcome objectName after count } } }",
            json!({}),
        )
        .await;
    let entry = &entries["auditEvents"]["nodes"][0];
    assert_eq!((&entry["actor"], &entry["outcome"]), (&json!("cb_operator"), &json!("DONE")));
    assert_eq!(entry["after"]["jobs"][0]["scheduleId"], schedule["id"], "{entry}");
    assert_eq!(fire_schedules(&api.submit()).await.value.unwrap(), None::<Duration>);
    api.assert_never_returned(&["9081726354"]);
}

#[tokio::test]
async fn a_run_by_hand_is_refused_as_the_caller_s_own_job() {
    let api = TestApi::start().await;
    let profile = api.create("profile", "p").await;
    let input = json!({ "name": "c", "spec": { "program": { "program": "/usr/bin/true" } },
        "choices": { "profiles": { "rule": "LISTED", "ids": [] } } });
    let command = api.mutate_ok("commandCreate", "id", input).await["id"].clone();
    let chosen = scheduled(&api, "chosen", json!({ "commandId": command, "profileId": profile })).await;
    let payload = run(&api, &chosen["id"]).await;
    assert_eq!((&payload["job"], reasons(&payload["userErrors"])), (&Value::Null, vec!["INVALID id".into()]));
    let message = payload["userErrors"][0]["message"].as_str().unwrap();
    let expected = "The job of the schedule chosen was refused (profileId: the command c does not let its jobs choose the profile p.";
    assert!(message.starts_with(expected), "{message}");
    // An ADMIN may choose any.
    let admin = api.mutate("scheduleRunNow", "job { id }", json!({ "id": chosen["id"] })).await;
    assert!(admin["job"].is_object(), "{admin}");

    // The schema has changed since.
    let bare = scheduled(&api, "bare", json!({ "commandId": command })).await;
    let update = json!({ "id": command, "inputSchema": { "required": ["n"] } });
    api.mutate_ok("commandUpdate", "id", update).await;
    let payload = run(&api, &bare["id"]).await;
    let message = payload["userErrors"][0]["message"].as_str().unwrap();
    assert!(message.contains("The job of the schedule bare was refused (input"), "{message}");

    let gone = api.mutate("scheduleDelete", "deletedId", json!({ "id": bare["id"] })).await;
    for id in
        [&gone["deletedId"], &json!("schedule_00000000000000000000000000"), &json!("x"), &json!(profile)]
    {
        let payload = run(&api, id).await;
        assert_eq!(reasons(&payload["userErrors"]), ["NOT_FOUND id"], "{id}");
    }
}
