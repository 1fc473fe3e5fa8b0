//! A command whose templates do too much ends its job, and nothing else.

use std::time::Duration;

use callboard_test_support::Database;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::system::{PATIENCE, Settings, System};

/// Each ended the worker that composed it.
const HOSTILE: [&str; 3] = [
    "{% set n=namespace(x=[1]) %}{% for i in range(60) %}{% set n.x=[n.x,n.x] %}{% endfor %}{{ n.x|tojson }}",
    "{% set n=namespace(x=[1]) %}{% for i in range(60) %}{% set n.x=n.x+n.x %}{% endfor %}{{ n.x|tojson }}",
    "MINUS",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_command_does_too_much_fails_and_its_worker_goes_on() {
    let (database, redis) = tokio::join!(Database::create(), callboard_test_support::private_redis());
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let mut system = System::with(Settings::new(database.url(), redis.url()), redis, Some(database), 0).await;
    let policy = json!({ "maxAttempts": 1 });
    let mut jobs = Vec::new();
    for (index, hostile) in HOSTILE.iter().enumerate() {
        let name = format!("hostile {index}");
        let command = system.shell(&name, "true", policy.clone()).await;
        jobs.push(system.enqueue(json!({ "commandId": command })).await);
        // An older version may have let it pass.
        let template = hostile.replace("MINUS", &format!("{{{{ {}1 }}}}", "-".repeat(8000)));
        let spec = json!({ "kind": "program", "program": "/bin/sh", "arguments": [template] });
        let statement = "UPDATE command_versions SET spec = $1 WHERE name = $2";
        let done = sqlx::query(statement).bind(spec).bind(name).execute(&mut connection).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }
    let worker = system.add_worker(2).await;
    for job in jobs {
        let job = system.until(&job, "FAILED", PATIENCE).await;
        assert_eq!(job["failure"]["code"], "NOT_COMPOSABLE", "{job:#}");
    }
    let harmless = system.shell("harmless", "echo 1", policy).await;
    let harmless = system.enqueue(json!({ "commandId": harmless })).await;
    let job = system.until(&harmless, "SUCCEEDED", PATIENCE).await;
    let ran_by = &job["attempts"]["nodes"][0]["worker"]["processId"];
    assert_eq!(*ran_by, json!(system.workers[worker].pid()), "{job:#}");
    system.until_clean(Duration::from_secs(20)).await;
}
