//! A job runs once, however many workers claim it and however often.

use std::time::Duration;

use callboard::{
    clock::{IdSource, Time},
    limit::GateKey,
    steps::{
        Done,
        finish::settle::Settled,
        run::claim::{ClaimRequest, Decision, claim},
    },
};

use callboard_test_support::eventually;

use crate::fixture::{Fixture, succeeded};

#[tokio::test]
async fn of_two_concurrent_claims_one_wins() {
    let fixture = Fixture::new().await;
    let jobs = fixture.jobs(20, None, false).await;
    let (one, other) = (fixture.worker().await, fixture.worker().await);
    // Each claims all of them, in a different order.
    let requests = |jobs: Vec<_>| -> Vec<ClaimRequest> {
        jobs.into_iter().map(|job| ClaimRequest { job, attempt: IdSource.make() }).collect()
    };
    let (forward, backward) = (requests(jobs.clone()), requests(jobs.iter().rev().copied().collect()));
    let (forward, backward) =
        tokio::join!(claim(&fixture.store, one, &forward), claim(&fixture.store, other, &backward));
    let granted = |decisions: &[Decision]| {
        decisions.iter().map(|decision| matches!(decision, Decision::Granted(_))).collect::<Vec<bool>>()
    };
    let (forward, mut backward) = (granted(&forward.unwrap().value), granted(&backward.unwrap().value));
    backward.reverse();
    assert!(forward.iter().zip(&backward).all(|(one, other)| one != other), "{forward:?} {backward:?}");
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM live_jobs WHERE state = 'running'").await, 20);
}

#[tokio::test]
async fn a_repeated_claim_is_granted_again_and_counts_once() {
    let fixture = Fixture::new().await;
    let (worker, job) = (fixture.worker().await, fixture.job().await);
    let attempt = fixture.start(worker, job).await;
    let Decision::Granted(row) = fixture.claim(worker, job, attempt).await else {
        panic!("not granted again")
    };
    assert_eq!((row.live.attempt, row.live.version), (1, 2));
    // Another attempt of the same worker is another claim.
    assert_eq!(fixture.claim(worker, job, IdSource.make()).await, Decision::Gone);
    assert_eq!(fixture.settle(job, attempt, succeeded("x")).await, Settled::Done);
    assert_eq!(fixture.claim(worker, job, attempt).await, Decision::Gone);
}

#[tokio::test]
async fn a_reference_to_an_unknown_job_is_gone() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    assert_eq!(fixture.claim(worker, IdSource.make(), IdSource.make()).await, Decision::Gone);
}

#[tokio::test]
async fn a_profile_has_one_slot_and_its_release_wakes_the_next() {
    let fixture = Fixture::new().await;
    let profile = fixture.profile().await;
    let worker = fixture.worker().await;
    let jobs = fixture.jobs(3, Some(profile), true).await;
    // Also within one batch.
    let requests: Vec<ClaimRequest> =
        jobs.iter().map(|&job| ClaimRequest { job, attempt: IdSource.make() }).collect();
    let Done { value: decisions, .. } = claim(&fixture.store, worker, &requests).await.unwrap();
    let granted = decisions.iter().filter(|decision| matches!(decision, Decision::Granted(_))).count();
    let key = GateKey::Profile(profile);
    assert_eq!(granted, 1);
    assert_eq!(
        decisions.iter().filter(|decision| **decision == Decision::Parked { on: key.clone() }).count(),
        2
    );
    assert_eq!(fixture.held_slots().await, 1);
    // Parked jobs are not dispatched, so they are in no other job's way.
    assert_eq!(
        fixture.value::<i64>("SELECT count(*) FROM live_jobs WHERE dispatched_at IS NOT NULL").await,
        0
    );
    let first =
        requests.iter().zip(&decisions).find(|(_, decision)| matches!(decision, Decision::Granted(_)));
    let first = first.unwrap().0;
    assert_eq!(fixture.settle(first.job, first.attempt, succeeded("x")).await, Settled::Done);
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM live_jobs WHERE parked_on IS NULL").await, 1);
    assert_eq!(fixture.held_slots().await, 0);
}

#[tokio::test]
async fn a_claim_begins_when_the_profile_is_its_own_and_not_while_it_waits_for_it() {
    let fixture = Fixture::new().await;
    let (worker, profile) = (fixture.worker().await, fixture.profile().await);
    let job = fixture.jobs(1, Some(profile), false).await[0];
    let mut holder = fixture.store.begin().await.unwrap();
    let gate = "INSERT INTO gates (key) SELECT 'profile:' || id FROM profiles";
    sqlx::query(gate).execute(&mut *holder).await.unwrap();
    let waits = async {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity 
            WHERE datname = current_database() AND wait_event_type = 'Lock')";
        eventually(Duration::from_secs(20), || async { fixture.value::<bool>(waiting).await }).await;
        let released: Time =
            sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *holder).await.unwrap();
        holder.commit().await.unwrap();
        released
    };
    let (_attempt, released) = tokio::join!(fixture.start(worker, job), waits);
    assert!(fixture.value::<Time>("SELECT attempt_at FROM live_jobs").await > released);
}
