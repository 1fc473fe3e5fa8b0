//! Going down: sockets are told to connect again, streams break off, what runs is finished.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    sockets::sign_in,
    toy::{ADMIN, client, toy},
};

#[tokio::test]
async fn everything_ends_in_an_orderly_way() {
    let toy = toy().await;
    let mut socket = sign_in(&toy).await;
    socket.subscribe("1", "subscription { silence }").await;
    let send = |query: &str, accept: &'static str| {
        let body = json!({ "query": query }).to_string();
        let request = client().post(toy.url("/graphql")).bearer_auth(ADMIN).header("accept", accept);
        request.header("content-type", "application/json").body(body).send()
    };
    let stream = send("subscription { silence }", "text/event-stream").await.unwrap();
    let running = tokio::spawn(send("{ sleep(millis: 600) }", "application/json"));
    tokio::time::sleep(Duration::from_millis(200)).await;

    let began = Instant::now();
    toy.shutdown.cancel();
    assert_eq!(socket.closed().await, 1001);
    drop(socket);
    let text = stream.text().await.unwrap();
    assert!(!text.contains("complete"), "a stream that breaks off is opened again: {text}");
    let answer: serde_json::Value = running.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["sleep"], 600, "what runs is finished");
    toy.served.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(
        client().get(format!("http://{}/healthz", toy.address)).send().await.is_err(),
        "nothing new is accepted"
    );
}
