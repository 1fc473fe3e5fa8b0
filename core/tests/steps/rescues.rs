//! A lost worker: found by its lease, its jobs given to others, and poison told from bad luck.

use std::time::Duration;

use callboard::{
    job::transition::LOST_ATTEMPTS_MAX,
    steps::{
        own_up::own_up,
        renew::{Renewal, renew},
        rescue::rescue,
        settle::Settled,
    },
};

use crate::stage::{Stage, succeeded};

const LEASE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_worker_in_its_lease_is_left_alone() {
    let stage = Stage::set().await;
    let (worker, job) = (stage.worker().await, stage.job().await);
    let attempt = stage.start(worker, job).await;
    stage.sql("UPDATE workers SET heartbeat_at = now() - interval '7 seconds'").await;
    let (rescued, _after) = rescue(&stage.store, LEASE).await.unwrap();
    assert_eq!((rescued.worker, rescued.jobs), (None, 0));
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
    stage.sql("UPDATE workers SET heartbeat_at = now() - interval '9 seconds'").await;
    assert!(matches!(renew(&stage.store, living, false).await.unwrap(), Renewal::Kept { .. }));
    let (rescued, _after) = rescue(&stage.store, LEASE).await.unwrap();
    assert_eq!((rescued.worker, rescued.jobs), (Some(dead), 3));
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
async fn two_rescuers_at_once_take_each_job_once() {
    let stage = Stage::set().await;
    let dead = stage.worker().await;
    for job in stage.jobs(50, None, false).await {
        stage.start(dead, job).await;
    }
    stage.sql("UPDATE workers SET heartbeat_at = now() - interval '9 seconds'").await;
    let (one, other) = tokio::join!(rescue(&stage.store, LEASE), rescue(&stage.store, LEASE));
    let ((one, _), (other, _)) = (one.unwrap(), other.unwrap());
    assert_eq!(one.worker.iter().chain(&other.worker).collect::<Vec<_>>(), [&dead]);
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
        stage.sql("UPDATE workers SET heartbeat_at = now() - interval '9 seconds'").await;
        let (rescued, _after) = rescue(&stage.store, LEASE).await.unwrap();
        assert_eq!(rescued.worker, Some(worker));
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
        own_up(&stage.store, attempt).await.unwrap();
        assert_eq!(stage.value::<i32>("SELECT lost FROM live_jobs").await, 0, "it is not lost yet");
        stage.sql("UPDATE workers SET heartbeat_at = now() - interval '9 seconds'").await;
        let (_rescued, _after) = rescue(&stage.store, LEASE).await.unwrap();
        assert_eq!(stage.value::<i32>("SELECT lost FROM live_jobs").await, 1);
        for _ in 0..2 {
            own_up(&stage.store, attempt).await.unwrap();
            assert_eq!(stage.value::<i32>("SELECT lost FROM live_jobs").await, 0);
        }
    }
    let fenced = "SELECT count(*) FROM attempts WHERE outcome = 'lost' AND failure ->> 'code' = 'FENCED'";
    assert_eq!(stage.value::<i64>(fenced).await, i64::from(LOST_ATTEMPTS_MAX + 2));
}
