//! Histories that the protocol allows are accepted, and others are not.

use callboard::job::JobState;
use callboard_protocol_model::{
    End,
    Recorded::{CancelAsked, Due, Ran, Rescued, Settled, Started},
    replay,
};

const QUEUED: Option<JobState> = Some(JobState::Queued);

#[test]
fn a_life_with_losses_and_retries() {
    let history = [
        (Started { worker: 0 }, Some(JobState::Running)),
        (Ran, None),
        (Rescued, QUEUED),
        (Started { worker: 1 }, Some(JobState::Running)),
        (Ran, None),
        (Settled(End::Failed), Some(JobState::Scheduled)),
        (Due, QUEUED),
        (Started { worker: 0 }, Some(JobState::Running)),
        (Settled(End::Released), QUEUED),
        (Started { worker: 0 }, Some(JobState::Running)),
        (Ran, None),
        (CancelAsked, Some(JobState::Running)),
        (Settled(End::Cancelled), Some(JobState::Cancelled)),
    ];
    assert_eq!(replay(2, &history), Ok(()));
}

#[test]
fn what_cannot_happen_does_not_fit() {
    let runs = [(Started { worker: 0 }, None), (Ran, None)];
    let ends = (Settled(End::Succeeded), Some(JobState::Succeeded));
    for (history, why) in [
        (vec![runs[0], runs[1], (Started { worker: 1 }, None)], "a second runner"),
        (vec![runs[1]], "a child without a claim"),
        (vec![runs[0], runs[1], ends, ends], "settled twice"),
        (vec![runs[0], runs[1], ends, (Started { worker: 1 }, None)], "a start after the end"),
        (vec![runs[0], runs[1], (Settled(End::Released), Some(JobState::Succeeded))], "another state"),
        (vec![runs[0], (Due, None)], "due while it runs"),
    ] {
        assert!(replay(2, &history).is_err(), "{why}");
    }
}
