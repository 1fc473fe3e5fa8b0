//! GraphQL over HTTP: the status, content type and error code for each kind of request.

use callboard_api::client_address::TrustedProxies;
use reqwest::Method;
use serde_json::{Value, json};

use crate::test_server::{Setup, VIEWER, client, start, start_default};

const GRAPHQL: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

struct Case {
    method: Method,
    accept: Option<&'static str>,
    content_type: Option<&'static str>,
    /// The query string of a GET, or the body.
    sent: String,
    status: u16,
    response_type: &'static str,
    code: Option<&'static str>,
}

fn post(
    accept: &'static str,
    body: impl Into<String>,
    status: u16,
    response_type: &'static str,
    code: Option<&'static str>,
) -> Case {
    Case {
        method: Method::POST,
        accept: Some(accept),
        content_type: Some(JSON),
        sent: body.into(),
        status,
        response_type,
        code,
    }
}

fn query(text: &str) -> String {
    json!({ "query": text }).to_string()
}

fn cases() -> Vec<Case> {
    let hello = || query("{ hello }");
    let bare = |content_type, status, code| Case { content_type, ..post(JSON, hello(), status, JSON, code) };
    let get = |sent: &str, status, code| Case {
        method: Method::GET,
        content_type: None,
        ..post(JSON, sent, status, JSON, code)
    };
    let mut cases = vec![
        // The response's media type.
        post(JSON, hello(), 200, JSON, None),
        post(GRAPHQL, hello(), 200, GRAPHQL, None),
        post("*/*", hello(), 200, JSON, None),
        post("application/*", hello(), 200, JSON, None),
        post("application/graphql-response+json, application/json;q=0.9", hello(), 200, GRAPHQL, None),
        Case { accept: None, ..post(JSON, hello(), 200, JSON, None) },
        post("text/html", hello(), 406, JSON, Some("BAD_REQUEST")),
        // The request's media type.
        bare(Some("application/json; charset=utf-8"), 200, None),
        bare(Some("application/json; charset=\"UTF-8\""), 200, None),
        bare(Some("application/json; charset=utf-16"), 415, Some("BAD_REQUEST")),
        bare(Some("text/plain"), 415, Some("BAD_REQUEST")),
        bare(Some("application/x-www-form-urlencoded"), 415, Some("BAD_REQUEST")),
        bare(Some("multipart/form-data; boundary=x"), 415, Some("BAD_REQUEST")),
        bare(Some("application/graphql"), 415, Some("BAD_REQUEST")),
        bare(None, 415, Some("BAD_REQUEST")),
        // Methods.
        get("query=%7Bhello%7D", 200, None),
        get(
            "query=query%20A%28%24n%3AString%29%7Bhello%28name%3A%24n%29%7D&variables=%7B%22n%22%3A%22x%22%7D&operationName=A",
            200,
            None,
        ),
        get("query=%7Bhello%7D&variables=x", 400, Some("BAD_REQUEST")),
        get("query=mutation%7Bbump%7D", 405, Some("BAD_REQUEST")),
        get("", 400, Some("BAD_REQUEST")),
        Case { method: Method::PUT, ..post(JSON, hello(), 405, JSON, Some("BAD_REQUEST")) },
        Case { method: Method::DELETE, ..post(JSON, hello(), 405, JSON, Some("BAD_REQUEST")) },
        Case { method: Method::OPTIONS, ..post(JSON, "", 405, JSON, Some("BAD_REQUEST")) },
        post(JSON, query("mutation { bump }"), 200, JSON, None),
    ];
    // Malformed requests, with either media type.
    for body in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"{ hello }\"",
        "{}",
        r#"{"query":""}"#,
        r#"{"query":7}"#,
        r#"{"query":"{ hello }","variables":"{}"}"#,
        r#"{"query":"{ hello }","variables":[]}"#,
        r#"{"query":"{ hello }","operationName":7}"#,
        r#"{"query":"{ hello }","extensions":"x"}"#,
        r#"[{"query":"{ hello }"}]"#,
    ] {
        cases.push(post(JSON, body, 400, JSON, Some("BAD_REQUEST")));
        cases.push(post(GRAPHQL, body, 400, JSON, Some("BAD_REQUEST")));
    }
    // Operations that cannot run: 400 with graphql-response+json, 200 with JSON.
    for (text, code) in [
        ("{ hello", "PARSE_FAILED"),
        ("{ nothing }", "VALIDATION_FAILED"),
        ("{ count(value: \"x\") }", "VALIDATION_FAILED"),
        ("{ count }", "VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", "BAD_REQUEST"),
        ("subscription { ticks(to: 1) { number } }", "BAD_REQUEST"),
        (
            "{ jobs(first: 100) { nodes { id number } edges { node { id number } cursor } } a: jobs(first: 100) { nodes { id number } edges { node { id number } cursor } } b: jobs(first: 100) { nodes { id number } edges { node { id number } cursor } } c: jobs(first: 100) { nodes { id number } edges { node { id number } cursor } } d: jobs(first: 100) { nodes { id number } edges { node { id number } cursor } } e: jobs(first: 100) { nodes { id number } edges { node { id number } cursor } } f: jobs(first: 100) { nodes { id number } edges { node { id number } cursor } } }",
            "TOO_COMPLEX",
        ),
    ] {
        cases.push(post(GRAPHQL, query(text), 400, GRAPHQL, Some(code)));
        cases.push(post(JSON, query(text), 200, JSON, Some(code)));
    }
    cases.push(post(
        GRAPHQL,
        json!({ "query": "query ($n: Int!) { count(value: $n) }", "variables": { "n": "x" } }).to_string(),
        400,
        GRAPHQL,
        Some("VALIDATION_FAILED"),
    ));
    cases
}

#[tokio::test]
async fn every_request_gets_its_status_content_type_and_code() {
    let server = start_default().await;
    for case in cases() {
        let shown = format!("{} {:?} {:?} {:.120}", case.method, case.accept, case.content_type, case.sent);
        let mut request = if case.method == Method::GET {
            client()
                .get(format!("{}?{}", server.url("/graphql"), case.sent))
                .bearer_auth(crate::test_server::ADMIN)
        } else {
            server.graphql(case.method).body(case.sent)
        };
        if let Some(accept) = case.accept {
            request = request.header("accept", accept);
        }
        if let Some(content_type) = case.content_type {
            request = request.header("content-type", content_type);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), case.status, "{shown}");
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(content_type, format!("{}; charset=utf-8", case.response_type), "{shown}");
        let vary: Vec<_> =
            response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
        if case.status == 200 {
            assert!(vary.contains(&"accept"), "{shown}: {vary:?}");
        }
        if case.status == 405 {
            assert!(response.headers().contains_key("allow"), "{shown}");
        }
        let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let response: Value = response.json().await.unwrap();
        match case.code {
            None => {
                assert!(
                    response.get("errors").is_none() && response["data"].is_object(),
                    "{shown}: {response}"
                );
            }
            Some(code) => {
                assert!(response.get("data").is_none(), "{shown}: {response}");
                assert_eq!(response["errors"][0]["extensions"]["code"], code, "{shown}: {response}");
                assert_eq!(response["errors"][0]["extensions"]["requestId"], request_id, "{shown}");
                assert!(response["errors"][0]["message"].is_string(), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_key_only_viewer_and_session_create_run() {
    let server = start_default().await;
    let send = |accept: &'static str, key: Option<&'static str>, text: &str| {
        let mut request = client()
            .post(server.url("/graphql"))
            .header("accept", accept)
            .header("content-type", JSON)
            .body(query(text));
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        request.send()
    };
    let response = send(GRAPHQL, None, "{ viewer { name role } }").await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), r#"{"data":{"viewer":null},"extensions":{"cost":3}}"#);
    let response = send(GRAPHQL, None, "{ viewer { name } hello }").await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    for closed in ["{ hello }", "{ __schema { queryType { name } } }", "mutation { bump }", "{ v: hello }"] {
        let response = send(JSON, None, closed).await.unwrap();
        assert_eq!(response.status(), 200, "{closed}");
        let response: Value = response.json().await.unwrap();
        assert_eq!(response["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{closed}");
    }
    let response: Value = send(JSON, None, "mutation { sessionCreate }").await.unwrap().json().await.unwrap();
    assert_eq!(response["data"]["sessionCreate"], true);
    for wrong in ["Bearer cb_wrong", "cb_wrong", "Basic Y2I6eA==", "Bearer "] {
        let response = send(GRAPHQL, Some(wrong), "{ viewer { name } }").await.unwrap();
        assert_eq!(response.status(), 401, "{wrong}");
    }
    for right in ["Bearer cb_test_viewer", "cb_test_viewer", "bearer cb_test_viewer"] {
        let response: Value = send(GRAPHQL, Some(right), "{ viewer { name role expiresAt } }")
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(
            response["data"]["viewer"],
            json!({ "name": "viewer", "role": "VIEWER", "expiresAt": null }),
            "{right}"
        );
    }
    assert_eq!(VIEWER, "cb_test_viewer");
}

#[tokio::test]
async fn a_resolver_checks_the_role() {
    let server = start_default().await;
    assert_eq!(server.execute("{ apiKeys }").await["data"]["apiKeys"], "admin");
    let body = query("{ apiKeys }");
    let request =
        client().post(server.url("/graphql")).bearer_auth(VIEWER).header("content-type", JSON).body(body);
    let response: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN");
    assert_eq!(response["errors"][0]["path"], json!(["apiKeys"]));
}

#[tokio::test]
async fn only_pages_of_configured_origins_pass_cors() {
    let server = start_default().await;
    let preflight = |origin: &'static str| {
        client()
            .request(Method::OPTIONS, server.url("/graphql"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .send()
    };
    let response = preflight("https://friend.example").await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://friend.example");
    assert!(response.headers()["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    let response = preflight("https://stranger.example").await.unwrap();
    assert_eq!(response.status(), 405);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_page_behind_a_proxy_that_rewrites_the_host_is_own_only_if_the_proxy_is_trusted() {
    for (proxies, expected) in [("", 403), ("127.0.0.1", 101)] {
        let proxies = TrustedProxies::parse(proxies, "x-forwarded-for").unwrap();
        let server = start(Setup { proxies, ..Setup::default() }).await;
        let request = client()
            .get(server.url("/graphql"))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", "graphql-transport-ws")
            .header("origin", "https://cb.example")
            .header("x-forwarded-host", "cb.example");
        assert_eq!(request.send().await.unwrap().status(), expected);
    }
}
