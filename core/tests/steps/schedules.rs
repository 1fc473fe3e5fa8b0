//! Schedules: each due time fires once however many workers fire, overlaps, catch-up, secrets, and
//! refused jobs.

use std::{collections::BTreeMap, time::Duration};

use callboard::{
    catalogue::{CommandCreate, CommandUpdate, ScheduleChanges, ScheduleCreate, ScheduleUpdate},
    clock,
    command::{CommandSpec, ProgramSpec, SpecInput},
    duration::IsoDuration,
    ids::CommandId,
    job::JobRequest,
    patch::Patch,
    refusal::RefusalCode,
    schedule::Overlap,
    steps::{StepError, enqueue::fire_schedules::fire_schedules},
    store::{
        audit::{self, Filter, PageRequest},
        catalogue::schedules::{self, Schedule},
    },
};
use chrono::Timelike as _;
use serde_json::{Value, json};

use crate::fixture::{Fixture, succeeded};

pub(crate) fn template(command: CommandId, input: Value) -> JobRequest {
    JobRequest { input: Some(input), ..JobRequest::new(command) }
}

/// Once an hour, half an hour away from now, so that no due time comes during a test.
pub(crate) fn hourly(
    name: &str,
    command: CommandId,
    overlap: Overlap,
    catch_up_hours: u64,
) -> ScheduleCreate {
    ScheduleCreate {
        name: name.into(),
        cron: format!("{} * * * *", (clock::now().minute() + 30) % 60),
        timezone: None,
        job: template(command, json!({})),
        overlap: Some(overlap),
        catch_up: Some(IsoDuration(Duration::from_hours(catch_up_hours))),
        is_paused: false,
    }
}

impl Fixture {
    pub(crate) async fn schedule(&self, input: ScheduleCreate) -> Schedule {
        self.catalogue.schedule_create(&self.context, input).await.unwrap()
    }

    pub(crate) async fn reload(&self, schedule: &Schedule) -> Schedule {
        schedules::load(&mut self.store.connection().await.unwrap(), &[schedule.id]).await.unwrap().remove(0)
    }

    /// Fires until no schedule is due.
    pub(crate) async fn fire(&self) {
        while fire_schedules(&self.context).await.value.unwrap() == Some(Duration::ZERO) {}
    }

    /// Simulates a downtime of `hours`: the first due time of the downtime becomes the next one.
    pub(crate) async fn down_for(&self, hours: i32) {
        let statement = "UPDATE schedules SET next_at = date_trunc('hour', now() - past) + past - make_interval(hours => $1)
             FROM (SELECT id, make_interval(mins => split_part(cron, ' ', 1)::integer) AS past FROM schedules) AS minute
             WHERE minute.id = schedules.id";
        let mut transaction = self.store.begin().await.unwrap();
        sqlx::query(statement).bind(hours).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) async fn jobs_of_schedules(&self) -> i64 {
        self.value("SELECT count(*) FROM jobs WHERE schedule_id IS NOT NULL").await
    }
}

#[tokio::test]
async fn each_due_time_fires_once_however_many_workers_fire() {
    let fixture = Fixture::new().await;
    for number in 0..20 {
        fixture.schedule(hourly(&format!("s{number}"), fixture.command, Overlap::Allow, 24 * 7)).await;
    }
    fixture.down_for(24 * 7 - 1).await;
    tokio::join!(fixture.fire(), fixture.fire(), fixture.fire(), fixture.fire());
    // A fire that found everything locked saw nothing to do.
    fixture.fire().await;
    assert_eq!(fixture.jobs_of_schedules().await, 20 * 24 * 7);
    let doubled: i64 = fixture
        .value(
            "SELECT count(*) - count(DISTINCT (schedule_id, due_at)) FROM jobs WHERE schedule_id IS NOT NULL",
        )
        .await;
    assert_eq!(doubled, 0);
    let ready: i64 = fixture
        .value("SELECT count(*) FROM live_jobs WHERE state = 'queued' AND schedule_id IS NOT NULL")
        .await;
    assert_eq!(ready, 20 * 24 * 7, "every job is ready");
}

#[tokio::test]
async fn overlap_decides_what_a_schedule_does_while_its_last_job_is_unfinished() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let states =
        "SELECT string_agg(coalesce(live_jobs.state, ended_jobs.state), ' ' ORDER BY due_at) FROM jobs
         LEFT JOIN live_jobs ON live_jobs.job_id = id LEFT JOIN ended_jobs ON ended_jobs.job_id = id
         WHERE jobs.schedule_id IS NOT NULL";

    let skipping = fixture.schedule(hourly("skip", fixture.command, Overlap::Skip, 24)).await;
    fixture.down_for(3).await;
    fixture.fire().await;
    assert_eq!(
        fixture.value::<String>(states).await,
        "queued",
        "the later due times are skipped for the first job"
    );
    let first = fixture.reload(&skipping).await;
    assert!(first.next_at > first.last_at, "{first:?}");
    fixture.down_for(0).await;
    fixture.fire().await;
    assert_eq!(fixture.jobs_of_schedules().await, 1, "the due time is skipped");
    assert_eq!(fixture.reload(&skipping).await.last_at, first.last_at);
    let job = fixture.job_where("schedule_id IS NOT NULL").await;
    let attempt = fixture.start(worker, job).await;
    fixture.settle(job, attempt, succeeded("x")).await;
    fixture.down_for(0).await;
    fixture.fire().await;
    assert_eq!(fixture.value::<String>(states).await, "succeeded queued");
    fixture.catalogue.schedule_delete(skipping.id, None).await.unwrap();

    fixture.sql("DELETE FROM live_jobs").await;
    fixture.sql("DELETE FROM jobs WHERE schedule_id IS NOT NULL").await;
    let replacing = fixture.schedule(hourly("replace", fixture.command, Overlap::CancelRunning, 24)).await;
    fixture.down_for(3).await;
    fixture.fire().await;
    assert_eq!(fixture.value::<String>(states).await, "queued", "only the last due time is caught up");
    fixture.sql("UPDATE jobs SET due_at = due_at - interval '1 hour' WHERE schedule_id IS NOT NULL").await;
    fixture.down_for(0).await;
    fixture.fire().await;
    assert_eq!(fixture.value::<String>(states).await, "cancelled queued");
    let job = fixture.job_where("schedule_id IS NOT NULL AND id IN (SELECT job_id FROM live_jobs)").await;
    fixture.start(worker, job).await;
    fixture.sql("UPDATE jobs SET due_at = due_at - interval '30 min' WHERE schedule_id IS NOT NULL").await;
    fixture.down_for(0).await;
    fixture.fire().await;
    assert_eq!(fixture.value::<String>(states).await, "cancelled running queued");
    let asked: bool =
        fixture.value("SELECT cancel_asked_at IS NOT NULL FROM live_jobs WHERE state = 'running'").await;
    assert!(asked, "its worker will cancel it");
    let retried = fixture.reload(&replacing).await;
    assert_eq!((retried.last_failure, retried.version), (None, 1), "firing does not change the version");

    fixture.set_schema(fixture.command, json!({ "required": ["n"] })).await;
    fixture.sql("UPDATE jobs SET due_at = due_at - interval '15 min' WHERE schedule_id IS NOT NULL").await;
    fixture.down_for(0).await;
    fixture.fire().await;
    assert!(fixture.reload(&replacing).await.last_failure.is_some());
    assert_eq!(
        fixture.value::<String>(states).await,
        "cancelled running queued",
        "a refused job replaces nothing"
    );
}

#[tokio::test]
async fn secrets_of_a_template_stay_sealed_and_are_kept() {
    let fixture = Fixture::new().await;
    let secret_pin = json!({ "properties": { "pin": { "type": "string", "writeOnly": true, "minLength": 4 }, "n": { "default": 7 } } });
    let command = fixture.command_with("with-secret", secret_pin).await;
    let mut input = hourly("s", command, Overlap::Allow, 24);
    input.job = template(command, json!({ "pin": "4711" }));
    let schedule = fixture.schedule(input).await;
    assert_eq!(schedule.plan.template.request.input, Some(json!({ "pin": "***" })));
    let text: String = fixture.value("SELECT schedules::text FROM schedules").await;
    assert!(!text.contains("4711"));

    fixture.down_for(0).await;
    fixture.fire().await;
    let fired: Value = fixture.value("SELECT input FROM jobs WHERE input_sealed IS NOT NULL").await;
    assert_eq!(fired, json!({ "pin": "***", "n": 7 }), "with the current defaults");

    // A masked secret is kept. A new one is checked.
    let update = |input: Value| ScheduleUpdate {
        id: schedule.id,
        version: None,
        changes: ScheduleChanges { job: Patch::Set(template(command, input)), ..ScheduleChanges::default() },
    };
    fixture
        .catalogue
        .schedule_update(&fixture.context, update(json!({ "pin": "***", "n": 8 })))
        .await
        .unwrap();
    fixture.down_for(1).await;
    fixture.fire().await;
    assert_eq!(fixture.reload(&schedule).await.last_failure, None, "the pin still has its four characters");
    let short =
        fixture.catalogue.schedule_update(&fixture.context, update(json!({ "pin": "1" }))).await.unwrap_err();
    let StepError::Refused(refusals) = short else { panic!("{short}") };
    assert_eq!(refusals[0].path, ["job", "input", "pin"]);
    let shown = async || {
        let filter = Filter { action: Some("scheduleUpdate".into()), ..Filter::default() };
        let request = PageRequest { filter, rows: 1, ..PageRequest::default() };
        let mut connection = fixture.store.connection().await.unwrap();
        let found = audit::page(&mut connection, &request).await.unwrap().remove(0);
        let secrets = |job: Option<Value>| job.unwrap()["job"]["inputSecrets"].take();
        (secrets(found.before), secrets(found.after))
    };
    assert_eq!(shown().await, (json!("***"), json!("***")), "the pin was kept");
    let other = update(json!({ "pin": "4712", "n": 8 }));
    fixture.catalogue.schedule_update(&fixture.context, other).await.unwrap();
    assert_eq!(shown().await, (json!("***"), json!("*** (new)")));

    // A schema that no longer marks it secret would store it in plain text.
    fixture.set_schema(command, json!({})).await;
    let update = update(json!({ "pin": "***", "n": 9 }));
    let plain = fixture.catalogue.schedule_update(&fixture.context, update).await.unwrap_err();
    let StepError::Refused(refusals) = plain else { panic!("{plain}") };
    assert_eq!(refusals[0].path, ["job", "input", "pin"]);
    let text: String = fixture.value("SELECT schedules::text FROM schedules").await;
    assert!(!text.contains("4712"), "{text}");
    fixture.down_for(2).await;
    let before = fixture.jobs_of_schedules().await;
    fixture.fire().await;
    assert_eq!(fixture.jobs_of_schedules().await, before);
    let failure = fixture.reload(&schedule).await.last_failure.unwrap();
    assert!(failure.starts_with("input.pin: was given as a secret"), "{failure}");
}

#[tokio::test]
async fn a_refused_job_is_recorded_and_delays_no_other_schedule() {
    let fixture = Fixture::new().await;
    let picky = fixture.command_with("picky", json!({})).await;
    let refused = fixture.schedule(hourly("a", picky, Overlap::Allow, 0)).await;
    let fine = fixture.schedule(hourly("b", fixture.command, Overlap::Allow, 0)).await;
    let in_use = fixture.catalogue.command_delete(picky, None).await.unwrap_err();
    let StepError::Refused(refusals) = in_use else { panic!("{in_use}") };
    assert_eq!(
        (refusals[0].code, refusals[0].message.as_str()),
        (RefusalCode::InUse, "the command is used by 1 schedule: `a`")
    );

    fixture.set_schema(picky, json!({ "required": ["n"] })).await;
    fixture.sql("UPDATE schedules SET next_at = now() - interval '1 second'").await;
    fixture.fire().await;
    let (refused, fine) = (fixture.reload(&refused).await, fixture.reload(&fine).await);
    assert_eq!(refused.last_at, None);
    assert!(refused.last_failure.as_ref().is_some_and(|failure| failure.contains("input")), "{refused:?}");
    assert!(
        refused.next_at > fine.last_at && fine.last_at.is_some() && fine.last_failure.is_none(),
        "{fine:?}"
    );
    assert_eq!(fixture.jobs_of_schedules().await, 1);

    fixture.set_schema(picky, json!({})).await;
    fixture.sql("UPDATE schedules SET next_at = now() - interval '2 second'").await;
    fixture.fire().await;
    let mended = fixture.reload(&refused).await;
    assert!(mended.last_failure.is_none() && mended.last_at.is_some(), "{mended:?}");
}

#[tokio::test]
async fn a_pause_is_not_caught_up_and_a_new_pattern_starts_now() {
    let fixture = Fixture::new().await;
    let schedule = fixture.schedule(hourly("s", fixture.command, Overlap::Allow, 24)).await;
    let set = |changes: ScheduleChanges| ScheduleUpdate { id: schedule.id, version: None, changes };
    let paused = ScheduleChanges { is_paused: Patch::Set(true), ..ScheduleChanges::default() };
    let resumed = ScheduleChanges { is_paused: Patch::Set(false), ..ScheduleChanges::default() };
    fixture.down_for(5).await;
    let now_paused = fixture.catalogue.schedule_update(&fixture.context, set(paused)).await.unwrap();
    assert_eq!((now_paused.next_at, now_paused.version), (None, 2));
    fixture.fire().await;
    let again = fixture.catalogue.schedule_update(&fixture.context, set(resumed)).await.unwrap();
    assert!(again.next_at > Some(again.updated_at), "{again:?}");
    fixture.fire().await;
    assert_eq!(fixture.jobs_of_schedules().await, 0);

    fixture.down_for(5).await;
    let renamed = ScheduleChanges { name: Patch::Set("t".into()), ..ScheduleChanges::default() };
    let renamed = fixture.catalogue.schedule_update(&fixture.context, set(renamed)).await.unwrap();
    assert!(renamed.next_at < Some(renamed.updated_at), "a due time stays due: {renamed:?}");
    let other = ScheduleChanges { cron: Patch::Set("30 * * * *".into()), ..ScheduleChanges::default() };
    let other = fixture.catalogue.schedule_update(&fixture.context, set(other)).await.unwrap();
    assert!(other.next_at > Some(other.updated_at), "{other:?}");
}

impl Fixture {
    async fn job_where(&self, condition: &str) -> callboard::ids::JobId {
        let statement = sqlx::AssertSqlSafe(format!("SELECT id FROM jobs WHERE {condition}"));
        let id: sqlx::types::Uuid = sqlx::query_scalar(statement)
            .fetch_one(&mut *self.store.connection().await.unwrap())
            .await
            .unwrap();
        id.into()
    }

    pub(crate) async fn command_with(&self, name: &str, schema: Value) -> CommandId {
        self.command_of(name, schema, Vec::new()).await
    }

    pub(crate) async fn command_of(&self, name: &str, schema: Value, arguments: Vec<String>) -> CommandId {
        let spec = ProgramSpec {
            program: "/usr/bin/true".into(),
            arguments,
            environment: BTreeMap::new(),
            stdin: None,
            tokens: Vec::new(),
        };
        let command = CommandCreate::new(name, SpecInput::Spec(CommandSpec::Program(spec)));
        let command = CommandCreate { input_schema: Some(schema), ..command };
        self.catalogue.command_create(command).await.unwrap().id
    }

    pub(crate) async fn set_schema(&self, id: CommandId, schema: Value) {
        let changes =
            callboard::catalogue::CommandChanges { input_schema: Patch::Set(schema), ..Default::default() };
        self.catalogue.command_update(CommandUpdate { id, version: None, changes }).await.unwrap();
    }
}
