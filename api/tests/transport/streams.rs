//! GraphQL over server-sent events in distinct-connections mode.

use serde_json::{Value, json};

use crate::test_server::{ADMIN, client, start_default};

/// Parses the events of a finished stream into name and data.
fn events(text: &str) -> Vec<(String, String)> {
    let of = |block: &str, field: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .map(|value| value.trim_start().to_owned())
            .unwrap_or_default()
    };
    text.split("\n\n")
        .filter(|block| !block.trim().is_empty())
        .map(|block| (of(block, "event:"), of(block, "data:")))
        .collect()
}

#[tokio::test]
async fn a_stream_sends_next_and_complete_events() {
    let server = start_default().await;
    let send = |query: &str, key: Option<&'static str>| {
        let mut request = client().post(server.url("/graphql")).header("accept", "text/event-stream");
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.header("content-type", "application/json").body(json!({ "query": query }).to_string()).send()
    };
    let response = send("subscription { ticks(to: 2) { number } }", Some(ADMIN)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(
        events(&response.text().await.unwrap()),
        [
            ("next".into(), r#"{"data":{"ticks":{"number":1}}}"#.to_owned()),
            ("next".into(), r#"{"data":{"ticks":{"number":2}}}"#.into()),
            ("complete".into(), String::new()),
        ]
    );
    let text = send("{ hello }", Some(ADMIN)).await.unwrap().text().await.unwrap();
    assert_eq!(events(&text).len(), 2, "{text}");
    for (query, key, code) in [
        ("{ nothing }", Some(ADMIN), "VALIDATION_FAILED"),
        ("{ hello", Some(ADMIN), "PARSE_FAILED"),
        ("subscription { missing }", Some(ADMIN), "NOT_FOUND"),
        ("subscription { silence }", None, "UNAUTHENTICATED"),
        ("subscription { silence }", Some("cb_wrong"), "UNAUTHENTICATED"),
    ] {
        let response = send(query, key).await.unwrap();
        assert_eq!(response.status(), 200, "{query}");
        let received = events(&response.text().await.unwrap());
        let response: Value = serde_json::from_str(&received[0].1).unwrap();
        assert_eq!(response["errors"][0]["extensions"]["code"], code, "{query}: {received:?}");
        assert_eq!(received[1].0, "complete", "{query}: {received:?}");
    }
}

#[tokio::test]
async fn a_stream_by_get_runs_subscriptions_but_no_mutations() {
    let server = start_default().await;
    let get = |query: &str| {
        client()
            .get(server.url("/graphql"))
            .query(query)
            .bearer_auth(ADMIN)
            .header("accept", "text/event-stream")
            .send()
    };
    let response = get("subscription { ticks(to: 1) { number } }").await.unwrap();
    assert_eq!(events(&response.text().await.unwrap()).len(), 2);
    assert_eq!(get("mutation { bump }").await.unwrap().status(), 405);
}

trait WithQuery {
    fn query(self, query: &str) -> Self;
}

impl WithQuery for reqwest::RequestBuilder {
    fn query(self, query: &str) -> Self {
        let (client, request) = self.build_split();
        let mut request = request.unwrap();
        request.url_mut().query_pairs_mut().append_pair("query", query);
        Self::from_parts(client, request)
    }
}
