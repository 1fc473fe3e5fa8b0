//! jobDelete: what is gone, who may, and refusals.

use serde_json::{Value, json};

use crate::harness::{Harness, reasons};

#[tokio::test]
async fn a_deleted_job_is_in_no_list_and_the_audit_says_who_deleted_it() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command, "labels": ["old"] })).await;
    let after = harness.enqueue(json!({ "commandId": command, "dependsOn": [job.to_string()] })).await;
    let id = json!({ "id": job.to_string() });
    let payload = harness.mutate("jobDelete", "deletedId", id.clone()).await;
    assert_eq!(
        (&payload["deletedId"], reasons(&payload)),
        (&Value::Null, vec!["NOT_ALLOWED_IN_STATE id".into()])
    );
    let message = payload["userErrors"][0]["message"].as_str().unwrap();
    assert!(message.contains(&format!("The job {job} is QUEUED")), "{message}");

    let attempt = harness.start(job).await;
    harness.log(job, attempt, &["a line"]).await;
    let artifact = harness.keep_artifact(job, attempt, "shot.png").await;
    harness.succeed(job, attempt).await;
    harness.run_duties().await;
    for key in ["cb_viewer", "cb_operator"] {
        let query = "mutation($id: ID!) { jobDelete(input: { id: $id }) { deletedId } }";
        let response = harness.execute(key, query, id.clone()).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN", "{response}");
    }
    let payload = harness.mutate("jobDelete", "deletedId", id.clone()).await;
    assert_eq!(payload, json!({ "deletedId": job.to_string(), "userErrors": [] }));

    let query = "query($id: ID!, $artifact: ID!, $after: ID!) {
        job(id: $id) { id } node(id: $artifact) { id } jobs { nodes { id } totalCount }
        labelled: jobs(filter: { labels: [\"old\"] }) { nodes { id } }
        after: job(id: $after) { state dependsOn { nodes { id } totalCount } } }";
    let variables =
        json!({ "id": job.to_string(), "artifact": artifact.to_string(), "after": after.to_string() });
    let expected = json!({
        "job": null, "node": null, "jobs": { "nodes": [{ "id": after.to_string() }], "totalCount": 1 },
        "labelled": { "nodes": [] }, "after": { "state": "QUEUED", "dependsOn": { "nodes": [], "totalCount": 0 } },
    });
    assert_eq!(harness.data(query, variables).await, expected);
    for id in [&*job.to_string(), "job_00000000000000000000000000", "x", &command] {
        let payload = harness.mutate("jobDelete", "deletedId", json!({ "id": id })).await;
        assert_eq!(reasons(&payload), ["NOT_FOUND id"], "{id}");
    }
    let query = "query($id: ID!) { auditEvents(filter: { objectId: $id, action: \"jobDelete\" }) {
        nodes { actor outcome objectIds before after } } }";
    let entries = harness.data(query, id).await;
    let entry = &entries["auditEvents"]["nodes"][0];
    assert_eq!(
        (&entry["actor"], &entry["objectIds"]),
        (&json!("cb_admin"), &json!([job.to_string()])),
        "{entry}"
    );
    let before = &entry["before"];
    assert_eq!((&before["command"], &before["labels"]), (&json!("hello"), &json!(["old"])), "{entry}");
    assert_eq!((&before["state"], &before["createdBy"]), (&json!("SUCCEEDED"), &json!("cb_admin")));
}
