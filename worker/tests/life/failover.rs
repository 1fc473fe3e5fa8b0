//! Failovers of Postgres: a primary that is read-only for a while, and one that is replaced.
//!
//! What has happened is not done again because it could not be written down for a while, no line of
//! a log is lost, and the API accepts changes within a second of the database being back.

use std::time::Duration;

use crate::primary::{BACK_WITHIN, Failover, MarkedJobs, Primary};

const JOBS: u16 = 8;

async fn costs_nothing(failover: Failover) {
    let primary = Primary::start(JOBS).await;
    let marked = MarkedJobs::of(&primary.system).await;
    // From 1 to 4 seconds, so that most end within the outage, and before the lease does.
    let durations: Vec<Duration> = (0..JOBS)
        .map(|index| Duration::from_secs_f64(1.0 + 3.0 * f64::from(index) / f64::from(JOBS)))
        .collect();
    let jobs = marked.start(&primary.system, &durations).await;
    let took = primary.fail_over(failover).await;
    assert!(took < BACK_WITHIN, "the API accepted a change after {took:?}");
    let tally = marked.tally(&primary.system, &jobs).await;
    assert!(tally.repeated.is_empty() && tally.incomplete.is_empty(), "{tally:?}");
    assert!(tally.at_once > usize::from(JOBS) / 2, "most jobs end within the outage: {tally:?}");
}

#[tokio::test]
async fn a_primary_that_is_read_only_for_a_while_costs_nothing() {
    costs_nothing(Failover::ReadOnly).await;
}

#[tokio::test]
async fn a_primary_that_is_replaced_behind_its_name_costs_nothing() {
    costs_nothing(Failover::Replaced).await;
}
