//! Fails Postgres over, again and again: no success is repeated, no line is lost, and the API is
//! back at once.

use std::time::Duration;

use crate::{
    Times,
    primary::{BACK_WITHIN, Failover, LINES, MarkedJobs, OUTAGE, Primary},
};

const TIMES: usize = 10;
const JOBS: u16 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes six minutes: script/drill failover"]
async fn failover() {
    // From half a second to ten: within the outage, beyond the deadline of the lease, and later.
    let durations: Vec<Duration> =
        (1..=JOBS).map(|half_seconds| Duration::from_millis(500) * u32::from(half_seconds)).collect();
    for kind in [Failover::ReadOnly, Failover::Replaced] {
        let primary = Primary::start(JOBS).await;
        let marked = MarkedJobs::of(&primary.system).await;
        let (mut back, mut at_once, mut released) = (Vec::new(), 0, 0);
        for _ in 0..TIMES {
            let jobs = marked.start(&primary.system, &durations).await;
            back.push(primary.fail_over(kind).await.as_secs_f64() * 1000.0);
            let tally = marked.tally(&primary.system, &jobs).await;
            assert!(tally.repeated.is_empty() && tally.incomplete.is_empty(), "{tally:?}");
            at_once += tally.at_once;
            released += tally.released;
        }
        let (jobs, back) = (TIMES * usize::from(JOBS), Times::new(back));
        println!(
            "{kind:?} for {OUTAGE:?}, {TIMES} times, {jobs} jobs of {LINES} lines: {at_once} succeeded in their \
            first attempt, {released} were released with the lease and ran again, 0 successes were repeated, 0 lines \
            lost; until the API accepts a change: {back}"
        );
        back.assert_p99(BACK_WITHIN);
    }
}
