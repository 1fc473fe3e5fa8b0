//! Usage: what attempts used, of a command, on a profile and with services, today and this month.

use callboard::{
    clock::IdSource,
    ids::{AttemptId, JobId, ServiceId},
    job::Used,
    steps::{
        enqueue::submit::JobRequest,
        finish::settle::{Settlement, settle},
        maintain::fold_counters::fold_counters,
    },
    store::limits::usage::{self, Total, Usage, User},
};

use callboard_test_support::within_a_day;

use crate::{
    rescues::lose,
    stage::{Stage, failed, limits, settlement, succeeded},
};

async fn of(stage: &Stage, users: &[User]) -> Vec<Usage> {
    let found = usage::load(&mut stage.store.connection().await.unwrap(), users).await.unwrap();
    users.iter().map(|user| found.get(user).copied().unwrap_or_default()).collect()
}

fn attempts(usages: &[Usage]) -> Vec<(i64, i64)> {
    usages.iter().map(|usage| (usage.today.attempts, usage.this_month.attempts)).collect()
}

#[tokio::test]
async fn every_ended_attempt_counts_once_for_all_that_it_used() {
    within_a_day().await;
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let profile = stage.profile().await;
    let services = [stage.service("a", limits(None, &[])).await, stage.service("b", limits(None, &[])).await];
    let users = [
        User::Command(stage.command),
        User::Profile(profile),
        User::Service(services[0]),
        User::Service(services[1]),
    ];
    assert_eq!(of(&stage, &users).await, [Usage::default(); 4]);

    let used = |profile, services: &[ServiceId]| {
        Some(Used { command: stage.command, profile, services: services.to_vec() })
    };
    let jobs = stage.jobs(3, None, false).await;
    let mut settlements = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        let attempt: AttemptId = stage.start(worker, *job).await;
        let outcome = if index == 2 { failed() } else { succeeded("x") };
        let used = used(Some(profile).filter(|_| index == 0), &services[..index]);
        settlements.push(Settlement { used, ..settlement(*job, attempt, outcome) });
    }
    let stale = Settlement { used: used(None, &[]), ..settlement(jobs[0], IdSource.make(), succeeded("x")) };
    let (_, _after) = settle(&stage.store, vec![stale]).await.unwrap();
    stage.sql("UPDATE live_jobs SET attempt_at = clock_timestamp() - interval '90 seconds'").await;
    let (_, _after) = settle(&stage.store, settlements.clone()).await.unwrap();
    let (_, _after) = settle(&stage.store, settlements).await.unwrap();
    let expected = [(3, 3), (1, 1), (2, 2), (1, 1)];
    assert_eq!(attempts(&of(&stage, &users).await), expected, "neither stale nor repeated ones count");

    fold_counters(&stage.store).await.unwrap();
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM usage_deltas").await, 0);
    let folded = of(&stage, &users).await;
    assert_eq!(attempts(&folded), expected, "folded, they are the same");
    let busy = folded[0].today.busy_ms;
    assert!((270_000..300_000).contains(&busy), "{busy} ms");
}

#[tokio::test]
async fn attempts_whose_worker_vanished_count_too() {
    within_a_day().await;
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("a", limits(None, &[])).await;
    let order =
        JobRequest { command: Some(stage.command), services: Some(vec![service]), ..JobRequest::default() };
    let job = stage.submit(vec![order]).await[0];
    stage.start(worker, job).await;
    lose(&stage, worker).await;
    let users = [User::Command(stage.command), User::Service(service)];
    assert_eq!(attempts(&of(&stage, &users).await), [(1, 1), (1, 1)]);
}

#[tokio::test]
async fn days_and_months_end() {
    within_a_day().await;
    let stage = Stage::set().await;
    stage
        .sql(
            "INSERT INTO usage_days (day, command_id, profile_id, service_id, attempts, busy_ms)
             SELECT day, commands.id, '00000000-0000-0000-0000-000000000000', service, 10 ^ digit, 0
             FROM commands, (SELECT (now() AT TIME ZONE 'UTC')::date AS today) AS clock,
                unnest(ARRAY['00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000007']::uuid[]) AS service,
                LATERAL (VALUES (today, 0), (date_trunc('month', today)::date - 1, 1)) AS past (day, digit)",
        )
        .await;
    let service = ServiceId::from(uuid::Uuid::from_u128(7));
    let users = [User::Command(stage.command), User::Service(service)];
    let one = Total { attempts: 1, busy_ms: 0 };
    assert_eq!(of(&stage, &users).await, [Usage { today: one, this_month: one }; 2]);
    // On the first of a month there is no other day of it.
    stage.sql("UPDATE usage_days SET day = date_trunc('month', now() AT TIME ZONE 'UTC')::date WHERE attempts = 10 AND extract(day FROM now() AT TIME ZONE 'UTC') > 1").await;
    let month = if stage.value::<bool>("SELECT extract(day FROM now() AT TIME ZONE 'UTC') > 1").await {
        11
    } else {
        1
    };
    assert_eq!(attempts(&of(&stage, &users).await), [(1, month); 2]);
}

#[tokio::test]
async fn who_used_a_service_is_told_by_how_much() {
    within_a_day().await;
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let (profile, service) = (stage.profile().await, stage.service("a", limits(None, &[])).await);
    let jobs: Vec<JobId> = stage.jobs(3, None, false).await;
    for (index, job) in jobs.iter().enumerate() {
        let attempt = stage.start(worker, *job).await;
        let profile = Some(profile).filter(|_| index > 0);
        let used = Some(Used { command: stage.command, profile, services: vec![service] });
        let (_, _after) =
            settle(&stage.store, vec![Settlement { used, ..settlement(*job, attempt, succeeded("x")) }])
                .await
                .unwrap();
    }
    let told = usage::shares(&mut stage.store.connection().await.unwrap(), &[service], 25).await.unwrap();
    let told: Vec<_> =
        told.iter().map(|(of, share)| (*of, share.profile, share.usage.today.attempts)).collect();
    assert_eq!(told, [(service, Some(profile), 2), (service, None, 1)]);
    let first = usage::shares(&mut stage.store.connection().await.unwrap(), &[service], 1).await.unwrap();
    assert_eq!(first.len(), 1);
}
