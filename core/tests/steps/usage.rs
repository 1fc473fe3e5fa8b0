//! Usage of commands, profiles and services, today and this month.

use callboard::{
    clock::IdSource,
    ids::{AttemptId, JobId, ServiceId},
    job::{JobRequest, Used},
    steps::{
        finish::settle::{Settlement, settle},
        maintain::fold_counters::fold_counters,
    },
    store::limits::usage::{self, Total, Usage, User},
};

use callboard_test_support::within_a_day;

use crate::{
    fixture::{Fixture, failed, limits, settlement, succeeded},
    rescues::lose,
};

async fn usage_of(fixture: &Fixture, users: &[User]) -> Vec<Usage> {
    let found = usage::load(&mut fixture.store.connection().await.unwrap(), users).await.unwrap();
    users.iter().map(|user| found.get(user).copied().unwrap_or_default()).collect()
}

fn attempts(usages: &[Usage]) -> Vec<(i64, i64)> {
    usages.iter().map(|usage| (usage.today.attempts, usage.this_month.attempts)).collect()
}

#[tokio::test]
async fn each_finished_attempt_counts_once_for_everything_it_used() {
    within_a_day().await;
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let profile = fixture.profile().await;
    let services =
        [fixture.service("a", limits(None, &[])).await, fixture.service("b", limits(None, &[])).await];
    let users = [
        User::Command(fixture.command),
        User::Profile(profile),
        User::Service(services[0]),
        User::Service(services[1]),
    ];
    assert_eq!(usage_of(&fixture, &users).await, [Usage::default(); 4]);

    let used = |profile, services: &[ServiceId]| {
        Some(Used { command: fixture.command, profile, services: services.to_vec() })
    };
    let jobs = fixture.jobs(3, None, false).await;
    let mut settlements = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        let attempt: AttemptId = fixture.start(worker, *job).await;
        let outcome = if index == 2 { failed() } else { succeeded("x") };
        let used = used(Some(profile).filter(|_| index == 0), &services[..index]);
        settlements.push(Settlement { used, ..settlement(*job, attempt, outcome) });
    }
    let stale = Settlement { used: used(None, &[]), ..settlement(jobs[0], IdSource.make(), succeeded("x")) };
    let _done = settle(&fixture.store, vec![stale]).await.unwrap();
    fixture.sql("UPDATE live_jobs SET attempt_at = clock_timestamp() - interval '90 seconds'").await;
    let _done = settle(&fixture.store, settlements.clone()).await.unwrap();
    let _done = settle(&fixture.store, settlements).await.unwrap();
    let expected = [(3, 3), (1, 1), (2, 2), (1, 1)];
    assert_eq!(
        attempts(&usage_of(&fixture, &users).await),
        expected,
        "stale and repeated settlements do not count"
    );

    fold_counters(&fixture.store).await.unwrap();
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM usage_deltas").await, 0);
    let folded = usage_of(&fixture, &users).await;
    assert_eq!(attempts(&folded), expected, "folding changes nothing");
    let busy = folded[0].today.busy_ms;
    assert!((270_000..300_000).contains(&busy), "{busy} ms");
}

#[tokio::test]
async fn attempts_of_lost_workers_count() {
    within_a_day().await;
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("a", limits(None, &[])).await;
    let request = JobRequest { services: Some(vec![service]), ..JobRequest::new(fixture.command) };
    let job = fixture.submit(vec![request]).await[0];
    fixture.start(worker, job).await;
    lose(&fixture, worker).await;
    let users = [User::Command(fixture.command), User::Service(service)];
    assert_eq!(attempts(&usage_of(&fixture, &users).await), [(1, 1), (1, 1)]);
}

#[tokio::test]
async fn usage_resets_each_day_and_month() {
    within_a_day().await;
    let fixture = Fixture::new().await;
    fixture
        .sql(
            "INSERT INTO usage_days (day, command_id, profile_id, service_id, attempts, busy_ms)
             SELECT day, commands.id, '00000000-0000-0000-0000-000000000000', service, 10 ^ digit, 0
             FROM commands, (SELECT (now() AT TIME ZONE 'UTC')::date AS today) AS clock,
                unnest(ARRAY['00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000007']::uuid[]) AS service,
                LATERAL (VALUES (today, 0), (date_trunc('month', today)::date - 1, 1)) AS past (day, digit)",
        )
        .await;
    let service = ServiceId::from(uuid::Uuid::from_u128(7));
    let users = [User::Command(fixture.command), User::Service(service)];
    let one = Total { attempts: 1, busy_ms: 0 };
    assert_eq!(usage_of(&fixture, &users).await, [Usage { today: one, this_month: one }; 2]);
    // On the first of a month, the month has no other day.
    fixture.sql("UPDATE usage_days SET day = date_trunc('month', now() AT TIME ZONE 'UTC')::date WHERE attempts = 10 AND extract(day FROM now() AT TIME ZONE 'UTC') > 1").await;
    let month = if fixture.value::<bool>("SELECT extract(day FROM now() AT TIME ZONE 'UTC') > 1").await {
        11
    } else {
        1
    };
    assert_eq!(attempts(&usage_of(&fixture, &users).await), [(1, month); 2]);
}

#[tokio::test]
async fn shares_of_a_service_are_sorted_by_usage() {
    within_a_day().await;
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (profile, service) = (fixture.profile().await, fixture.service("a", limits(None, &[])).await);
    let jobs: Vec<JobId> = fixture.jobs(3, None, false).await;
    for (index, job) in jobs.iter().enumerate() {
        let attempt = fixture.start(worker, *job).await;
        let profile = Some(profile).filter(|_| index > 0);
        let used = Some(Used { command: fixture.command, profile, services: vec![service] });
        let _done =
            settle(&fixture.store, vec![Settlement { used, ..settlement(*job, attempt, succeeded("x")) }])
                .await
                .unwrap();
    }
    let shares = usage::shares(&mut fixture.store.connection().await.unwrap(), &[service], 25).await.unwrap();
    let shares: Vec<_> =
        shares.iter().map(|(of, share)| (*of, share.profile, share.usage.today.attempts)).collect();
    assert_eq!(shares, [(service, Some(profile), 2), (service, None, 1)]);
    let first = usage::shares(&mut fixture.store.connection().await.unwrap(), &[service], 1).await.unwrap();
    assert_eq!(first.len(), 1);
}
