//! Caps: so many starts in a day or a month and no more, of a command or on a profile; what comes beyond waits, or is refused.

use callboard::{
    catalogue::{ProfileChanges, ProfileCreate, ProfileUpdate},
    ids::{CommandId, JobId, ProfileId},
    limit::{GateKey, Period, WhenReached, gate::Block},
    patch::{LimitsPatch, NewCap, Patch},
    refusal::RefusalCode,
    steps::{
        StepError,
        enqueue::submit::{JobRequest, submit},
        finish::cancel::cancel,
        limits::{explain::explain, wake::sweep_stranded},
    },
};

use callboard_test_support::within_a_day;

use crate::stage::{Stage, limits};

/// A stage on which no midnight interferes.
async fn today() -> Stage {
    within_a_day().await;
    Stage::set().await
}

fn cap(most: i32, per: Period, when_reached: WhenReached) -> NewCap {
    NewCap { most, per, when_reached }
}

fn capped(caps: Vec<NewCap>) -> LimitsPatch {
    LimitsPatch { caps: Patch::Set(caps), ..limits(None, &[]) }
}

async fn profile(stage: &Stage, caps: Vec<NewCap>) -> ProfileId {
    let new = ProfileCreate {
        name: "capped".into(),
        chrome_profile_path: "capped".into(),
        caps,
        ..ProfileCreate::default()
    };
    stage.catalogue.profile_create(new).await.unwrap().id
}

fn of(command: CommandId) -> JobRequest {
    JobRequest { command: Some(command), ..JobRequest::default() }
}

/// Claims one by one, so that nobody waits for a place; answers how many were granted.
async fn run(stage: &Stage, jobs: &[JobId]) -> usize {
    let worker = stage.worker().await;
    let mut granted = 0;
    for job in jobs {
        let (runs, _) = stage.claim_all(worker, &[*job]).await;
        granted += runs.len();
        stage.settle_all(&runs).await;
    }
    granted
}

/// As if all that has been counted had been counted in the period before.
const A_DAY_LATER: &str = r#"UPDATE gates SET wake_at = clock_timestamp(), state = jsonb_set(state, '{spent}', (
    SELECT jsonb_agg(CASE WHEN spent ->> 'per' = 'day' THEN
        jsonb_set(spent, '{since}', to_jsonb(to_char((spent ->> 'since')::timestamptz AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))
        ELSE spent END) FROM jsonb_array_elements(state -> 'spent') AS spent))"#;

#[tokio::test]
async fn beyond_its_cap_a_command_waits_for_the_next_day() {
    let stage = today().await;
    let command = stage
        .limited_command(capped(vec![
            cap(3, Period::Day, WhenReached::Defer),
            cap(5, Period::Month, WhenReached::Defer),
        ]))
        .await;
    let jobs = stage.submit(vec![of(command); 8]).await;
    assert_eq!(run(&stage, &jobs).await, 3);
    let obstacles = explain(&stage.store, &jobs).await.unwrap();
    let obstacle = &obstacles[&jobs[7]];
    assert_eq!(obstacle.at.key, GateKey::Command(command));
    let Block::Capped { most: 3, per: Period::Day, until } = obstacle.block else {
        unreachable!("{:?}", obstacle.block)
    };
    assert_eq!(until, Period::Day.end(callboard::clock::now()));
    assert_eq!(stage.wake_due().await, [], "nobody is called before");

    stage.sql(A_DAY_LATER).await;
    let called = stage.wake_due().await;
    assert_eq!(called, jobs[3..5], "the month has room for two more");
    assert_eq!(run(&stage, &called).await, 2);
    let obstacles = explain(&stage.store, &jobs).await.unwrap();
    assert!(matches!(obstacles[&jobs[7]].block, Block::Capped { most: 5, per: Period::Month, .. }));
}

#[tokio::test]
async fn a_profile_has_caps_of_its_own_and_a_higher_one_lets_more_pass() {
    let stage = today().await;
    let id = profile(&stage, vec![cap(2, Period::Day, WhenReached::Defer)]).await;
    let jobs = stage.jobs(4, Some(id), false).await;
    let free = stage.jobs(1, None, false).await;
    assert_eq!(run(&stage, &jobs).await, 2);
    assert_eq!(run(&stage, &free).await, 1, "others are not held up");
    assert_eq!(stage.wake_due().await, []);

    let caps = Patch::Set(vec![cap(3, Period::Day, WhenReached::Defer)]);
    let changes = ProfileChanges { caps, ..ProfileChanges::default() };
    stage.catalogue.profile_update(ProfileUpdate { id, version: None, changes }).await.unwrap();
    let called = stage.wake_due().await;
    assert_eq!(called, jobs[2..3]);
    assert_eq!(run(&stage, &called).await, 1);
}

#[tokio::test]
async fn a_cap_that_refuses_takes_nothing_new_until_its_period_ends() {
    let stage = today().await;
    let command = stage.limited_command(capped(vec![cap(2, Period::Day, WhenReached::Refuse)])).await;
    let jobs = stage.submit(vec![of(command); 3]).await;
    assert_eq!(run(&stage, &jobs).await, 2, "what was accepted before waits");
    let refused = |order: JobRequest| async {
        let (answers, _after) = submit(&stage.context, &[vec![order]], false).await;
        match answers.into_iter().next().unwrap() {
            Err(StepError::Refused(refusals)) => refusals,
            other => unreachable!("{other:?}"),
        }
    };
    let refusals = refused(of(command)).await;
    assert_eq!((refusals[0].code, refusals[0].path[0].as_str()), (RefusalCode::TooMany, "commandId"));
    assert!(refusals[0].message.contains("cap of 2 a day"), "{}", refusals[0].message);
    stage.sql(A_DAY_LATER).await;
    assert_eq!(stage.submit(vec![of(command)]).await.len(), 1);

    let service = stage.service("s", capped(vec![cap(1, Period::Day, WhenReached::Refuse)])).await;
    let with = JobRequest { services: Some(vec![service]), ..of(stage.command) };
    let jobs = stage.submit(vec![with.clone()]).await;
    assert_eq!(run(&stage, &jobs).await, 1);
    let refusals = refused(with).await;
    assert_eq!((refusals[0].code, refusals[0].path[0].as_str()), (RefusalCode::TooMany, "serviceIds"));

    let id = profile(&stage, vec![cap(1, Period::Month, WhenReached::Refuse)]).await;
    let on = stage.jobs(1, Some(id), false).await;
    assert_eq!(run(&stage, &on).await, 1);
    let refusals = refused(JobRequest { profile: Some(id), ..of(stage.command) }).await;
    assert_eq!((refusals[0].code, refusals[0].path[0].as_str()), (RefusalCode::TooMany, "profileId"));
}

#[tokio::test]
async fn a_start_that_nobody_used_is_offered_to_the_next() {
    let stage = today().await;
    let service = stage.service("s", capped(vec![cap(1, Period::Day, WhenReached::Defer)])).await;
    let with = JobRequest { services: Some(vec![service]), ..of(stage.command) };
    let jobs = stage.submit(vec![with; 4]).await;
    assert_eq!(run(&stage, &jobs).await, 1);
    assert_eq!(sweep_stranded(&stage.store, None).await.unwrap().0.ready, [], "nothing is left of the day");
    stage.sql(A_DAY_LATER).await;
    assert_eq!(stage.wake_due().await, jobs[1..2]);
    assert!(cancel(&stage.store, jobs[1], None).await.is_ok());
    assert_eq!(stage.wake_due().await, [], "the gate is to be looked at tomorrow");
    let (after, _) = sweep_stranded(&stage.store, None).await.unwrap();
    assert_eq!(after.ready.iter().map(|ready| ready.job).collect::<Vec<_>>(), jobs[2..3]);
    assert_eq!(run(&stage, &jobs[2..]).await, 1);
}

#[tokio::test]
async fn bad_caps_are_refused() {
    let stage = today().await;
    let defer = |most, per| cap(most, per, WhenReached::Defer);
    for (caps, path) in [
        (vec![defer(0, Period::Day)], ["caps", "0", "most"]),
        (vec![defer(-1, Period::Day)], ["caps", "0", "most"]),
        (vec![defer(1, Period::Day), defer(2, Period::Day)], ["caps", "1", "per"]),
    ] {
        let new = ProfileCreate {
            name: "p".into(),
            chrome_profile_path: "p".into(),
            caps,
            ..ProfileCreate::default()
        };
        let StepError::Refused(refusals) = stage.catalogue.profile_create(new).await.unwrap_err() else {
            unreachable!("not refused")
        };
        assert_eq!(refusals[0].path, path);
    }
}
