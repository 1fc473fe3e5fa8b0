//! Caps: at most n starts a day or month, of a command, a service or a profile. Further jobs wait
//! or are refused.

use callboard::{
    audit::By,
    catalogue::{ProfileChanges, ProfileCreate, ProfileUpdate},
    ids::{CommandId, JobId, ProfileId},
    job::JobRequest,
    limit::{GateKey, Period, WhenReached, gate::Block},
    patch::{LimitsPatch, NewCap, Patch},
    refusal::RefusalCode,
    steps::{
        Done, StepError,
        enqueue::submit::submit,
        finish::cancel::cancel,
        limits::{explain::explain, wake::sweep_stranded},
    },
};

use callboard_test_support::within_a_day;

use crate::fixture::{Fixture, limits};

/// A fixture with no midnight soon.
async fn start() -> Fixture {
    within_a_day().await;
    Fixture::new().await
}

fn cap(most: i32, per: Period, when_reached: WhenReached) -> NewCap {
    NewCap { most, per, when_reached }
}

fn capped(caps: Vec<NewCap>) -> LimitsPatch {
    LimitsPatch { caps: Patch::Set(caps), ..limits(None, &[]) }
}

async fn profile(fixture: &Fixture, caps: Vec<NewCap>) -> ProfileId {
    let new = ProfileCreate {
        name: "capped".into(),
        chrome_profile_path: "capped".into(),
        caps,
        ..ProfileCreate::default()
    };
    fixture.catalogue.profile_create(new).await.unwrap().id
}

fn request_for(command: CommandId) -> JobRequest {
    JobRequest { ..JobRequest::new(command) }
}

/// Claims the jobs one by one, so that none waits for a slot. Returns how many were granted.
async fn run(fixture: &Fixture, jobs: &[JobId]) -> usize {
    let worker = fixture.worker().await;
    let mut granted = 0;
    for job in jobs {
        let (runs, _) = fixture.claim_all(worker, &[*job]).await;
        granted += runs.len();
        fixture.settle_all(&runs).await;
    }
    granted
}

/// Moves all counts to the day before.
const A_DAY_LATER: &str = r#"UPDATE gates SET wake_at = clock_timestamp(), state = jsonb_set(state, '{spent}', (
    SELECT jsonb_agg(CASE WHEN spent ->> 'per' = 'day' THEN
        jsonb_set(spent, '{since}', to_jsonb(to_char((spent ->> 'since')::timestamptz AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))
        ELSE spent END) FROM jsonb_array_elements(state -> 'spent') AS spent))"#;

#[tokio::test]
async fn a_command_over_its_cap_waits_for_the_next_day() {
    let fixture = start().await;
    let command = fixture
        .limited_command(capped(vec![
            cap(3, Period::Day, WhenReached::Defer),
            cap(5, Period::Month, WhenReached::Defer),
        ]))
        .await;
    let jobs = fixture.submit(vec![request_for(command); 8]).await;
    assert_eq!(run(&fixture, &jobs).await, 3);
    let obstacles = explain(&fixture.store, &jobs).await.unwrap();
    let obstacle = &obstacles[&jobs[7]];
    assert_eq!(obstacle.at.key, GateKey::Command(command));
    let Block::Capped { most: 3, per: Period::Day, until } = obstacle.block else {
        unreachable!("{:?}", obstacle.block)
    };
    assert_eq!(until, Period::Day.end(callboard::clock::now()));
    assert_eq!(fixture.wake_due().await, [], "no job is woken before the next day");

    fixture.sql(A_DAY_LATER).await;
    let woken = fixture.wake_due().await;
    assert_eq!(woken, jobs[3..5], "two more starts are left in the month");
    assert_eq!(run(&fixture, &woken).await, 2);
    let obstacles = explain(&fixture.store, &jobs).await.unwrap();
    assert!(matches!(obstacles[&jobs[7]].block, Block::Capped { most: 5, per: Period::Month, .. }));
}

#[tokio::test]
async fn a_profile_has_its_own_caps_and_raising_one_wakes_jobs() {
    let fixture = start().await;
    let id = profile(&fixture, vec![cap(2, Period::Day, WhenReached::Defer)]).await;
    let jobs = fixture.jobs(4, Some(id), false).await;
    let free = fixture.jobs(1, None, false).await;
    assert_eq!(run(&fixture, &jobs).await, 2);
    assert_eq!(run(&fixture, &free).await, 1, "jobs without the profile are not delayed");
    assert_eq!(fixture.wake_due().await, []);

    let caps = Patch::Set(vec![cap(3, Period::Day, WhenReached::Defer)]);
    let changes = ProfileChanges { caps, ..ProfileChanges::default() };
    fixture.catalogue.profile_update(ProfileUpdate { id, version: None, changes }).await.unwrap();
    let woken = fixture.wake_due().await;
    assert_eq!(woken, jobs[2..3]);
    assert_eq!(run(&fixture, &woken).await, 1);
}

#[tokio::test]
async fn a_refusing_cap_refuses_jobs_until_its_period_ends() {
    let fixture = start().await;
    let command = fixture.limited_command(capped(vec![cap(2, Period::Day, WhenReached::Refuse)])).await;
    let jobs = fixture.submit(vec![request_for(command); 3]).await;
    assert_eq!(run(&fixture, &jobs).await, 2, "a job accepted before waits");
    let refused = |request: JobRequest| async {
        let Done { value: results, .. } = submit(&fixture.context, &[vec![request]], false).await;
        match results.into_iter().next().unwrap() {
            Err(StepError::Refused(refusals)) => refusals,
            other => unreachable!("{other:?}"),
        }
    };
    let refusals = refused(request_for(command)).await;
    assert_eq!((refusals[0].code, refusals[0].path[0].as_str()), (RefusalCode::TooMany, "commandId"));
    assert!(refusals[0].message.contains("cap of 2 a day"), "{}", refusals[0].message);
    fixture.sql(A_DAY_LATER).await;
    assert_eq!(fixture.submit(vec![request_for(command)]).await.len(), 1);

    let service = fixture.service("s", capped(vec![cap(1, Period::Day, WhenReached::Refuse)])).await;
    let with = JobRequest { services: Some(vec![service]), ..request_for(fixture.command) };
    let jobs = fixture.submit(vec![with.clone()]).await;
    assert_eq!(run(&fixture, &jobs).await, 1);
    let refusals = refused(with).await;
    assert_eq!((refusals[0].code, refusals[0].path[0].as_str()), (RefusalCode::TooMany, "serviceIds"));

    let id = profile(&fixture, vec![cap(1, Period::Month, WhenReached::Refuse)]).await;
    let with_profile = fixture.jobs(1, Some(id), false).await;
    assert_eq!(run(&fixture, &with_profile).await, 1);
    let refusals = refused(JobRequest { profile: Some(id), ..request_for(fixture.command) }).await;
    assert_eq!((refusals[0].code, refusals[0].path[0].as_str()), (RefusalCode::TooMany, "profileId"));
}

#[tokio::test]
async fn an_unused_start_is_offered_to_the_next_job() {
    let fixture = start().await;
    let service = fixture.service("s", capped(vec![cap(1, Period::Day, WhenReached::Defer)])).await;
    let with = JobRequest { services: Some(vec![service]), ..request_for(fixture.command) };
    let jobs = fixture.submit(vec![with; 4]).await;
    assert_eq!(run(&fixture, &jobs).await, 1);
    assert_eq!(sweep_stranded(&fixture.store, None).await.unwrap().after.ready, [], "no start is left today");
    fixture.sql(A_DAY_LATER).await;
    assert_eq!(fixture.wake_due().await, jobs[1..2]);
    assert!(cancel(&fixture.store, jobs[1], None, &By::worker()).await.is_ok());
    assert_eq!(fixture.wake_due().await, [], "the gate is due tomorrow");
    let Done { after, .. } = sweep_stranded(&fixture.store, None).await.unwrap();
    assert_eq!(after.ready.iter().map(|ready| ready.job).collect::<Vec<_>>(), jobs[2..3]);
    assert_eq!(run(&fixture, &jobs[2..]).await, 1);
}

#[tokio::test]
async fn invalid_caps_are_refused() {
    let fixture = start().await;
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
        let StepError::Refused(refusals) = fixture.catalogue.profile_create(new).await.unwrap_err() else {
            unreachable!("not refused")
        };
        assert_eq!(refusals[0].path, path);
    }
}
