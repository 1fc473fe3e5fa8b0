//! The state machine: its invariants under any sequence of transitions, and the table of it in
//! docs/job-states.md.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, fmt::Write as _, path::Path, time::Duration};

use callboard::{
    clock::Time,
    ids::{AttemptId, JobId},
    job::{
        Failure, FailureCode, Outcome, Standing,
        state::Ending,
        transition::{Applied, Facts, LOST_ATTEMPTS_MAX, Next, Retry, Transition, apply},
    },
    limit::GateKey,
    policy::Policy,
};
use proptest::prelude::*;
use uuid::Uuid;

fn gate() -> GateKey {
    GateKey::Profile(Uuid::from_u128(1).into())
}

fn attempt(number: u128) -> AttemptId {
    AttemptId::from(Uuid::from_u128(number))
}

fn now() -> Time {
    Time::from_timestamp(1_800_000_000, 0).unwrap()
}

fn retry() -> Retry {
    Retry::new(&Policy::default(), Duration::ZERO)
}

fn failed(is_retryable: bool) -> Outcome {
    Outcome::Failed(Failure::new(FailureCode::EXIT_CODE, "exit code 1", is_retryable))
}

fn outcomes() -> Vec<(&'static str, Outcome)> {
    vec![
        ("succeeded", Outcome::Succeeded { result: serde_json::Value::Null }),
        ("failed", failed(true)),
        ("failed, not retryable", failed(false)),
        ("timed out", Outcome::TimedOut { said: None }),
        ("cancelled", Outcome::Cancelled),
        ("lost", Outcome::Lost),
        ("released", Outcome::Released { reason: "drained".into() }),
        ("throttled", Outcome::Throttled { reason: "429".into() }),
    ]
}

fn transitions() -> Vec<(String, Transition)> {
    let mut all: Vec<(String, Transition)> = vec![
        ("dependencies succeeded".into(), Transition::Unblocked { run_at: now() }),
        (
            "dependencies succeeded, run time in the future".into(),
            Transition::Unblocked { run_at: now() + Duration::from_secs(1) },
        ),
        (
            "a dependency did not succeed".into(),
            Transition::DependencyBroken { on: JobId::from(Uuid::from_u128(7)) },
        ),
        ("run time reached".into(), Transition::Due),
        ("run now requested".into(), Transition::RunNow),
        ("claimed".into(), Transition::Claimed { attempt: attempt(1) }),
        ("parked at a gate".into(), Transition::Parked { on: gate(), reason: "in use".into() }),
        ("woken".into(), Transition::Woken),
        ("cancel requested".into(), Transition::CancelAsked { reason: None }),
        ("expired, if no attempt has counted".into(), Transition::Expired),
        ("retried".into(), Transition::Retried { is_blocked: false }),
        ("retried, with open dependencies".into(), Transition::Retried { is_blocked: true }),
    ];
    for (name, outcome) in outcomes() {
        let backoff = Duration::from_secs(1);
        all.push((
            format!("attempt {name}"),
            Transition::Finished {
                attempt: attempt(1),
                outcome,
                retry: Retry::new(&Policy::default(), backoff),
            },
        ));
    }
    all
}

fn standings() -> Vec<Standing> {
    let running = |cancel_asked| Standing::Running { attempt: attempt(1), cancel_asked };
    vec![
        Standing::Blocked,
        Standing::Scheduled { run_at: now(), is_retry: false },
        Standing::Scheduled { run_at: now(), is_retry: true },
        Standing::Queued { parked_on: None },
        Standing::Queued { parked_on: Some(gate()) },
        running(false),
        running(true),
        Standing::Ended(Ending::Succeeded),
        Standing::Ended(Ending::Failed),
        Standing::Ended(Ending::Cancelled),
    ]
}

fn name(standing: &Standing) -> String {
    let state = standing.state().as_str().to_uppercase();
    match standing {
        Standing::Queued { parked_on: Some(_) } => format!("{state} (parked)"),
        Standing::Scheduled { is_retry: true, .. } => format!("{state} (backoff)"),
        Standing::Running { cancel_asked: true, .. } => format!("{state} (cancel requested)"),
        Standing::Blocked
        | Standing::Scheduled { .. }
        | Standing::Queued { .. }
        | Standing::Running { .. }
        | Standing::Ended(_) => state,
    }
}

fn standing_after(applied: &Applied) -> Standing {
    match &applied.next {
        Next::Live(standing) => standing.clone(),
        Next::Ended { ending, .. } => Standing::Ended(*ending),
    }
}

/// The table of `docs/job-states.md`, made by calling `apply` with every state and transition.
fn document() -> String {
    let mut text = format!(
        "# The states of a job\n\nGenerated from `core/src/job/transition.rs` by `core/tests/job_states.rs`. Do not edit.\n\
         The last attempt is the one that reaches `maxAttempts` of the policy. For lost attempts, which do not\n\
         count there, it is number {LOST_ATTEMPTS_MAX}. Both count from the last retry by hand.\n\n\
         | from | transition | to | event |\n|---|---|---|---|\n",
    );
    let policy = Policy::default();
    let mut rows = BTreeSet::new();
    for (order, standing) in standings().into_iter().enumerate() {
        for (what, transition) in transitions() {
            for (counted, lost) in [(0, 0), (policy.max_attempts - 1, LOST_ATTEMPTS_MAX - 1)] {
                let facts = Facts { standing: standing.clone(), counted, lost };
                // A job waits for another attempt after one that counted.
                if matches!(standing, Standing::Scheduled { is_retry: true, .. }) && counted == 0 {
                    continue;
                }
                let Ok(applied) = apply(&facts, transition.clone(), now()) else { continue };
                let other = Facts {
                    counted: policy.max_attempts - 1 - counted,
                    lost: LOST_ATTEMPTS_MAX - 1 - lost,
                    ..facts
                };
                let depends =
                    apply(&other, transition.clone(), now()).ok().map(|other| standing_after(&other))
                        != Some(standing_after(&applied));
                let when = match (depends, counted == 0) {
                    _ if transition == Transition::Expired => "",
                    (false, _) => "",
                    (true, true) => ", attempts left",
                    (true, false) => ", last attempt",
                };
                let event = applied.event.as_str().to_uppercase();
                let to = name(&standing_after(&applied));
                rows.insert((order, format!("| {} | {what}{when} | {to} | {event} |\n", name(&standing))));
            }
        }
    }
    for (_, row) in rows {
        write!(text, "{row}").unwrap();
    }
    text.push_str("\nEvery other transition is refused and writes nothing.\n");
    text
}

#[test]
fn the_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/job-states.md");
    let current = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == current,
        "docs/job-states.md is out of date: run UPDATE_DOCS=1 cargo test --test job_states"
    );
}

#[test]
fn only_a_retry_leaves_a_final_state() {
    for ending in [Ending::Succeeded, Ending::Failed, Ending::Cancelled] {
        for (what, transition) in transitions() {
            let facts = Facts { standing: Standing::Ended(ending), counted: 0, lost: 0 };
            let is_retry = matches!(transition, Transition::Retried { .. });
            assert_eq!(apply(&facts, transition, now()).is_ok(), is_retry, "{ending:?}: {what}");
        }
    }
}

#[test]
fn a_stale_attempt_cannot_settle_the_job() {
    let standing = Standing::Running { attempt: attempt(2), cancel_asked: false };
    for (what, outcome) in outcomes() {
        let facts = Facts { standing: standing.clone(), counted: 0, lost: 0 };
        let late = Transition::Finished { attempt: attempt(1), outcome, retry: retry() };
        assert!(apply(&facts, late, now()).is_err(), "{what}");
    }
}

#[test]
fn only_a_job_that_waits_for_a_time_is_run_now() {
    for standing in standings() {
        let facts = Facts { standing: standing.clone(), counted: 1, lost: 1 };
        match (&standing, apply(&facts, Transition::RunNow, now())) {
            (Standing::Scheduled { .. }, Ok(applied)) => {
                assert_eq!(standing_after(&applied), Standing::Queued { parked_on: None });
                assert_eq!((applied.counted, applied.lost), (1, 1), "it is the same retry");
                assert_eq!(applied.message, "Run now, before its time 2027-01-15T08:00:00.000Z.");
            }
            (_, applied) => {
                let refused = applied.unwrap_err();
                assert_eq!((refused.state, refused.asked), (standing.state(), "run now"));
            }
        }
    }
}

#[test]
fn lost_released_and_throttled_attempts_do_not_count() {
    let policy = Policy { max_attempts: 1, ..Policy::default() };
    let finish = |outcome, lost| {
        let standing = Standing::Running { attempt: attempt(1), cancel_asked: false };
        let facts = Facts { standing, counted: 0, lost };
        apply(
            &facts,
            Transition::Finished { attempt: attempt(1), outcome, retry: Retry::new(&policy, Duration::ZERO) },
            now(),
        )
        .unwrap()
    };
    let reason = String::new;
    let uncounted =
        [Outcome::Lost, Outcome::Released { reason: reason() }, Outcome::Throttled { reason: reason() }];
    for outcome in uncounted {
        let applied = finish(outcome.clone(), 0);
        assert_eq!(applied.counted, 0);
        assert_eq!(standing_after(&applied), Standing::Queued { parked_on: None }, "{outcome:?}");
    }
    assert_eq!(standing_after(&finish(failed(true), 0)), Standing::Ended(Ending::Failed));
    let poison = finish(Outcome::Lost, LOST_ATTEMPTS_MAX - 1);
    let Next::Ended { failure: Some(failure), .. } = poison.next else { panic!("{poison:?}") };
    assert_eq!(failure.code, FailureCode::POISON);
}

#[test]
fn a_requested_cancel_beats_a_retry_but_not_a_success() {
    for (what, outcome) in outcomes() {
        let standing = Standing::Running { attempt: attempt(1), cancel_asked: true };
        let facts = Facts { standing, counted: 0, lost: 0 };
        let ending =
            if matches!(outcome, Outcome::Succeeded { .. }) { Ending::Succeeded } else { Ending::Cancelled };
        let finished = Transition::Finished { attempt: attempt(1), outcome, retry: retry() };
        assert_eq!(
            standing_after(&apply(&facts, finished, now()).unwrap()),
            Standing::Ended(ending),
            "{what}"
        );
    }
}

proptest! {
    /// In any order of transitions, attempts never exceed the policy and every job can still end.
    #[test]
    fn any_sequence_keeps_the_invariants(choices in prop::collection::vec(0usize..1000, 1..60), max_attempts in 1u32..5) {
        let policy = Policy { max_attempts, ..Policy::default() };
        let (mut standing, mut counted, mut lost) = (Standing::Queued { parked_on: None }, 0, 0);
        for choice in choices {
            let all = transitions();
            let (_, mut transition) = all[choice % all.len()].clone();
            if let Transition::Finished { retry, .. } = &mut transition {
                *retry = Retry::new(&policy, Duration::ZERO);
            }
            let facts = Facts { standing: standing.clone(), counted, lost };
            let is_retry = matches!(transition, Transition::Retried { .. });
            let Ok(applied) = apply(&facts, transition, now()) else { continue };
            let next = standing_after(&applied);
            prop_assert!(applied.counted <= max_attempts);
            prop_assert!(applied.lost <= LOST_ATTEMPTS_MAX);
            prop_assert!(is_retry || (applied.counted >= counted && applied.lost >= lost));
            if let Next::Ended { ending, failure, result } = &applied.next {
                let explains_a_cancel = |code: &FailureCode| [FailureCode::EXPIRED, FailureCode::DEPENDENCY].contains(code);
                prop_assert_eq!(*ending == Ending::Failed, failure.as_ref().is_some_and(|failure| !explains_a_cancel(&failure.code)));
                prop_assert_eq!(*ending == Ending::Succeeded, result.is_some());
            }
            (standing, counted, lost) = (next, applied.counted, applied.lost);
        }
        // From any state, a cancel, with the end of the attempt that it stops, ends the job.
        let cancel = |standing: Standing, transition| {
            apply(&Facts { standing, counted, lost }, transition, now()).ok().map(|applied| standing_after(&applied))
        };
        let asked = cancel(standing.clone(), Transition::CancelAsked { reason: None }).unwrap_or(standing);
        let stopped = Transition::Finished { attempt: attempt(1), outcome: Outcome::Cancelled, retry: retry() };
        let end = cancel(asked.clone(), stopped).unwrap_or(asked);
        prop_assert!(matches!(end, Standing::Ended(_)), "{end:?}");
    }
}
