//! Cookies with the name of a session's that another path or host has set. A browser sends those of
//! longer paths first.

use callboard::{api_key::TextKind, store::catalogue::api_keys::Role};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    client::WAIT_MAX,
    harness::Harness,
    sign_in::{ENDLESS, VIEWER},
    visitor::{Answer, Shown},
};

const QUEUES: &str = "{ queues { name } }";
const SIGN_OUT: &str = "mutation { sessionDelete { viewer { name } userErrors { message } } }";

/// The cookies of one request, in this order.
fn cookies(texts: &[&str]) -> Shown {
    Shown::Cookie(texts.join("; callboard="))
}

#[tokio::test]
async fn a_foreign_cookie_signs_nobody_out() {
    let harness = Harness::new().await;
    let (_, key) = harness.create_key("ann", Role::Operator).await;
    let (gone, gone_key) = harness.create_key("gone", Role::Operator).await;
    let own = harness.open_session(&key).await;
    let revoked = harness.open_session(&gone_key).await;
    harness.keys.key_revoke(gone).await.unwrap();
    let of_another = TextKind::Session.draw();
    let of_another = of_another.expose_secret();
    let (own, revoked) = (own.as_str(), revoked.as_str());
    for texts in [
        &[own][..],
        &["planted", own],
        &["", own],
        &["\"quoted\"", "planted", own, "behind"],
        &[of_another, own],
        &[of_another, revoked, "planted", own],
        &[own, of_another, revoked],
    ] {
        let visitor = harness.visitor(cookies(texts));
        let none = json!({});
        assert_eq!(visitor.respond(VIEWER, &none).await["data"]["viewer"]["name"], "ann", "{texts:?}");
        let fine = Answer::Codes([].into());
        assert_eq!(visitor.over_http(QUEUES, &none).await, fine, "{texts:?}");
        assert_eq!(visitor.over_events(QUEUES, &none).await, fine, "{texts:?}");
        assert_eq!(visitor.over_socket(QUEUES, &none).await, fine, "{texts:?}");
    }
    // Without the own one, it is said why the known one does not count.
    for (texts, part) in [
        (&["planted", revoked][..], "`gone` was revoked"),
        (&[revoked, of_another], "`gone` was revoked"),
        (&["planted", of_another], "session has ended"),
    ] {
        let response = harness.visitor(cookies(texts)).respond(QUEUES, &json!({})).await;
        let message = response["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(part), "{texts:?}: {response}");
    }
}

#[tokio::test]
async fn signing_out_beside_a_foreign_cookie_signs_out() {
    let harness = Harness::new().await;
    let (_, ann) = harness.create_key("ann", Role::Viewer).await;
    let (_, bob) = harness.create_key("bob", Role::Viewer).await;
    let planted = harness.open_session(&bob).await;
    let own = harness.open_session(&ann).await;
    for texts in [&["planted", own.as_str()][..], &[&planted, &own], &[&own, &planted]] {
        let viewer = harness.visitor(cookies(texts)).respond(VIEWER, &json!({})).await;
        assert_eq!(viewer["data"]["viewer"]["name"], "ann", "the last sign-in counts: {texts:?}");
    }
    let visitor = harness.visitor(cookies(&["planted", &planted, &own]));
    let mut socket = visitor.socket().await;
    socket.subscribe(ENDLESS, &json!({})).await;
    assert_eq!(socket.answer().await, Answer::Codes([].into()));
    let response = visitor.request(SIGN_OUT, &json!({}), "application/json").send().await.unwrap();
    let cleared = response.headers().get_all("set-cookie").iter().count();
    let payload: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(payload["data"]["sessionDelete"], json!({ "viewer": null, "userErrors": [] }));
    assert_eq!(cleared, 2);
    assert!(socket.end(WAIT_MAX).await.is_closed(4401));
    // The browser still sends the cookie that it was planted, and the own one until it is cleared.
    for texts in [&["planted", &planted, &own][..], &[&planted], &[&own]] {
        let visitor = harness.visitor(cookies(texts));
        assert_eq!(visitor.respond(VIEWER, &json!({})).await["data"]["viewer"], Value::Null, "{texts:?}");
        assert!(visitor.over_http(QUEUES, &json!({})).await.has("UNAUTHENTICATED"), "{texts:?}");
    }
}
