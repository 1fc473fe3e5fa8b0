//! What the audit says of sign-ins, sessions and keys.

use callboard::api_key::TextKind;
use callboard_test_support::eventually;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{client::WAIT_MAX, harness::Harness, sign_in::VIEWER, visitor::Shown};

/// The audit as `action actor outcome`, in order.
async fn audited(harness: &Harness) -> Vec<String> {
    harness.audit.flush().await;
    let list = "{ auditEvents(first: 100) { nodes { action actor outcome } } }";
    let page = harness.data(list, json!({})).await;
    let nodes = page["auditEvents"]["nodes"].as_array().unwrap().clone();
    let line = |node: &Value| {
        let text = |field: &str| node[field].as_str().unwrap_or("nobody").to_owned();
        format!("{} {} {}", text("action"), text("actor"), text("outcome"))
    };
    nodes.iter().rev().map(line).collect()
}

#[tokio::test]
async fn sign_ins_sessions_and_keys_are_in_the_audit() {
    let harness = Harness::new().await;
    let input = json!({ "name": "ci", "role": "OPERATOR" });
    let created = harness.mutate("apiKeyCreate", "key apiKey { id }", input).await;
    let (key, id) = (created["key"].as_str().unwrap(), created["apiKey"]["id"].clone());
    for _ in 0..3 {
        harness.execute(key, VIEWER, json!({})).await;
    }
    let cookie = harness.open_session(key).await;
    let visitor = harness.visitor(Shown::Cookie(cookie));
    visitor.over_http("mutation { sessionDelete { viewer { name } } }", &json!({})).await;
    let unknown = TextKind::Key.draw();
    harness.execute(unknown.expose_secret(), VIEWER, json!({})).await;
    for _ in 0..2 {
        harness.mutate("apiKeyRevoke", "apiKey { id }", json!({ "id": id })).await;
    }
    harness.eventually_refused(key).await;
    let mut found = audited(&harness).await;
    let revoked = found.iter().filter(|line| line.starts_with("apiKeyRevoke")).count();
    assert_eq!(revoked, 1, "what is revoked already stays as it is: {found:?}");
    // Sign-ins are written later, and equal ones of two seconds are two.
    found.sort();
    found.dedup();
    let expected = [
        "apiKeyCreate cb_admin DONE",
        "apiKeyRevoke cb_admin DONE",
        "sessionCreate ci DONE",
        "sessionDelete ci DONE",
        "signIn cb_admin DONE",
        "signIn ci DONE",
        "signIn ci REFUSED",
        "signIn nobody REFUSED",
    ];
    assert_eq!(found, expected);

    let of_key = format!(
        "{{ auditEvents(filter: {{ objectId: {id} }}) {{ nodes {{ action before after objectName }} }} }}"
    );
    let page = harness.data(&of_key, json!({})).await;
    let [revoked, created] = page["auditEvents"]["nodes"].as_array().unwrap().as_slice() else {
        panic!("{page}")
    };
    assert_eq!((&created["action"], &created["before"]), (&json!("apiKeyCreate"), &Value::Null));
    let expected = json!({ "name": "ci", "role": "OPERATOR", "expiresAt": null, "revokedAt": null });
    assert_eq!(created["after"], expected);
    assert_eq!((&revoked["objectName"], &revoked["before"]), (&json!("ci"), &json!({ "revokedAt": null })));
    assert!(revoked["after"]["revokedAt"].is_string(), "{revoked}");
}

#[tokio::test]
async fn a_refusal_has_the_time_at_which_it_happened() {
    let harness = Harness::new().await;
    let unknown = TextKind::Key.draw();
    harness.execute(unknown.expose_secret(), VIEWER, json!({})).await;
    // What comes later is written first.
    harness.mutate("apiKeyCreate", "key", json!({ "name": "later", "role": "VIEWER" })).await;
    let list = "{ auditEvents(first: 100) { nodes { action outcome } } }";
    let places = async || {
        let page = harness.data(list, json!({})).await;
        let nodes = page["auditEvents"]["nodes"].as_array().unwrap().clone();
        ["DONE apiKeyCreate", "REFUSED signIn"].map(|wanted| {
            nodes.iter().position(|node| {
                format!("{} {}", node["outcome"].as_str().unwrap(), node["action"].as_str().unwrap())
                    == wanted
            })
        })
    };
    eventually(WAIT_MAX, async || places().await[1].is_some()).await;
    let [later, refused] = places().await.map(Option::unwrap);
    assert!(later < refused, "the newest comes first: {later} {refused}");
}

#[tokio::test]
async fn what_could_not_be_written_is_written_later_and_once() {
    let harness = Harness::new().await;
    let take_away = "ALTER TABLE audit_events RENAME TO taken_away";
    let give_back = "ALTER TABLE taken_away RENAME TO audit_events";
    let refuse = async || {
        let unknown = TextKind::Key.draw();
        harness.execute(unknown.expose_secret(), VIEWER, json!({})).await;
    };
    let refusals = async || -> i64 {
        let count = "SELECT coalesce(sum(count), 0) FROM audit_events WHERE outcome = 'refused'";
        sqlx::query_scalar(count).fetch_one(&mut harness.connect().await).await.unwrap()
    };
    harness.sql(take_away).await;
    refuse().await;
    tokio::join!(harness.audit.flush(), harness.sql(give_back));
    assert_eq!(refusals().await, 1, "a process that ends tries for a while");

    harness.sql(take_away).await;
    refuse().await;
    harness.audit.flush().await;
    harness.sql(give_back).await;
    eventually(WAIT_MAX, async || refusals().await == 2).await;
    refuse().await;
    harness.audit.flush().await;
    assert_eq!(refusals().await, 3);
}
