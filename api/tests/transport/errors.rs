//! Errors of resolvers: their codes, and no internal details in their messages.

use std::time::Duration;

use serde_json::json;

use crate::test_server::{Setup, start, start_default};

#[tokio::test]
async fn internal_details_do_not_leak_into_messages() {
    let server = start_default().await;
    for (query, code) in [
        ("{ fragile { nullable } }", "INTERNAL"),
        ("{ storeFails(how: \"unavailable\") }", "UNAVAILABLE"),
        ("{ storeFails(how: \"shared\") }", "UNAVAILABLE"),
        ("{ storeFails(how: \"other\") }", "INTERNAL"),
        ("{ storeFails(how: \"commit\") }", "UNAVAILABLE"),
        ("{ panic }", "INTERNAL"),
        ("{ node(id: \"profile_00000000000000000000000000\") { id } }", "INTERNAL"),
    ] {
        let response = server.execute(query).await;
        let error = &response["errors"][0];
        assert_eq!(error["extensions"]["code"], code, "{query}: {response}");
        assert!(
            error["extensions"]["requestId"].as_str().unwrap().starts_with("req_"),
            "{query}: {response}"
        );
        let text = response.to_string();
        for secret in ["hunter2", "10.0.0.1", "secret", "on purpose"] {
            assert!(!text.contains(secret), "{query}: {text}");
        }
    }
    let response = server.execute("{ storeFails(how: \"commit\") }").await;
    let message = response["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("may or may not") && message.contains("idempotencyKey"), "{message}");
    assert_eq!(response["errors"][0]["path"], json!(["storeFails"]));
}

#[tokio::test]
async fn errors_of_the_executor_have_a_code() {
    let server = start_default().await;
    for (query, code) in [
        ("{ at(value: \"2026-11-22T17:31:10Z\") }", None),
        ("{ at(value: \"yesterday\") }", Some("BAD_REQUEST")),
        ("{ count(value: 3000000000) }", Some("BAD_REQUEST")),
        ("{ nothing }", Some("VALIDATION_FAILED")),
        ("{ fragile }", Some("VALIDATION_FAILED")),
    ] {
        let response = server.execute(query).await;
        match code {
            None => assert_eq!(response["data"]["at"], "2026-11-22T17:31:10.000Z", "{response}"),
            Some(code) => {
                assert_eq!(response["errors"][0]["extensions"]["code"], code, "{query}: {response}");
            }
        }
    }
}

#[tokio::test]
async fn an_operation_over_the_time_limit_is_aborted() {
    let server = start(Setup { time_max: Duration::from_millis(50), ..Setup::default() }).await;
    let response = server.execute("{ sleep(millis: 60000) }").await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{response}");
    let response = server.execute("mutation { sleep(millis: 60000) }").await;
    assert!(response["errors"][0]["message"].as_str().unwrap().contains("may or may not"), "{response}");
}
