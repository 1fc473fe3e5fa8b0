//! jobEnqueueAgain: absent, null and changed fields, secrets, and refusals.

use serde_json::{Value, json};

use crate::harness::{Harness, reasons};

const FIELDS: &str = "job { id state queue priority labels fairnessKey runAt input policy { timeout } profile { name } createdBy
    idempotencyKey dependsOn { totalCount } } wasDuplicate";

async fn as_operator(harness: &Harness, input: Value) -> Value {
    let query = format!(
        "mutation($input: JobEnqueueAgainInput!) {{ jobEnqueueAgain(input: $input) {{ {FIELDS} userErrors {{ code path message }} }} }}"
    );
    let mut response = harness.execute("cb_operator", &query, json!({ "input": input })).await;
    assert_eq!(response.get("errors"), None, "{response}");
    response["data"]["jobEnqueueAgain"].take()
}

#[tokio::test]
async fn absent_is_as_the_job_has_it_and_null_as_if_nothing_had_been_given() {
    let harness = Harness::new().await;
    let schema = json!({ "properties": { "pin": { "type": "string", "writeOnly": true } } });
    let command =
        harness.create_command("hello", json!({ "inputSchema": schema, "queue": "of-command" })).await;
    let profile = harness.create_profile("p").await;
    let input = json!({
        "commandId": command, "profileId": profile, "queue": "own", "priority": 8, "labels": ["l"], "fairnessKey": "f",
        "runAt": "2100-01-01T00:00:00Z", "policy": { "timeout": "PT9S" }, "idempotencyKey": "i",
        "input": { "pin": "9081726354", "n": 1 },
    });
    let job = harness.enqueue(input).await.to_string();
    let copy = harness.mutate("jobEnqueueAgain", FIELDS, json!({ "id": job })).await;
    assert_eq!((&copy["userErrors"], &copy["wasDuplicate"]), (&json!([]), &json!(false)));
    let mut copy = copy["job"].clone();
    assert_ne!(copy["id"].take(), job);
    let expected = json!({
        "id": null, "state": "SCHEDULED", "queue": "own", "priority": 8, "labels": ["l"], "fairnessKey": "f",
        "runAt": "2100-01-01T00:00:00.000Z", "input": { "pin": "***", "n": 1 }, "policy": { "timeout": "PT9S" },
        "profile": { "name": "p" }, "createdBy": "cb_admin", "idempotencyKey": null, "dependsOn": { "totalCount": 0 },
    });
    assert_eq!(copy, expected);

    let cleared = json!({
        "id": job, "profileId": null, "proxyId": null, "serviceIds": null, "queue": null, "priority": null, "labels": null,
        "fairnessKey": null, "runAt": null, "policy": null, "input": null, "idempotencyKey": "new",
    });
    let bare = as_operator(&harness, cleared.clone()).await;
    let mut shown = bare["job"].clone();
    shown["runAt"].take();
    let id = shown["id"].take();
    let expected = json!({
        "id": null, "state": "QUEUED", "queue": "of-command", "priority": 4, "labels": [], "fairnessKey": null, "runAt": null,
        "input": {}, "policy": { "timeout": "PT5M" }, "profile": null, "createdBy": "cb_operator", "idempotencyKey": "new",
        "dependsOn": { "totalCount": 0 },
    });
    assert_eq!(shown, expected);
    let repeated = as_operator(&harness, cleared).await;
    assert_eq!((&repeated["job"]["id"], &repeated["wasDuplicate"]), (&id, &json!(true)));

    // A secret that somebody else has given.
    let refused = as_operator(&harness, json!({ "id": job, "input": { "pin": "***" } })).await;
    assert_eq!((&refused["job"], reasons(&refused)), (&Value::Null, vec!["INVALID input.pin".into()]));
    let given = as_operator(&harness, json!({ "id": job, "input": { "pin": "0815" } })).await;
    assert_eq!(given["job"]["input"], json!({ "pin": "***" }));
    let again = json!({ "id": given["job"]["id"], "input": { "pin": "***", "n": 3 } });
    assert_eq!(as_operator(&harness, again).await["job"]["input"], json!({ "pin": "***", "n": 3 }));
    let entries = "{ auditEvents(filter: { action: \"jobEnqueueAgain\" }) { nodes { actor after } } }";
    let entries = harness.data(entries, json!({})).await;
    assert_eq!(entries["auditEvents"]["nodes"].as_array().unwrap().len(), 4, "{entries}");
    for secret in ["9081726354", "0815"] {
        assert!(!entries.to_string().contains(secret));
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_its_place() {
    let harness = Harness::new().await;
    let profile = harness.create_profile("p").await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command, "profileId": profile })).await;
    let id = job.to_string();
    let bad = json!({ "id": id, "profileId": "profile_x", "proxyId": command, "serviceIds": ["x"], "queue": "", "priority": 10,
        "policy": { "maxAttempts": 0 }, "labels": [""], "fairnessKey": "", "idempotencyKey": "" });
    let mut found = harness.refused("jobEnqueueAgain", bad).await;
    found.sort();
    let expected = [
        "INVALID fairnessKey",
        "INVALID idempotencyKey",
        "INVALID labels.0",
        "INVALID policy.maxAttempts",
        "INVALID priority",
        "INVALID queue",
        "NOT_FOUND profileId",
        "NOT_FOUND proxyId",
        "NOT_FOUND serviceIds.0",
    ];
    assert_eq!(found, expected);

    // What the job itself has is gone.
    harness.mutate("jobCancel", "job { id }", json!({ "id": id })).await;
    let gone = harness.mutate("profileDelete", "deletedId", json!({ "id": profile })).await;
    assert_eq!(gone["deletedId"], profile);
    let payload = harness.mutate("jobEnqueueAgain", "job { id }", json!({ "id": id })).await;
    assert_eq!(reasons(&payload), ["NOT_FOUND profileId"]);
    let message = payload["userErrors"][0]["message"].as_str().unwrap();
    assert!(
        message.ends_with(&format!("that of the job {id} has been deleted, and you can name another.")),
        "{message}"
    );
    let other = as_operator(&harness, json!({ "id": id, "profileId": null })).await;
    assert_eq!(other["userErrors"], json!([]));

    // The command does not compose any more, which can be mended only there.
    let spec = json!({ "program": { "program": "/bin/echo", "arguments": ["{{ input.word }}"] } });
    harness.mutate("commandUpdate", "command { id }", json!({ "id": command, "spec": spec })).await;
    assert_eq!(
        harness.refused("jobEnqueueAgain", json!({ "id": id, "profileId": null })).await,
        ["NOT_COMPOSABLE input.word"]
    );

    for unknown in ["job_00000000000000000000000000", "x", &command] {
        assert_eq!(harness.refused("jobEnqueueAgain", json!({ "id": unknown })).await, ["NOT_FOUND id"]);
    }
    harness.mutate("commandDelete", "deletedId", json!({ "id": command })).await;
    let payload = harness.mutate("jobEnqueueAgain", "job { id }", json!({ "id": id })).await;
    assert_eq!(reasons(&payload), ["NOT_FOUND id"]);
    assert!(payload["userErrors"][0]["message"].as_str().unwrap().contains("has been deleted"));
}
