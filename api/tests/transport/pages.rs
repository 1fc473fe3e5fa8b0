//! Pages, health, metrics, response headers and compression.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use callboard_api::health::Part;
use serde_json::{Value, json};

use crate::test_server::{Setup, client, start, start_default};

#[tokio::test]
async fn pages_have_their_security_headers() {
    let server = start_default().await;
    for (path, policy) in [
        ("/", "default-src 'self';"),
        ("/jobs/job_x", "default-src 'self';"),
        ("/playground", "worker-src 'self' blob:"),
    ] {
        let response = client().get(server.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], "text/html; charset=utf-8", "{path}");
        assert!(headers["content-security-policy"].to_str().unwrap().contains(policy), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-cache", "{path}");
        assert!(response.text().await.unwrap().contains("<html"), "{path}");
        let again = client()
            .get(server.url(path))
            .header("if-none-match", headers["etag"].clone())
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), 304, "{path}");
    }
    assert_eq!(client().get(server.url("/playground/")).send().await.unwrap().status(), 308);
    for missing in
        ["/nothing", "/assets/missing.js", "/assets/..%2findex.html", "/playground/assets/../../Cargo.toml"]
    {
        let response = client().get(server.url(missing)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{missing}");
        assert!(response.headers().contains_key("x-request-id"), "{missing}");
        assert!(
            response.headers()["content-security-policy"].to_str().unwrap().contains("'none'"),
            "{missing}"
        );
    }
}

#[tokio::test]
async fn readiness_fails_with_a_part_and_liveness_does_not() {
    let server = start(Setup {
        parts: vec![
            Part::new("postgres", || async { Ok(()) }),
            Part::new("redis", || async { anyhow::bail!("password hunter2 refused") }),
        ],
        ..Setup::default()
    })
    .await;
    assert_eq!(client().get(server.url("/healthz")).send().await.unwrap().status(), 200);
    let response = client().get(server.url("/readyz")).send().await.unwrap();
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body, json!({ "status": "unavailable", "parts": { "postgres": "up", "redis": "down" } }));
}

#[tokio::test]
async fn a_flood_of_requests_checks_the_parts_once() {
    let checks = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&checks);
    let ping = move || {
        let check = counted.fetch_add(1, Ordering::SeqCst);
        async move { if check == 0 { Ok(()) } else { anyhow::bail!("checked again") } }
    };
    let server = start(Setup { parts: vec![Part::new("postgres", ping)], ..Setup::default() }).await;
    let began = Instant::now();
    let client = client();
    let ask = async || client.get(server.url("/readyz")).send().await.unwrap().status();
    futures::future::join_all((0..50).map(|_| ask())).await;
    let checks = checks.load(Ordering::SeqCst);
    assert!(f64::from(checks) <= began.elapsed().as_secs_f64() + 1.0, "{checks} in {:?}", began.elapsed());
}

#[tokio::test]
async fn operations_are_counted_in_metrics() {
    let server = start_default().await;
    server.execute("{ hello }").await;
    let response = client().get(server.url("/metrics")).send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = response.text().await.unwrap();
    assert!(text.contains("callboard_graphql_operations_total{type=\"query\",outcome=\"ok\"}"), "{text}");
    assert!(text.contains("callboard_graphql_operation_seconds_bucket{type=\"query\""), "{text}");
}

#[tokio::test]
async fn large_responses_are_compressed_and_streams_are_not() {
    let server = start_default().await;
    let send = |query: &str, accept: &'static str| {
        let body = json!({ "query": query }).to_string();
        let request = server.graphql(reqwest::Method::POST).header("content-type", "application/json");
        request.header("accept-encoding", "gzip").header("accept", accept).body(body).send()
    };
    let response = send("{ big(kilobytes: 100) }", "application/json").await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.bytes().await.unwrap().len() < 10_000);
    let response = send("{ big(kilobytes: 100) }", "text/event-stream").await.unwrap();
    assert!(!response.headers().contains_key("content-encoding"));
}

/// A page of the dashboard that is opened by its address, or reloaded, is served too.
#[tokio::test]
async fn every_route_of_the_dashboard_is_served() {
    let server = start_default().await;
    let routes = include_str!("../../../dashboard/src/app/router.tsx");
    let paths: Vec<&str> =
        routes.split("path: '").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
    assert!(paths.len() >= 4, "{paths:?}");
    for path in paths {
        let path = path.replace('$', "");
        let response = client().get(server.url(&path)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8", "{path}");
    }
}
