//! A worker deletes finished jobs past their retention, with their files.

use std::fs;

use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::system::{PATIENCE, System};

#[tokio::test]
async fn a_finished_job_is_deleted_with_its_files() {
    let mut system = System::start(1).await;
    let script =
        "export default async ({ artifact }) => { await artifact('note.txt', 'kept for a while'); };";
    let writes = system.browser("writes", script, json!({ "maxAttempts": 1 })).await;
    let plain = system.shell("plain", "true", json!({})).await;
    let old = system.enqueue(json!({ "commandId": writes, "idempotencyKey": "once" })).await;
    system.until(&old, "SUCCEEDED", PATIENCE).await;
    let young = system.enqueue(json!({ "commandId": plain })).await;
    system.until(&young, "SUCCEEDED", PATIENCE).await;
    let query = "query($id: ID!) { job(id: $id) { artifacts { name url } } }";
    let artifact = system.data(query, json!({ "id": old })).await["job"]["artifacts"][0].take();
    assert_eq!(artifact["name"], "note.txt");
    let directory = system.home().join("artifacts").join(&old);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);

    // Every worker prunes when it starts.
    system.set("CALLBOARD_KEEP_JOBS_MAX", "1");
    system.add_worker(1).await;
    eventually(PATIENCE, || async {
        system.data("query($id: ID!) { job(id: $id) { id } }", json!({ "id": old })).await["job"]
            == Value::Null
    })
    .await;
    assert!(!directory.exists(), "its files were deleted first");
    assert_eq!(reqwest::get(artifact["url"].as_str().unwrap()).await.unwrap().status(), 404);
    assert_eq!(system.job(&young).await["state"], "SUCCEEDED");
    let again = system.enqueue(json!({ "commandId": writes, "idempotencyKey": "once" })).await;
    assert_ne!(again, old, "its idempotency key was deleted with it");
}
