//! One runner: however many ask, and however often.

use std::time::Duration;

use callboard::{
    clock::{IdSource, Time},
    limit::GateKey,
    steps::{
        finish::settle::Settled,
        run::claim::{ClaimRequest, Decision, claim},
    },
};

use callboard_test_support::eventually;

use crate::stage::{Stage, succeeded};

#[tokio::test]
async fn of_many_workers_at_once_one_wins() {
    let stage = Stage::set().await;
    let jobs = stage.jobs(20, None, false).await;
    let (one, other) = (stage.worker().await, stage.worker().await);
    // Each asks for all of them, in an order of its own.
    let requests = |jobs: Vec<_>| -> Vec<ClaimRequest> {
        jobs.into_iter().map(|job| ClaimRequest { job, attempt: IdSource.make() }).collect()
    };
    let (forward, backward) = (requests(jobs.clone()), requests(jobs.iter().rev().copied().collect()));
    let (forward, backward) =
        tokio::join!(claim(&stage.store, one, &forward), claim(&stage.store, other, &backward));
    let granted = |answers: &[Decision]| {
        answers.iter().map(|answer| matches!(answer, Decision::Granted(_))).collect::<Vec<bool>>()
    };
    let (forward, mut backward) = (granted(&forward.unwrap().0), granted(&backward.unwrap().0));
    backward.reverse();
    assert!(forward.iter().zip(&backward).all(|(one, other)| one != other), "{forward:?} {backward:?}");
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM live_jobs WHERE state = 'running'").await, 20);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_granted_again_and_counts_once() {
    let stage = Stage::set().await;
    let (worker, job) = (stage.worker().await, stage.job().await);
    let attempt = stage.start(worker, job).await;
    let Decision::Granted(row) = stage.claim(worker, job, attempt).await else { panic!("not recognised") };
    assert_eq!((row.live.attempt, row.live.version), (1, 2));
    // Another attempt of the same worker is another claim.
    assert_eq!(stage.claim(worker, job, IdSource.make()).await, Decision::Gone);
    assert_eq!(stage.settle(job, attempt, succeeded("x")).await, Settled::Done);
    assert_eq!(stage.claim(worker, job, attempt).await, Decision::Gone);
}

#[tokio::test]
async fn a_reference_to_nothing_is_gone() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    assert_eq!(stage.claim(worker, IdSource.make(), IdSource.make()).await, Decision::Gone);
}

#[tokio::test]
async fn a_profile_is_held_by_one_and_the_next_is_woken_at_its_end() {
    let stage = Stage::set().await;
    let profile = stage.profile().await;
    let worker = stage.worker().await;
    let jobs = stage.jobs(3, Some(profile), true).await;
    // In one batch, too.
    let requests: Vec<ClaimRequest> =
        jobs.iter().map(|&job| ClaimRequest { job, attempt: IdSource.make() }).collect();
    let (answers, _after) = claim(&stage.store, worker, &requests).await.unwrap();
    let granted = answers.iter().filter(|answer| matches!(answer, Decision::Granted(_))).count();
    let key = GateKey::Profile(profile);
    assert_eq!(granted, 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Decision::Parked { on: key.clone() }).count(), 2);
    assert_eq!(stage.behind_gates().await, 1);
    // Parked ones are in nobody's way: they are not dispatched.
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM live_jobs WHERE dispatched_at IS NOT NULL").await, 0);
    let first = requests.iter().zip(&answers).find(|(_, answer)| matches!(answer, Decision::Granted(_)));
    let first = first.unwrap().0;
    assert_eq!(stage.settle(first.job, first.attempt, succeeded("x")).await, Settled::Done);
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM live_jobs WHERE parked_on IS NULL").await, 1);
    assert_eq!(stage.behind_gates().await, 0);
}

#[tokio::test]
async fn a_claim_begins_when_the_profile_is_its_own_and_not_while_it_waits_for_it() {
    let stage = Stage::set().await;
    let (worker, profile) = (stage.worker().await, stage.profile().await);
    let job = stage.jobs(1, Some(profile), false).await[0];
    let mut holder = stage.store.begin().await.unwrap();
    let gate = "INSERT INTO gates (key) SELECT 'profile:' || id FROM profiles";
    sqlx::query(gate).execute(&mut *holder).await.unwrap();
    let waits = async {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity 
            WHERE datname = current_database() AND wait_event_type = 'Lock')";
        eventually(Duration::from_secs(20), || async { stage.value::<bool>(waiting).await }).await;
        let released: Time =
            sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *holder).await.unwrap();
        holder.commit().await.unwrap();
        released
    };
    let (_attempt, released) = tokio::join!(stage.start(worker, job), waits);
    assert!(stage.value::<Time>("SELECT attempt_at FROM live_jobs").await > released);
}
