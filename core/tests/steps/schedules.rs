//! Schedules: each due time once however many workers fire, what overlaps, what was missed, secrets, and jobs that are refused.

use std::{collections::BTreeMap, time::Duration};

use callboard::{
    catalogue::{
        CommandCreate, CommandUpdate, ScheduleChanges, ScheduleCreate, ScheduleUpdate, TemplateInput,
    },
    clock,
    command::{CommandSpec, ProgramSpec, SpecInput},
    duration::IsoDuration,
    ids::CommandId,
    patch::{Patch, PolicyPatch},
    refusal::RefusalCode,
    schedule::Overlap,
    steps::{StepError, enqueue::fire_schedules::fire_schedules},
    store::catalogue::schedules::{self, Schedule},
};
use chrono::Timelike as _;
use serde_json::{Value, json};

use crate::stage::{Stage, succeeded};

fn template(command: CommandId, input: Value) -> TemplateInput {
    TemplateInput {
        command,
        profile: None,
        proxy: None,
        services: None,
        input: Some(input),
        queue: None,
        priority: None,
        policy: None,
        fairness_key: None,
        labels: Vec::new(),
    }
}

/// Once an hour, half an hour away from now: no test meets a due time of its own.
fn hourly(name: &str, command: CommandId, overlap: Overlap, catch_up_hours: u64) -> ScheduleCreate {
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

impl Stage {
    async fn schedule(&self, input: ScheduleCreate) -> Schedule {
        self.catalogue.schedule_create(&self.context, input).await.unwrap()
    }

    async fn reload(&self, schedule: &Schedule) -> Schedule {
        schedules::load(&mut self.store.connection().await.unwrap(), &[schedule.id]).await.unwrap().remove(0)
    }

    /// Fires until nothing is due.
    async fn fire(&self) {
        while fire_schedules(&self.context).await.unwrap().1 == Some(Duration::ZERO) {}
    }

    /// As if nobody had fired for so many hours: the time before that is the next one.
    async fn down_for(&self, hours: i32) {
        let statement = "UPDATE schedules SET next_at = date_trunc('hour', now() - past) + past - make_interval(hours => $1)
             FROM (SELECT id, make_interval(mins => split_part(cron, ' ', 1)::integer) AS past FROM schedules) AS minute
             WHERE minute.id = schedules.id";
        let mut transaction = self.store.begin().await.unwrap();
        sqlx::query(statement).bind(hours).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn jobs_of_schedules(&self) -> i64 {
        self.value("SELECT count(*) FROM jobs WHERE schedule_id IS NOT NULL").await
    }
}

#[tokio::test]
async fn each_due_time_is_fired_once_however_many_fire_at_once() {
    let stage = Stage::set().await;
    for number in 0..20 {
        stage.schedule(hourly(&format!("s{number}"), stage.command, Overlap::Allow, 24 * 7)).await;
    }
    stage.down_for(24 * 7 - 1).await;
    tokio::join!(stage.fire(), stage.fire(), stage.fire(), stage.fire());
    // Those that found everything locked saw nothing to do.
    stage.fire().await;
    assert_eq!(stage.jobs_of_schedules().await, 20 * 24 * 7);
    let doubled: i64 = stage
        .value(
            "SELECT count(*) - count(DISTINCT (schedule_id, due_at)) FROM jobs WHERE schedule_id IS NOT NULL",
        )
        .await;
    assert_eq!(doubled, 0);
    let ready: i64 = stage
        .value("SELECT count(*) FROM live_jobs WHERE state = 'queued' AND schedule_id IS NOT NULL")
        .await;
    assert_eq!(ready, 20 * 24 * 7, "all of them can run");
}

#[tokio::test]
async fn a_schedule_whose_last_job_has_not_ended_does_what_it_is_to_do() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let states =
        "SELECT string_agg(coalesce(live_jobs.state, ended_jobs.state), ' ' ORDER BY due_at) FROM jobs
         LEFT JOIN live_jobs ON live_jobs.job_id = id LEFT JOIN ended_jobs ON ended_jobs.job_id = id
         WHERE jobs.schedule_id IS NOT NULL";

    let skipping = stage.schedule(hourly("skip", stage.command, Overlap::Skip, 24)).await;
    stage.down_for(3).await;
    stage.fire().await;
    assert_eq!(stage.value::<String>(states).await, "queued", "the later ones find the first");
    let first = stage.reload(&skipping).await;
    assert!(first.next_at > first.last_at, "{first:?}");
    stage.down_for(0).await;
    stage.fire().await;
    assert_eq!(stage.jobs_of_schedules().await, 1, "skipped");
    assert_eq!(stage.reload(&skipping).await.last_at, first.last_at);
    let job = stage.job_where("schedule_id IS NOT NULL").await;
    let attempt = stage.start(worker, job).await;
    stage.settle(job, attempt, succeeded("x")).await;
    stage.down_for(0).await;
    stage.fire().await;
    assert_eq!(stage.value::<String>(states).await, "succeeded queued");
    stage.catalogue.schedule_delete(skipping.id, None).await.unwrap();

    stage.sql("DELETE FROM live_jobs").await;
    stage.sql("DELETE FROM jobs WHERE schedule_id IS NOT NULL").await;
    let replacing = stage.schedule(hourly("replace", stage.command, Overlap::CancelRunning, 24)).await;
    stage.down_for(3).await;
    stage.fire().await;
    assert_eq!(stage.value::<String>(states).await, "queued", "only the last one is made up");
    stage.sql("UPDATE jobs SET due_at = due_at - interval '1 hour' WHERE schedule_id IS NOT NULL").await;
    stage.down_for(0).await;
    stage.fire().await;
    assert_eq!(stage.value::<String>(states).await, "cancelled queued");
    let job = stage.job_where("schedule_id IS NOT NULL AND id IN (SELECT job_id FROM live_jobs)").await;
    stage.start(worker, job).await;
    stage.sql("UPDATE jobs SET due_at = due_at - interval '30 min' WHERE schedule_id IS NOT NULL").await;
    stage.down_for(0).await;
    stage.fire().await;
    assert_eq!(stage.value::<String>(states).await, "cancelled running queued");
    let asked: bool =
        stage.value("SELECT cancel_asked_at IS NOT NULL FROM live_jobs WHERE state = 'running'").await;
    assert!(asked, "its worker ends it");
    let retried = stage.reload(&replacing).await;
    assert_eq!((retried.last_failure, retried.version), (None, 1), "firing is no change");

    stage.respec(stage.command, json!({ "required": ["n"] })).await;
    stage.sql("UPDATE jobs SET due_at = due_at - interval '15 min' WHERE schedule_id IS NOT NULL").await;
    stage.down_for(0).await;
    stage.fire().await;
    assert!(stage.reload(&replacing).await.last_failure.is_some());
    assert_eq!(stage.value::<String>(states).await, "cancelled running queued", "nothing takes its place");
}

#[tokio::test]
async fn secrets_of_a_template_stay_secret_and_stay_where_they_are() {
    let stage = Stage::set().await;
    let secretive = json!({ "properties": { "pin": { "type": "string", "writeOnly": true, "minLength": 4 }, "n": { "default": 7 } } });
    let command = stage.command_with("secretive", secretive).await;
    let mut input = hourly("s", command, Overlap::Allow, 24);
    input.job = template(command, json!({ "pin": "4711" }));
    let schedule = stage.schedule(input).await;
    assert_eq!(schedule.plan.template.input, json!({ "pin": "***" }));
    let text: String = stage.value("SELECT schedules::text FROM schedules").await;
    assert!(!text.contains("4711"));

    stage.down_for(0).await;
    stage.fire().await;
    let fired: Value = stage.value("SELECT input FROM jobs WHERE input_sealed IS NOT NULL").await;
    assert_eq!(fired, json!({ "pin": "***", "n": 7 }), "with the defaults of now");

    // Given back as it was shown, it is kept; given anew, it is checked.
    let update = |input: Value| ScheduleUpdate {
        id: schedule.id,
        version: None,
        changes: ScheduleChanges { job: Patch::Set(template(command, input)), ..ScheduleChanges::default() },
    };
    stage.catalogue.schedule_update(&stage.context, update(json!({ "pin": "***", "n": 8 }))).await.unwrap();
    stage.down_for(1).await;
    stage.fire().await;
    assert_eq!(stage.reload(&schedule).await.last_failure, None, "the pin has its four characters still");
    let short =
        stage.catalogue.schedule_update(&stage.context, update(json!({ "pin": "1" }))).await.unwrap_err();
    let StepError::Refused(refusals) = short else { panic!("{short}") };
    assert_eq!(refusals[0].path, ["job", "input", "pin"]);

    // A schema that does not keep it secret any more would store it in plain text.
    stage.respec(command, json!({})).await;
    stage.down_for(2).await;
    let before = stage.jobs_of_schedules().await;
    stage.fire().await;
    assert_eq!(stage.jobs_of_schedules().await, before);
    let failure = stage.reload(&schedule).await.last_failure.unwrap();
    assert!(failure.starts_with("input.pin: was given as a secret"), "{failure}");
}

#[tokio::test]
async fn one_whose_job_is_refused_says_so_goes_on_and_holds_up_nobody() {
    let stage = Stage::set().await;
    let picky = stage.command_with("picky", json!({})).await;
    let refused = stage.schedule(hourly("a", picky, Overlap::Allow, 0)).await;
    let fine = stage.schedule(hourly("b", stage.command, Overlap::Allow, 0)).await;
    let in_use = stage.catalogue.command_delete(picky, None).await.unwrap_err();
    let StepError::Refused(refusals) = in_use else { panic!("{in_use}") };
    assert_eq!(
        (refusals[0].code, refusals[0].message.as_str()),
        (RefusalCode::InUse, "the command is used by 1 schedule: `a`")
    );

    stage.respec(picky, json!({ "required": ["n"] })).await;
    stage.sql("UPDATE schedules SET next_at = now() - interval '1 second'").await;
    stage.fire().await;
    let (refused, fine) = (stage.reload(&refused).await, stage.reload(&fine).await);
    assert_eq!(refused.last_at, None);
    assert!(refused.last_failure.as_ref().is_some_and(|failure| failure.contains("input")), "{refused:?}");
    assert!(
        refused.next_at > fine.last_at && fine.last_at.is_some() && fine.last_failure.is_none(),
        "{fine:?}"
    );
    assert_eq!(stage.jobs_of_schedules().await, 1);

    stage.respec(picky, json!({})).await;
    stage.sql("UPDATE schedules SET next_at = now() - interval '2 second'").await;
    stage.fire().await;
    let mended = stage.reload(&refused).await;
    assert!(mended.last_failure.is_none() && mended.last_at.is_some(), "{mended:?}");
}

#[tokio::test]
async fn a_pause_is_no_downtime_and_a_new_pattern_begins_now() {
    let stage = Stage::set().await;
    let schedule = stage.schedule(hourly("s", stage.command, Overlap::Allow, 24)).await;
    let set = |changes: ScheduleChanges| ScheduleUpdate { id: schedule.id, version: None, changes };
    let paused = ScheduleChanges { is_paused: Patch::Set(true), ..ScheduleChanges::default() };
    let resumed = ScheduleChanges { is_paused: Patch::Set(false), ..ScheduleChanges::default() };
    stage.down_for(5).await;
    let now_paused = stage.catalogue.schedule_update(&stage.context, set(paused)).await.unwrap();
    assert_eq!((now_paused.next_at, now_paused.version), (None, 2));
    stage.fire().await;
    let again = stage.catalogue.schedule_update(&stage.context, set(resumed)).await.unwrap();
    assert!(again.next_at > Some(again.updated_at), "{again:?}");
    stage.fire().await;
    assert_eq!(stage.jobs_of_schedules().await, 0);

    stage.down_for(5).await;
    let renamed = ScheduleChanges { name: Patch::Set("t".into()), ..ScheduleChanges::default() };
    let renamed = stage.catalogue.schedule_update(&stage.context, set(renamed)).await.unwrap();
    assert!(renamed.next_at < Some(renamed.updated_at), "what is due stays due: {renamed:?}");
    let other = ScheduleChanges { cron: Patch::Set("30 * * * *".into()), ..ScheduleChanges::default() };
    let other = stage.catalogue.schedule_update(&stage.context, set(other)).await.unwrap();
    assert!(other.next_at > Some(other.updated_at), "{other:?}");
}

impl Stage {
    async fn job_where(&self, condition: &str) -> callboard::ids::JobId {
        let statement = sqlx::AssertSqlSafe(format!("SELECT id FROM jobs WHERE {condition}"));
        let id: sqlx::types::Uuid = sqlx::query_scalar(statement)
            .fetch_one(&mut *self.store.connection().await.unwrap())
            .await
            .unwrap();
        id.into()
    }

    async fn command_with(&self, name: &str, schema: Value) -> CommandId {
        let spec = ProgramSpec {
            program: "/usr/bin/true".into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            stdin: None,
        };
        let command = CommandCreate {
            name: name.into(),
            description: None,
            spec: SpecInput::Spec(CommandSpec::Program(spec)),
            input_schema: Some(schema),
            profile_id: None,
            proxy_id: None,
            service_ids: Vec::new(),
            queue: None,
            policy: PolicyPatch::default(),
        };
        self.catalogue.command_create(command).await.unwrap().id
    }

    async fn respec(&self, id: CommandId, schema: Value) {
        let changes =
            callboard::catalogue::CommandChanges { input_schema: Patch::Set(schema), ..Default::default() };
        self.catalogue.command_update(CommandUpdate { id, version: None, changes }).await.unwrap();
    }
}
