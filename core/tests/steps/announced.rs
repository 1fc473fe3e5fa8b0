//! What a step of several transactions has written before an error is left to announce.

use callboard::{
    audit::By,
    catalogue::ScheduleCreate,
    job::JobRequest,
    schedule::Overlap,
    steps::{
        Done,
        enqueue::fire_schedules::fire_schedules,
        finish::{cancel::cancel_many, retry::retry_many},
    },
};
use serde_json::json;

use crate::{
    fixture::Fixture,
    schedules::{hourly, template},
};

#[tokio::test]
async fn what_was_fired_before_an_error_is_announced() {
    let fixture = Fixture::new().await;
    fixture
        .sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$",
        )
        .await;
    fixture
        .sql(
            "CREATE TRIGGER fail BEFORE INSERT ON jobs FOR EACH ROW WHEN (new.queue = 'broken')
                 EXECUTE FUNCTION fail()",
        )
        .await;
    let heavy = fixture.heavy_command().await;
    let in_broken = |command| JobRequest { queue: Some("broken".into()), ..template(command, json!({})) };
    let light = fixture.schedule(hourly("light", fixture.command, Overlap::Allow, 0)).await;
    // It is written after the light one.
    let broken = ScheduleCreate { job: in_broken(heavy), ..hourly("broken", heavy, Overlap::Allow, 0) };
    fixture.schedule(broken).await;
    fixture.sql("UPDATE schedules SET next_at = now() - interval '1 second'").await;
    let Done { value: next, after } = fire_schedules(&fixture.context).await;
    assert!(next.is_err(), "{next:?}");
    assert!(fixture.reload(&light).await.last_at.is_some());
    assert_eq!((after.changed.len(), after.has_backlog), (1, true), "{after:?}");
}

#[tokio::test]
async fn what_was_revived_before_an_error_is_announced() {
    let fixture = Fixture::new().await;
    let jobs = fixture.jobs(2, None, false).await;
    let _after = cancel_many(&fixture.store, &jobs, None, &By::worker()).await.unwrap();
    fixture.sql("CREATE SEQUENCE inserts").await;
    // Refuses both together, and then the second one alone.
    fixture
        .sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 CASE nextval('inserts')
                     WHEN 1 THEN RAISE 'deleted' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'service';
                     WHEN 3 THEN RAISE 'the disk is full' USING ERRCODE = 'disk_full';
                     ELSE RETURN NULL;
                 END CASE; END $$",
        )
        .await;
    fixture
        .sql("CREATE TRIGGER fail BEFORE INSERT ON live_jobs FOR EACH STATEMENT EXECUTE FUNCTION fail()")
        .await;
    let Done { value, after } = retry_many(&fixture.store, &jobs, &By::worker()).await;
    assert!(value.is_err(), "{value:?}");
    assert_eq!(after.changed, jobs[..1]);
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM live_jobs").await, 1);
}
