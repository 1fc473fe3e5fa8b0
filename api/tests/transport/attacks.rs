//! Hostile requests: each is refused with a code, and the server handles the next one normally.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::test_server::{ADMIN, TestServer, start_default};

async fn assert_refused(server: &TestServer, body: String, status: u16, code: &str) {
    let shown: String = body.chars().take(80).collect();
    let began = Instant::now();
    let request = server
        .graphql(Method::POST)
        .header("accept", "application/graphql-response+json")
        .header("content-type", "application/json")
        .body(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), status, "{shown}");
    let text = response.text().await.unwrap();
    assert!(text.len() < 100_000, "{shown}: a response of {} bytes", text.len());
    let response: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(response["errors"][0]["extensions"]["code"], code, "{shown}: {text}");
    assert!(began.elapsed() < Duration::from_secs(10), "{shown}: {:?}", began.elapsed());
    assert_eq!(server.execute("{ hello }").await["data"]["hello"], "hello world", "{shown}");
}

fn document(text: impl Into<String>) -> String {
    json!({ "query": text.into() }).to_string()
}

#[tokio::test]
async fn oversized_and_deeply_nested_bodies_are_refused() {
    let server = start_default().await;
    for megabytes in [2, 30] {
        let script = "x".repeat(megabytes * 1024 * 1024);
        assert_refused(
            &server,
            json!({ "query": "{ hello }", "variables": { "script": script } }).to_string(),
            413,
            "BAD_REQUEST",
        )
        .await;
    }
    let batch: Vec<_> = (0..2000).map(|_| json!({ "query": "{ hello }" })).collect();
    assert_refused(&server, json!(batch).to_string(), 400, "BAD_REQUEST").await;
    assert_refused(&server, "[".repeat(500_000), 400, "BAD_REQUEST").await;
    assert_refused(
        &server,
        format!("{{\"query\":\"{{ hello }}\",\"variables\":{}", "{\"a\":".repeat(100_000)),
        400,
        "BAD_REQUEST",
    )
    .await;
}

fn repeated(times: usize, text: impl Fn(usize) -> String) -> String {
    (0..times).map(text).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn oversized_and_deeply_nested_documents_are_refused() {
    let server = start_default().await;
    let aliases = repeated(6000, |n| format!("a{n}:hello"));
    assert_refused(&server, document(format!("{{ {aliases} }}")), 400, "TOO_COMPLEX").await;
    let fields = "hello ".repeat(170_000);
    assert_refused(&server, document(format!("{{ {fields} }}")), 400, "TOO_COMPLEX").await;
    assert_refused(&server, document("{a".repeat(300_000)), 400, "TOO_COMPLEX").await;
    assert_refused(
        &server,
        document(format!("{{ count(value: {} }}", "[".repeat(300_000))),
        400,
        "TOO_COMPLEX",
    )
    .await;
    assert_refused(
        &server,
        document(format!("query ($x: {}Int) {{ hello }}", "[".repeat(300_000))),
        400,
        "TOO_COMPLEX",
    )
    .await;
    let deep = |levels: usize| {
        format!("{{ fragile {} {{ fine }} {} }}", "{ deeper ".repeat(levels), "}".repeat(levels))
    };
    assert_refused(&server, document(deep(19)), 400, "TOO_COMPLEX").await;
    assert_refused(&server, document(deep(40)), 400, "TOO_COMPLEX").await;
    assert_refused(
        &server,
        document(format!("{{ hello {} }}", "@skip(if: false) ".repeat(11))),
        400,
        "TOO_COMPLEX",
    )
    .await;
    assert_refused(&server, document(format!("{{ hello {} }}", "@aa ".repeat(14_000))), 400, "TOO_COMPLEX")
        .await;
    let doubling = repeated(31, |n| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }}", n + 1));
    assert_refused(
        &server,
        document(format!("{{ ...F0 }} {doubling} fragment F31 on Query {{ hello }}")),
        400,
        "TOO_COMPLEX",
    )
    .await;
    let cycle = "{ ...A } fragment A on Query { hello ...B } fragment B on Query { ...A }";
    assert_refused(&server, document(cycle), 400, "VALIDATION_FAILED").await;
    let unknown = repeated(4000, |n| format!("u{n}"));
    assert_refused(&server, document(format!("{{ {unknown} }}")), 400, "VALIDATION_FAILED").await;
    assert_refused(&server, document("{ hello(name: \"\\u0000\") }"), 400, "BAD_REQUEST").await;
    let nul = json!({ "query": "query ($n: String) { hello(name: $n) }", "variables": { "n": "a\u{0}b" } });
    assert_refused(&server, nul.to_string(), 400, "BAD_REQUEST").await;
}

#[tokio::test]
async fn the_standard_introspection_query_is_accepted() {
    let server = start_default().await;
    let types = "kind name ".to_owned() + &"ofType { kind name ".repeat(7) + &"}".repeat(7);
    let query = format!(
        "query IntrospectionQuery {{ __schema {{ queryType {{ name }} types {{ kind name description fields(includeDeprecated: true) \
         {{ name args {{ name type {{ {types} }} }} type {{ {types} }} }} enumValues {{ name }} }} directives {{ name args {{ name \
         type {{ {types} }} }} }} }} }}"
    );
    let response = server.execute(&query).await;
    assert!(response.get("errors").is_none(), "{response}");
}

#[tokio::test]
async fn the_schema_has_its_own_description() {
    let server = start_default().await;
    let response = server.execute("{ __schema { description } s: __schema { d: description } }").await;
    let description = callboard_api::graphql::roots::DESCRIPTION;
    assert_eq!(response["data"]["__schema"]["description"], description);
    assert_eq!(response["data"]["s"]["d"], description);
}

#[tokio::test]
async fn text_that_is_not_well_formed_is_refused_with_its_reason() {
    const SURROGATE: &str = "half of a surrogate pair";
    let server = start_default().await;
    let accepted = ["application/json", "application/graphql-response+json", "text/event-stream"];
    for (body, code, reason, statuses) in [
        (
            r#"{"query":"query($x: Int) { __typename }","variables":{"x":"\ud83d"}}"#,
            "BAD_REQUEST",
            SURROGATE,
            [400; 3],
        ),
        (
            r#"{"query":"query($x: Int) { __typename }","variables":{"\udc00":1}}"#,
            "BAD_REQUEST",
            SURROGATE,
            [400; 3],
        ),
        (r#"{"query":"{ __typename } # \ud83d"}"#, "BAD_REQUEST", SURROGATE, [400; 3]),
        // The body is well-formed JSON, and the document in it holds the half.
        (r#"{"query":"{ __type(name: \"\\ud83d\") { name } }"}"#, "BAD_REQUEST", SURROGATE, [200, 400, 200]),
    ] {
        for (accept, status) in accepted.into_iter().zip(statuses) {
            let request = server.graphql(reqwest::Method::POST).header("content-type", "application/json");
            let response = request.header("accept", accept).body(body).send().await.unwrap();
            assert_eq!(response.status(), status, "{body} {accept}");
            let text = response.text().await.unwrap();
            let json = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text);
            let response: Value = serde_json::from_str(json).unwrap();
            assert_eq!(response["errors"].as_array().map(Vec::len), Some(1), "{text}");
            let error = &response["errors"][0];
            assert_eq!(error["extensions"]["code"], code, "{body} {accept}: {text}");
            assert!(error["message"].as_str().unwrap().contains(reason), "{body} {accept}: {text}");
        }
    }
}

#[tokio::test]
async fn a_chunked_body_is_limited_like_any_other() {
    let server = start_default().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..32 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    assert!(response.contains("\"code\":\"BAD_REQUEST\""), "{response}");
}

#[tokio::test]
async fn a_compressed_request_body_is_refused() {
    let server = start_default().await;
    let request = server
        .graphql(Method::POST)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body("x");
    assert_eq!(request.send().await.unwrap().status(), 415);
}
