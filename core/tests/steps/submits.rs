//! Submitting: concurrent callers, and repeats.

use callboard::{
    catalogue::{CommandChanges, CommandUpdate},
    clock::IdSource,
    evaluator::Evaluator,
    job::JobRequest,
    patch::{Patch, PolicyPatch},
    recipes::Recipes,
    secret::Keyring,
    steps::enqueue::{context::SubmitContext, submit::submit},
};
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Whether the request is the repeat of an earlier one, or a conflict with it.
async fn is_repeat(context: &SubmitContext, request: &JobRequest) -> bool {
    let result = submit(context, &[vec![request.clone()]], false).await.value.remove(0);
    result.is_ok_and(|accepted| accepted[0].was_duplicate)
}

#[tokio::test]
async fn a_request_is_repeated_however_it_is_spelled() {
    let fixture = Fixture::new().await;
    let with = |input: Option<Value>| JobRequest {
        input,
        idempotency_key: Some("key".into()),
        ..JobRequest::new(fixture.command)
    };
    assert!(!is_repeat(&fixture.context, &with(None)).await);
    let policy = PolicyPatch { max_attempts: Patch::Set(3), ..PolicyPatch::default() };
    for repeat in [
        with(None),
        with(Some(json!({}))),
        with(Some(Value::Null)),
        JobRequest { priority: Some(4), ..with(None) },
        JobRequest { queue: Some("default".into()), ..with(None) },
        JobRequest { policy: Some(policy), ..with(None) },
        JobRequest { policy: Some(PolicyPatch::default()), ..with(None) },
    ] {
        assert!(is_repeat(&fixture.context, &repeat).await, "{repeat:?}");
    }
    assert!(!is_repeat(&fixture.context, &with(Some(json!({ "n": 1 })))).await);

    // Under another master key.
    let keyring = Keyring::parse(&"qrvM3e7/ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJk=".into()).unwrap();
    let store = fixture.store.clone();
    let rotated = SubmitContext {
        store,
        keyring,
        recipes: Recipes::default(),
        evaluator: Evaluator::unbounded(),
        ids: IdSource,
    };
    assert!(is_repeat(&rotated, &with(None)).await);

    // After the command was saved with other defaults.
    let changes = CommandChanges { queue: Patch::Set("elsewhere".into()), ..CommandChanges::default() };
    let update = CommandUpdate { id: fixture.command, version: None, changes };
    fixture.catalogue.command_update(update).await.unwrap();
    assert!(is_repeat(&fixture.context, &with(None)).await);
}

#[tokio::test]
async fn secrets_and_defaults_of_the_schema_are_no_difference() {
    let fixture = Fixture::new().await;
    let schema = json!({
        "properties": {
            "pin": { "type": "string", "writeOnly": true },
            "count": { "type": "number", "default": 1 },
        },
    });
    let changes = CommandChanges { input_schema: Patch::Set(schema), ..CommandChanges::default() };
    let update = CommandUpdate { id: fixture.command, version: None, changes };
    fixture.catalogue.command_update(update).await.unwrap();
    let with = |input: Value| JobRequest {
        input: Some(input),
        idempotency_key: Some("key".into()),
        ..JobRequest::new(fixture.command)
    };
    assert!(!is_repeat(&fixture.context, &with(json!({ "pin": "1234" }))).await);
    for repeat in [
        json!({ "pin": "1234" }),
        json!({ "pin": "0000" }),
        json!({ "pin": "1234", "count": 1 }),
        json!({ "pin": "1234", "count": 1.0 }),
    ] {
        assert!(is_repeat(&fixture.context, &with(repeat.clone())).await, "{repeat}");
    }
    for other in [json!({}), json!({ "pin": "1234", "count": 2 })] {
        assert!(!is_repeat(&fixture.context, &with(other.clone())).await, "{other}");
    }
}

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
