//! What a service says to a private job does not stand at the service.

use std::time::Duration;

use callboard::clock;
use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::{
    limits::{service, start},
    site::{Reply, Site},
    system::{PATIENCE, System},
};

#[tokio::test]
async fn nothing_that_a_private_job_was_told_is_kept_at_its_service() {
    const TOLD: &str = "PRIVATE-PERSON";
    let system = start(1).await;
    for is_private_later in [false, true] {
        let site = Site::start(|_| {
            let reply = Reply::of(402).with("x-ratelimit-limit", &5).with("x-ratelimit-remaining", &4);
            let body = r#"{"error":{"code":"insufficient_quota","message":"Of PRIVATE-PERSON."}}"#;
            reply.with("x-ratelimit-resource", TOLD).saying(body)
        })
        .await;
        let name = if is_private_later { "private_later" } else { "private_now" };
        let (service, command) = service(&system, name, &site, json!({})).await;
        let update = async || {
            let input = json!({ "id": command, "isPrivate": true });
            system.make("commandUpdate", "command", input).await;
        };
        if !is_private_later {
            update().await;
        }
        let run_at = clock::written(clock::now() + Duration::from_secs(2));
        let job = system.enqueue(json!({ "commandId": command, "runAt": run_at })).await;
        if is_private_later {
            update().await;
        }
        let query = "query($job: ID!, $service: ID!) {
            job(id: $job) { waiting { reason explanation } log(first: 50) { nodes { text } } }
            service(id: $service) { suspendedReason usage { name remaining } } }";
        let seen = until_suspended(&system, query, &job, &service).await;
        let reason = seen["service"]["suspendedReason"].as_str().unwrap();
        assert!(reason.contains("returned 402") && reason.contains(&job), "{reason}");
        let public = format!("{} {}", seen["service"], seen["job"]["waiting"]);
        assert!(!public.contains(TOLD) && public.contains(r#""name":"other""#), "{public}");
        assert!(seen["job"]["log"].to_string().contains(TOLD), "{seen}");
    }
}

/// Waits until a job waits because its service is suspended, and returns what the query says.
pub(crate) async fn until_suspended(system: &System, query: &str, job: &str, service: &str) -> Value {
    eventually(PATIENCE, || async {
        let seen = system.data(query, json!({ "job": job, "service": service })).await;
        // The job and the service are read by two statements, in any order.
        let is_waiting = seen["job"]["waiting"]["reason"] == "SERVICE_SUSPENDED";
        (is_waiting && !seen["service"]["suspendedReason"].is_null()).then_some(seen)
    })
    .await
}
