//! Schedules that are run by hand: a job each time, and the schedule stays as it was.

use std::sync::Arc;

use callboard::{
    audit::{Actor, By},
    catalogue::{ScheduleChanges, ScheduleCreate, ScheduleUpdate},
    clock::IdSource,
    ids::{JobId, ScheduleId},
    patch::Patch,
    refusal::{Refusal, RefusalCode},
    schedule::Overlap,
    steps::{
        Done, StepError,
        enqueue::{
            run_schedule::{ByHand, by_hand},
            submit::submit,
        },
    },
};
use serde_json::json;

use crate::{
    fixture::{Fixture, succeeded},
    schedules::{hourly, template},
};

fn olga() -> By {
    let actor = Actor { name: "olga".into(), ..Actor::default() };
    By { actor: Arc::new(actor), mutation: Some("scheduleRunNow") }
}

/// Runs a schedule by hand, as the API does.
async fn run(fixture: &Fixture, id: ScheduleId) -> Result<JobId, Vec<Refusal>> {
    let made = by_hand(&fixture.context, id, &olga()).await;
    let ByHand { name, request } = match made {
        Err(StepError::Refused(refusals)) => return Err(refusals),
        made => made.unwrap(),
    };
    let Done { mut value, .. } = submit(&fixture.context, &[vec![request]], false).await;
    match value.remove(0) {
        Err(StepError::Refused(refusals)) => Err(ByHand::refused(&name, refusals)),
        accepted => Ok(accepted.unwrap()[0].job),
    }
}

const JOBS: &str = "SELECT count(*) FROM jobs";

#[tokio::test]
async fn each_run_is_a_job_of_the_caller_and_the_schedule_does_not_move() {
    let fixture = Fixture::new().await;
    let schedule = fixture.schedule(hourly("nightly", fixture.command, Overlap::Skip, 0)).await;
    let (one, other) = tokio::join!(run(&fixture, schedule.id), run(&fixture, schedule.id));
    assert_ne!(one.unwrap(), other.unwrap(), "a run does not wait for another one's job");
    assert_eq!(fixture.reload(&schedule).await, schedule);
    let by = "SELECT string_agg(DISTINCT created_by || (due_at IS NULL), '') FROM jobs WHERE schedule_id IS NOT NULL";
    assert_eq!(fixture.value::<String>(by).await, "olgatrue");

    let changes = ScheduleChanges { is_paused: Patch::Set(true), ..ScheduleChanges::default() };
    let pause = ScheduleUpdate { id: schedule.id, version: None, changes };
    let paused = fixture.catalogue.schedule_update(&fixture.context, pause).await.unwrap();
    run(&fixture, schedule.id).await.unwrap();
    assert_eq!(fixture.reload(&schedule).await, paused);
    assert_eq!(fixture.value::<i64>(JOBS).await, 3);
}

#[tokio::test]
async fn the_next_firing_finds_a_job_that_was_run_by_hand() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (skip, replace) = (
        fixture.schedule(hourly("skip", fixture.command, Overlap::Skip, 0)).await,
        fixture.schedule(hourly("replace", fixture.command, Overlap::CancelRunning, 0)).await,
    );
    let skipping = run(&fixture, skip.id).await.unwrap();
    let replaced = run(&fixture, replace.id).await.unwrap();
    fixture.sql("UPDATE schedules SET catch_up_ms = 7200000").await;
    fixture.down_for(0).await;
    fixture.fire().await;
    assert_eq!(fixture.value::<i64>(JOBS).await, 3, "one is skipped, the other one enqueues");
    let ended = "SELECT string_agg(job_id::text || state, '') FROM ended_jobs";
    assert_eq!(fixture.value::<String>(ended).await, format!("{}cancelled", replaced.uuid()));

    let attempt = fixture.start(worker, skipping).await;
    fixture.settle(skipping, attempt, succeeded("done")).await;
    fixture
        .sql("UPDATE schedules SET next_at = date_trunc('second', clock_timestamp()) WHERE name = 'skip'")
        .await;
    fixture.fire().await;
    assert_eq!(fixture.value::<i64>(JOBS).await, 4);
}

#[tokio::test]
async fn what_a_firing_would_refuse_is_said() {
    let fixture = Fixture::new().await;
    let pin = json!({ "properties": { "pin": { "type": "string", "writeOnly": true } } });
    let secret = fixture.command_with("with-secret", pin).await;
    let input = json!({ "pin": "9081726354" });
    let schedule =
        ScheduleCreate { job: template(secret, input), ..hourly("with a pin", secret, Overlap::Skip, 0) };
    let schedule = fixture.schedule(schedule).await;
    let job = run(&fixture, schedule.id).await.unwrap();
    let stored = "SELECT id::text || input::text FROM jobs";
    assert_eq!(fixture.value::<String>(stored).await, format!(r#"{}{{"pin": "***"}}"#, job.uuid()));

    // The command no longer keeps it secret.
    fixture.set_schema(secret, json!({})).await;
    let refusals = run(&fixture, schedule.id).await.unwrap_err();
    assert_eq!((refusals.len(), &refusals[0].path), (1, &vec!["id".to_owned()]));
    assert_eq!(refusals[0].code, RefusalCode::Invalid);
    assert_eq!(
        refusals[0].message,
        "The job of the schedule with a pin was refused (input.pin: was given as a secret, but the command's \
         inputSchema no longer marks it writeOnly)."
    );
    assert_eq!(fixture.value::<i64>(JOBS).await, 1);

    let refusals = run(&fixture, IdSource.make()).await.unwrap_err();
    assert_eq!((refusals[0].code, refusals[0].path.join(".")), (RefusalCode::NotFound, "id".to_owned()));
}
