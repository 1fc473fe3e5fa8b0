//! Submitting: what callers at once do to each other.

use callboard::steps::enqueue::submit::{JobRequest, submit};

use crate::stage::Stage;

#[tokio::test]
async fn the_same_keys_in_opposite_orders_at_once_wait_for_each_other_and_not_for_ever() {
    const JOBS: usize = 400;
    let stage = Stage::set().await;
    for round in 0..5 {
        let orders = |numbers: Vec<usize>| -> Vec<JobRequest> {
            let order = |number| JobRequest {
                command: Some(stage.command),
                idempotency_key: Some(format!("{round} {number}")),
                ..JobRequest::default()
            };
            numbers.into_iter().map(order).collect()
        };
        let forward = [orders((0..JOBS).collect())];
        let backward = [orders((0..JOBS).rev().collect())];
        let (one, other) =
            tokio::join!(submit(&stage.context, &forward, false), submit(&stage.context, &backward, false));
        let (one, other) = (one.0[0].as_ref().unwrap(), other.0[0].as_ref().unwrap());
        assert!(one.iter().zip(other.iter().rev()).all(|(one, other)| one.job == other.job));
        assert_eq!(one.iter().chain(other).filter(|accepted| accepted.was_duplicate).count(), JOBS);
    }
}
