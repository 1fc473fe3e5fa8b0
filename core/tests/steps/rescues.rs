//! A lost worker: found by its lease, its jobs given to others, and poison told from bad luck.

use callboard::{
    ids::WorkerId,
    job::transition::LOST_ATTEMPTS_MAX,
    steps::{
        finish::{
            report_alive::report_alive,
            rescue::{self, Rescued},
            settle::Settled,
        },
        run::renew::{Renewal, renew},
    },
    store::{StoreError, jobs::live},
};

use crate::stage::{Stage, succeeded};

/// What a rescuer does when it has seen the worker's lease stand still for long enough.
pub(crate) async fn lose(stage: &Stage, worker: WorkerId) -> Rescued {
    let leases = rescue::leases(&stage.store).await.unwrap();
    let lease = leases.iter().find(|lease| lease.worker == worker);
    rescue::rescue(&stage.store, lease).await.unwrap().0
}

#[tokio::test]
async fn a_worker_that_renews_its_lease_after_all_is_left_alone() {
    let stage = Stage::set().await;
    let (worker, job) = (stage.worker().await, stage.job().await);
    let attempt = stage.start(worker, job).await;
    let seen = rescue::leases(&stage.store).await.unwrap();
    assert!(matches!(renew(&stage.store, worker, false).await.unwrap(), Renewal::Kept { .. }));
    let (rescued, _after) = rescue::rescue(&stage.store, seen.first()).await.unwrap();
    assert_eq!((rescued.is_lost, rescued.jobs), (false, 0));
    let Renewal::Kept { held, .. } = renew(&stage.store, worker, false).await.unwrap() else {
        panic!("lost")
    };
    assert_eq!(held.iter().map(|held| (held.job, held.attempt)).collect::<Vec<_>>(), [(job, attempt)]);
}

#[tokio::test]
async fn a_worker_beyond_its_lease_loses_its_jobs_and_hears_it() {
    let stage = Stage::set().await;
    let (dead, living) = (stage.worker().await, stage.worker().await);
    let jobs = stage.jobs(3, None, false).await;
    let mut attempts = Vec::new();
    for &job in &jobs {
        attempts.push(stage.start(dead, job).await);
    }
    let rescued = lose(&stage, dead).await;
    assert_eq!((rescued.is_lost, rescued.jobs), (true, 3));
    assert_eq!(renew(&stage.store, dead, false).await.unwrap(), Renewal::Lost);
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM live_jobs WHERE state = 'queued'").await, 3);
    for (&job, &attempt) in jobs.iter().zip(&attempts) {
        assert_eq!(stage.settle(job, attempt, succeeded("late")).await, Settled::Stale);
        let again = stage.start(living, job).await;
        assert_eq!(stage.settle(job, again, succeeded("x")).await, Settled::Done);
    }
    let counted = "SELECT sum(counted) FROM ended_jobs";
    assert_eq!(stage.value::<i64>(counted).await, 3, "what was lost does not count");
}

#[tokio::test]
async fn a_worker_that_is_stopped_within_a_transaction_holds_nobody_up_for_long() {
    let stage = Stage::set().await;
    let (stopped, job) = (stage.worker().await, stage.job().await);
    stage.start(stopped, job).await;
    let mut abandoned = stage.store.begin().await.unwrap();
    live::lock(&mut abandoned, &[job]).await.unwrap();
    // Fails if it has to wait for longer than a lock may be waited for.
    assert_eq!(lose(&stage, stopped).await.jobs, 1);
    let late = live::lock(&mut abandoned, &[job]).await.unwrap_err();
    assert!(matches!(late, StoreError::Unavailable(_)), "{late:?}");
}

#[tokio::test]
async fn two_rescuers_at_once_take_each_job_once() {
    let stage = Stage::set().await;
    let dead = stage.worker().await;
    for job in stage.jobs(50, None, false).await {
        stage.start(dead, job).await;
    }
    let (one, other) = tokio::join!(lose(&stage, dead), lose(&stage, dead));
    assert!(one.is_lost ^ other.is_lost);
    assert_eq!(
        stage.value::<i64>("SELECT count(*) FROM live_jobs WHERE state = 'queued' AND lost = 1").await,
        50
    );
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM attempts WHERE outcome = 'lost'").await, 50);
}

#[tokio::test]
async fn a_job_that_takes_its_workers_down_is_poison() {
    let stage = Stage::set().await;
    let job = stage.job().await;
    for _ in 0..LOST_ATTEMPTS_MAX {
        let worker = stage.worker().await;
        stage.start(worker, job).await;
        assert!(lose(&stage, worker).await.is_lost);
    }
    assert_eq!(stage.value::<String>("SELECT failure ->> 'code' FROM ended_jobs").await, "POISON");
}

#[tokio::test]
async fn attempts_that_their_workers_ended_themselves_are_no_poison() {
    let stage = Stage::set().await;
    let job = stage.job().await;
    for _ in 0..LOST_ATTEMPTS_MAX + 2 {
        let worker = stage.worker().await;
        let attempt = stage.start(worker, job).await;
        report_alive(&stage.store, attempt).await.unwrap();
        assert_eq!(stage.value::<i32>("SELECT lost FROM live_jobs").await, 0, "it is not lost yet");
        lose(&stage, worker).await;
        assert_eq!(stage.value::<i32>("SELECT lost FROM live_jobs").await, 1);
        for _ in 0..2 {
            report_alive(&stage.store, attempt).await.unwrap();
            assert_eq!(stage.value::<i32>("SELECT lost FROM live_jobs").await, 0);
        }
    }
    let fenced = "SELECT count(*) FROM attempts WHERE outcome = 'lost' AND failure ->> 'code' = 'FENCED'";
    assert_eq!(stage.value::<i64>(fenced).await, i64::from(LOST_ATTEMPTS_MAX + 2));
}
