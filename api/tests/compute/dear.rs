//! Operations that cost much with few words.

use std::time::{Duration, Instant};

use callboard_test_support::eventually;
use serde_json::json;

use crate::server::TestServer;

#[tokio::test]
async fn aliases_of_a_dear_preview_are_refused() {
    let server = TestServer::start().await;
    let aliases: Vec<String> =
        (0..40).map(|n| format!("a{n}: commandPreview(input: $input) {{ userErrors {{ code }} }}")).collect();
    let query = format!("query($input: CommandPreviewInput!) {{ {} }}", aliases.join(" "));
    let input =
        json!({ "spec": { "program": { "program": "/bin/true", "arguments": ["{{ range(9)|list }}"] } } });
    let answer = server.ask(&query, json!({ "input": input })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{answer}");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("20080"), "{answer}");
}

#[tokio::test]
async fn introspections_that_multiply_are_refused() {
    let server = TestServer::start().await;
    let nested = |depth: usize| format!("{}name{}", "fields { type { ".repeat(depth), " } }".repeat(depth));
    let query = format!("{{ __schema {{ types {{ {} }} }} }}", nested(8));
    let since = Instant::now();
    let answer = server.ask(&query, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{answer}");
    assert!(since.elapsed() < Duration::from_secs(5));
    server
        .data(
            "{ __schema { types { name fields { name args { name } type { name ofType { name } } } } } }",
            json!({}),
        )
        .await;
}

#[tokio::test]
async fn the_work_of_a_caller_who_leaves_ends() {
    let server = TestServer::start().await;
    server.preview("{{ range(9)|list|tojson }}").await;
    let idle = server.children();
    assert_eq!(idle.len(), 1);
    let busy =
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ a|string|length }}{% endfor %}{% endfor %}";
    // A client that gives up, on a busy machine sometimes before its work has begun.
    eventually(Duration::from_secs(30), || async {
        drop(tokio::time::timeout(Duration::from_millis(50), server.preview(busy)).await);
        !server.children().contains(&idle[0])
    })
    .await;
    let (preview, _) = server.preview("{{ range(2)|list|tojson }}").await;
    assert_eq!(preview["composed"]["arguments"], json!(["[0,1]"]), "{preview}");
}
