//! No order of messages, crashes, stops and outages leads to two children of one job, to a finished
//! job whose child lives, or to a job that is stuck for ever. Leaving out any one safeguard breaks
//! this.

#![expect(clippy::print_stdout, reason = "prints how much was explored, and what breaks")]

use callboard_protocol_model::{Action, Protocol, Rules, Trouble};
use stateright::{Checker as _, DiscoveryClassification, HasDiscoveries, Model as _};

fn check(model: Protocol) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!("{} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// Checks a model with a safeguard left out, and returns the properties that break.
fn breaks(model: Protocol) -> Vec<&'static str> {
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let failed = |name: &&'static str| {
        matches!(checker.discovery_classification(name), DiscoveryClassification::Counterexample)
    };
    let discoveries = checker.discoveries();
    for (name, path) in discoveries.iter().filter(|(name, _)| failed(name)) {
        println!("{name}: {:?}", path.clone().into_actions());
    }
    discoveries.into_keys().filter(failed).collect()
}

fn one_fault() -> Protocol {
    Protocol { rules: Rules::ALL, workers: 2, faults: 1, among: Vec::new(), may_cancel: false, horizon: 7 }
}

#[test]
fn it_holds_whatever_goes_wrong_once() {
    check(one_fault());
}

#[test]
fn it_holds_when_the_job_is_cancelled_as_well() {
    check(Protocol { may_cancel: true, horizon: 5, ..one_fault() });
}

#[test]
fn it_holds_when_both_workers_are_stopped_or_cut_off() {
    check(Protocol {
        faults: 2,
        among: vec![Action::Trouble(1, Trouble::CutOff), Action::Trouble(0, Trouble::Stop)],
        horizon: 4,
        ..one_fault()
    });
}

#[test]
fn without_deadlines_there_are_two_runners() {
    assert_eq!(
        breaks(Protocol { rules: Rules { deadline: false, ..Rules::ALL }, ..one_fault() }),
        ["one runner"]
    );
}

#[test]
fn a_lease_that_begins_again_must_not_revive_what_was_won_before() {
    assert_eq!(
        breaks(Protocol { rules: Rules { one_lease: false, ..Rules::ALL }, ..one_fault() }),
        ["one runner"]
    );
}

#[test]
fn who_renewed_meanwhile_must_not_be_lost() {
    let rules = Rules { stamp: false, ..Rules::ALL };
    let among = vec![Action::Trouble(1, Trouble::CutOff), Action::Trouble(0, Trouble::Stop)];
    assert_eq!(breaks(Protocol { rules, faults: 2, among, ..one_fault() }), ["one runner"]);
}

#[test]
fn without_comparison_a_job_is_stuck() {
    assert_eq!(
        breaks(Protocol { rules: Rules { comparison: false, ..Rules::ALL }, ..one_fault() }),
        ["never stuck"]
    );
}

#[test]
fn without_a_fence_a_job_ends_while_its_child_lives() {
    assert_eq!(
        breaks(Protocol { rules: Rules { fence: false, ..Rules::ALL }, ..one_fault() }),
        ["nothing outlives its job"]
    );
}
