//! Lost workers: found by their leases, their jobs given to others, and poison jobs distinguished
//! from bad luck.

use callboard::{
    ids::WorkerId,
    job::transition::LOST_ATTEMPTS_MAX,
    steps::{
        Done,
        finish::{
            report_alive::report_alive,
            rescue::{self, Rescued},
            settle::Settled,
        },
        run::renew::{Renewal, renew},
    },
    store::{StoreError, jobs::live},
};

use crate::fixture::{Fixture, succeeded};

/// Rescues a worker's jobs, as a rescuer does once the worker's lease has not moved for long
/// enough.
pub(crate) async fn lose(fixture: &Fixture, worker: WorkerId) -> Rescued {
    let leases = rescue::leases(&fixture.store).await.unwrap().unwrap();
    let lease = leases.iter().find(|lease| lease.worker == worker);
    rescue::rescue(&fixture.store, lease).await.unwrap().value
}

#[tokio::test]
async fn a_worker_that_renews_its_lease_in_time_keeps_its_jobs() {
    let fixture = Fixture::new().await;
    let (worker, job) = (fixture.worker().await, fixture.job().await);
    let attempt = fixture.start(worker, job).await;
    let seen = rescue::leases(&fixture.store).await.unwrap().unwrap();
    assert!(matches!(renew(&fixture.store, worker, false).await.unwrap(), Renewal::Kept { .. }));
    let Done { value: rescued, .. } = rescue::rescue(&fixture.store, seen.first()).await.unwrap();
    assert_eq!((rescued.is_lost, rescued.jobs), (false, 0));
    let Renewal::Kept { held, .. } = renew(&fixture.store, worker, false).await.unwrap() else {
        panic!("lost")
    };
    assert_eq!(held.iter().map(|held| (held.job, held.attempt)).collect::<Vec<_>>(), [(job, attempt)]);
}

#[tokio::test]
async fn a_worker_past_its_lease_loses_its_jobs_and_learns_of_it() {
    let fixture = Fixture::new().await;
    let (dead, living) = (fixture.worker().await, fixture.worker().await);
    let jobs = fixture.jobs(3, None, false).await;
    let mut attempts = Vec::new();
    for &job in &jobs {
        attempts.push(fixture.start(dead, job).await);
    }
    let rescued = lose(&fixture, dead).await;
    assert_eq!((rescued.is_lost, rescued.jobs), (true, 3));
    assert_eq!(renew(&fixture.store, dead, false).await.unwrap(), Renewal::Lost);
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM live_jobs WHERE state = 'queued'").await, 3);
    for (&job, &attempt) in jobs.iter().zip(&attempts) {
        assert_eq!(fixture.settle(job, attempt, succeeded("late")).await, Settled::Stale);
        let again = fixture.start(living, job).await;
        assert_eq!(fixture.settle(job, again, succeeded("x")).await, Settled::Done);
    }
    let counted = "SELECT sum(counted) FROM ended_jobs";
    assert_eq!(fixture.value::<i64>(counted).await, 3, "lost attempts do not count");
}

#[tokio::test]
async fn a_worker_stopped_within_a_transaction_delays_a_rescue_only_briefly() {
    let fixture = Fixture::new().await;
    let (stopped, job) = (fixture.worker().await, fixture.job().await);
    fixture.start(stopped, job).await;
    let mut abandoned = fixture.store.begin().await.unwrap();
    live::lock(&mut abandoned, &[job]).await.unwrap();
    // Fails if it waits longer than the lock timeout.
    assert_eq!(lose(&fixture, stopped).await.jobs, 1);
    let late = live::lock(&mut abandoned, &[job]).await.unwrap_err();
    assert!(matches!(late, StoreError::Unavailable(_)), "{late:?}");
}

#[tokio::test]
async fn two_concurrent_rescuers_rescue_each_job_once() {
    let fixture = Fixture::new().await;
    let dead = fixture.worker().await;
    for job in fixture.jobs(50, None, false).await {
        fixture.start(dead, job).await;
    }
    let (one, other) = tokio::join!(lose(&fixture, dead), lose(&fixture, dead));
    assert!(one.is_lost ^ other.is_lost);
    assert_eq!(
        fixture.value::<i64>("SELECT count(*) FROM live_jobs WHERE state = 'queued' AND lost = 1").await,
        50
    );
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM attempts WHERE outcome = 'lost'").await, 50);
}

#[tokio::test]
async fn a_job_that_crashes_its_workers_is_poison() {
    let fixture = Fixture::new().await;
    let job = fixture.job().await;
    for _ in 0..LOST_ATTEMPTS_MAX {
        let worker = fixture.worker().await;
        fixture.start(worker, job).await;
        assert!(lose(&fixture, worker).await.is_lost);
    }
    assert_eq!(fixture.value::<String>("SELECT failure ->> 'code' FROM ended_jobs").await, "POISON");
}

#[tokio::test]
async fn attempts_whose_workers_report_alive_are_not_poison() {
    let fixture = Fixture::new().await;
    let job = fixture.job().await;
    for _ in 0..LOST_ATTEMPTS_MAX + 2 {
        let worker = fixture.worker().await;
        let attempt = fixture.start(worker, job).await;
        report_alive(&fixture.store, attempt).await.unwrap();
        assert_eq!(
            fixture.value::<i32>("SELECT lost FROM live_jobs").await,
            0,
            "the attempt is not lost yet"
        );
        lose(&fixture, worker).await;
        assert_eq!(fixture.value::<i32>("SELECT lost FROM live_jobs").await, 1);
        for _ in 0..2 {
            report_alive(&fixture.store, attempt).await.unwrap();
            assert_eq!(fixture.value::<i32>("SELECT lost FROM live_jobs").await, 0);
        }
    }
    let fenced = "SELECT count(*) FROM attempts WHERE outcome = 'lost' AND failure ->> 'code' = 'FENCED'";
    assert_eq!(fixture.value::<i64>(fenced).await, i64::from(LOST_ATTEMPTS_MAX + 2));
}
