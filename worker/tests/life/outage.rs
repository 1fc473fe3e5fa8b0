//! Outages of Postgres: only stored jobs are accepted, and everything recovers by itself.

use std::time::Duration;

use callboard_test_support::{eventually, private_postgres, private_redis};
use serde_json::json;

use crate::system::{PATIENCE, Settings, System};

const ENQUEUE: &str =
    "mutation($input: JobEnqueueInput!) { jobEnqueue(input: $input) { job { id } userErrors { code } } }";

#[tokio::test]
async fn without_postgres_mutations_fail_with_a_code_and_the_system_recovers() {
    let (postgres, redis) = tokio::join!(private_postgres(), private_redis());
    let settings = Settings::new(postgres.url(), redis.url());
    let system = System::with(settings, redis, None, 1).await;
    let command = system.shell("slow", "sleep 3; echo done", json!({})).await;
    let running = system.enqueue(json!({ "commandId": command })).await;
    system.until(&running, "RUNNING", PATIENCE).await;

    postgres.kill();
    let input = json!({ "input": { "commandId": command } });
    let refused = system.ask(ENQUEUE, input.clone()).await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{refused}");
    postgres.start().await;

    let accepted = eventually(PATIENCE, || async {
        let answer = system.ask(ENQUEUE, input.clone()).await.unwrap();
        answer["data"]["jobEnqueue"]["job"]["id"].as_str().map(str::to_owned)
    });
    let accepted = accepted.await;
    for job in [&running, &accepted] {
        let job = system.until(job, "SUCCEEDED", PATIENCE).await;
        assert_eq!(job["attempts"]["nodes"].as_array().unwrap().len(), 1, "an outage is not a loss: {job:#}");
    }
    assert_eq!(system.count(&["QUEUED"]).await, 0, "the refused job does not exist");
}

#[tokio::test]
async fn a_worker_without_postgres_ends_its_attempts_before_its_lease_ends() {
    let (postgres, redis) = tokio::join!(private_postgres(), private_redis());
    let mut settings = Settings::new(postgres.url(), redis.url());
    settings.set("CALLBOARD_LEASE", "4");
    let system = System::with(settings, redis, None, 1).await;
    let command = system.shell("endless", "sleep 1000", json!({})).await;
    let job = system.enqueue(json!({ "commandId": command })).await;
    system.until(&job, "RUNNING", PATIENCE).await;
    eventually(PATIENCE, || async { !system.processes().is_empty() }).await;
    postgres.freeze();
    // The lease of four seconds, and some more.
    eventually(Duration::from_secs(6), || async { system.processes().is_empty() }).await;
    postgres.thaw();
    eventually(PATIENCE, || async {
        let job = system.job(&job).await;
        job["attempts"]["nodes"].as_array().unwrap().len() == 2 && job["state"] == "RUNNING"
    })
    .await;
}
