//! Messages of which a part cannot be loaded for now: they come late and whole, and no cursor goes
//! past them.

use callboard::ids::{AttemptId, JobId};
use serde_json::json;
use sqlx::Connection as _;

use crate::{client::Received, harness::Harness};

const EVENTS: &str =
    "subscription($id: ID!) { jobEvents(jobId: $id) { cursor kind version job { command { id } } } }";
const CHANGES: &str =
    "subscription { jobsChanged { cursor isReset changes { version job { command { id } } } } }";

/// Ends the connections that wait for a lock.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'";
/// Ends the statements that wait for a lock, as their time limit does.
const CANCEL: &str = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'";

struct Running {
    harness: Harness,
    command: String,
    job: JobId,
    attempt: AttemptId,
}

async fn running_job() -> Running {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    Running { harness, command, job, attempt }
}

/// Does this to what waits for a lock, until it has been done this often.
async fn end_waiting(harness: &Harness, end: &'static str, most: usize) {
    let mut connection = harness.connect().await;
    let mut ended = 0;
    let all = async {
        while ended < most {
            ended += sqlx::query(end).fetch_all(&mut connection).await.unwrap().len();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::client::WAIT_MAX, all).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_message_of_which_a_part_cannot_be_loaded_is_sent_once_it_can_be() {
    let Running { harness, command, job, attempt } = running_job().await;
    let mut events = harness.subscribe(EVENTS, json!({ "id": job.to_string() })).await;
    let mut changes = harness.subscribe(CHANGES, json!({})).await;
    let kinds =
        [events.next().await, events.next().await, events.next().await].map(|event| event["kind"].clone());
    assert_eq!(kinds, ["SNAPSHOT", "ENQUEUED", "STARTED"]);
    assert_eq!(changes.next().await["isReset"], true);

    let mut locking = harness.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE commands IN ACCESS EXCLUSIVE MODE").execute(&mut locking).await.unwrap();
    harness.progress(job, attempt, 0.5).await;
    end_waiting(&harness, TERMINATE, 4).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();

    let event = events.next().await;
    assert_eq!((&event["kind"], &event["version"]), (&json!("PROGRESSED"), &json!(3)));
    assert_eq!(event["job"]["command"]["id"], command);
    // The changes before may come first.
    loop {
        let change = changes.next().await["changes"][0].take();
        assert_eq!(change["job"]["command"]["id"], command);
        if change["version"] == 3 {
            break;
        }
    }
    harness.progress(job, attempt, 0.7).await;
    assert_eq!(events.next().await["version"], 4, "nothing comes twice");
    locking.close().await.unwrap();
}

#[tokio::test]
async fn a_message_whose_statement_takes_too_long_ends_the_stream_before_its_cursor() {
    let Running { harness, command, job, attempt } = running_job().await;
    let mut events = harness.subscribe(EVENTS, json!({ "id": job.to_string() })).await;
    events.next().await;
    events.next().await;
    let last = events.next().await["cursor"].take();

    let mut locking = harness.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE commands IN ACCESS EXCLUSIVE MODE").execute(&mut locking).await.unwrap();
    harness.progress(job, attempt, 0.5).await;
    end_waiting(&harness, CANCEL, 1).await;
    // One attempt, and then an `error`, which ends the operation.
    assert_eq!(events.message().await, Received::Refused(vec!["UNAVAILABLE".into()]));
    sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    locking.close().await.unwrap();

    let query =
        EVENTS.replace("($id: ID!)", "($id: ID!, $after: String)").replace("$id)", "$id, after: $after)");
    let mut events = harness.subscribe(&query, json!({ "id": job.to_string(), "after": last })).await;
    let event = events.next().await;
    assert_eq!((&event["version"], &event["job"]["command"]["id"]), (&json!(3), &command.into()));
}
