//! Shutdown: sockets close with 1001, event streams are aborted, and running requests finish.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    sockets::sign_in,
    test_server::{ADMIN, client, start_default},
};

#[tokio::test]
async fn a_shutdown_closes_sockets_aborts_streams_and_finishes_requests() {
    let server = start_default().await;
    let mut socket = sign_in(&server).await;
    socket.subscribe("1", "subscription { silence }").await;
    let send = |query: &str, accept: &'static str| {
        let body = json!({ "query": query }).to_string();
        let request = client().post(server.url("/graphql")).bearer_auth(ADMIN).header("accept", accept);
        request.header("content-type", "application/json").body(body).send()
    };
    let stream = send("subscription { silence }", "text/event-stream").await.unwrap();
    let running = tokio::spawn(send("{ sleep(millis: 600) }", "application/json"));
    tokio::time::sleep(Duration::from_millis(200)).await;

    let began = Instant::now();
    server.shutdown.cancel();
    assert_eq!(socket.close_code().await, 1001);
    drop(socket);
    let text = stream.text().await.unwrap();
    assert!(!text.contains("complete"), "a client reopens only a stream that did not complete: {text}");
    let response: serde_json::Value = running.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(response["data"]["sleep"], 600, "running requests finish");
    server.served.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(
        client().get(format!("http://{}/healthz", server.address)).send().await.is_err(),
        "new connections are refused"
    );
}
