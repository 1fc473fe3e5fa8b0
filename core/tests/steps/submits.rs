//! Submitting: concurrent callers.

use callboard::{job::JobRequest, steps::enqueue::submit::submit};

use crate::fixture::Fixture;

#[tokio::test]
async fn concurrent_submits_of_the_same_keys_do_not_deadlock() {
    const JOBS: usize = 400;
    let fixture = Fixture::new().await;
    for round in 0..5 {
        let requests = |numbers: Vec<usize>| -> Vec<JobRequest> {
            let request = |number| JobRequest {
                idempotency_key: Some(format!("{round} {number}")),
                ..JobRequest::new(fixture.command)
            };
            numbers.into_iter().map(request).collect()
        };
        let forward = [requests((0..JOBS).collect())];
        let backward = [requests((0..JOBS).rev().collect())];
        let (one, other) = tokio::join!(
            submit(&fixture.context, &forward, false),
            submit(&fixture.context, &backward, false)
        );
        let (one, other) = (one.value[0].as_ref().unwrap(), other.value[0].as_ref().unwrap());
        assert!(one.iter().zip(other.iter().rev()).all(|(one, other)| one.job == other.job));
        assert_eq!(one.iter().chain(other).filter(|accepted| accepted.was_duplicate).count(), JOBS);
    }
}
