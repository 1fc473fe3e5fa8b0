//! What one key may take: connections, and event streams, which count as sockets.

use std::time::Duration;

use callboard_api::endpoint::SocketLimits;
use futures::SinkExt as _;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    sockets::{connect, connect_with, sign_in, wait_until},
    strangers::{VIEWER_QUERY, asking, assert_rate_limited, limited, refused, request, response, statuses},
    test_server::{ADMIN, Setup, VIEWER, client, start},
};

#[tokio::test]
async fn an_event_stream_is_counted_as_a_socket_of_its_key() {
    let server = start(limited(|shares| shares.sockets_per_key = 2)).await;
    let stream = async || {
        let request = client().get(asking(&server, "subscription { silence }")).bearer_auth(ADMIN);
        request.header("accept", "text/event-stream").send().await.unwrap()
    };
    let mut open = vec![stream().await, stream().await];
    assert!(open.iter().all(|response| response.status() == 200));
    let refused = stream().await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"5".parse().unwrap()));
    assert_rate_limited(&refused.text().await.unwrap());
    let init = json!({ "type": "connection_init", "payload": { "authorization": ADMIN } });
    let mut over = connect(&server).await;
    over.send(&init).await;
    assert_eq!(over.close_code().await, 1013, "a socket is one of them");
    assert_eq!(server.execute("{ hello }").await["data"]["hello"], "hello world");
    open.pop();
    for _ in 0..250 {
        if stream().await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a stream that has ended is still counted");
}

#[tokio::test]
async fn a_key_has_its_share_of_connections() {
    let server = start(limited(|shares| {
        (shares.connections_per_address, shares.connections_per_key) = (1, 2);
    }))
    .await;
    let ask = request("/graphql?query=%7Bhello%7D");
    let mut held = Vec::new();
    for _ in 0..2 {
        // Each gives the place of the address back.
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        assert!(response(&mut stream).await.starts_with("HTTP/1.1 200"));
        held.push(stream);
    }
    let mut over = TcpStream::connect(server.address).await.unwrap();
    over.write_all(ask.as_bytes()).await.unwrap();
    let refused = response(&mut over).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("This key has too many"), "{refused}");
    assert_rate_limited(refused.split_once("\r\n\r\n").unwrap().1);
    over.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(response(&mut over).await.starts_with("HTTP/1.1 200"), "a stranger takes nothing of the key's");
    for stream in &mut held {
        stream.write_all(ask.as_bytes()).await.unwrap();
        assert!(response(stream).await.starts_with("HTTP/1.1 200"), "it has its place");
    }
    held.pop();
    for _ in 0..250 {
        over.write_all(ask.as_bytes()).await.unwrap();
        if response(&mut over).await.starts_with("HTTP/1.1 200") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a closed connection is still counted");
}

#[tokio::test]
async fn every_message_of_a_socket_counts_for_its_key() {
    let unreadable = r#"{"id":"1","type":"subscribe","payload":{"query":7}}"#;
    let complete = r#"{"id":"1","type":"complete"}"#;
    for (what, message, has_reply) in [
        ("a message that pings", Message::text(r#"{"type":"ping"}"#), true),
        ("a frame that pings", Message::Ping("x".into()), true),
        ("an operation that cannot be read", Message::text(unreadable), true),
        ("the end of an operation", Message::text(complete), false),
    ] {
        let server = start(limited(|shares| shares.requests_per_key = 4)).await;
        let mut socket = sign_in(&server).await;
        for _ in 0..12 {
            socket.0.send(message.clone()).await.unwrap();
        }
        if !has_reply {
            socket.send(&json!({ "type": "ping" })).await;
        }
        // The burst is two seconds' worth. What is beyond it is answered more slowly.
        for _ in 0..if has_reply { 12 } else { 1 } {
            socket.next().await;
        }
        let key = format!("Bearer {ADMIN}");
        let own = statuses(&server, VIEWER_QUERY, &[("authorization", &key)], 20).await;
        assert!(refused(&own) > 14, "{what}: {own:?}");
        socket.subscribe("2", "{ hello }").await;
        let error = socket.receive().await;
        assert_eq!(error["payload"][0]["extensions"]["code"], "RATE_LIMITED", "{what}: {error}");
    }
}

#[tokio::test]
async fn a_key_of_connection_init_replaces_that_of_the_upgrade() {
    let limits = SocketLimits { sign_in: Duration::from_millis(50), ..SocketLimits::default() };
    let setup = Setup { limits, ..limited(|shares| shares.sockets_per_key = 1) };
    let keys = setup.keys.clone();
    let server = start(setup).await;
    let header = format!("Bearer {ADMIN}");
    let headers = [("sec-websocket-protocol", "graphql-transport-ws"), ("authorization", &header)];
    let mut socket = connect_with(&server, &headers).await.unwrap();
    // It has signed in with the key of the header when the time to do so has passed.
    wait_until(|| keys.look_ups() > 0).await;
    socket.send(&json!({ "type": "connection_init", "payload": { "authorization": VIEWER } })).await;
    assert_eq!(socket.receive().await["type"], "connection_ack");
    let _other = sign_in(&server).await;
    keys.revoke(VIEWER);
    assert_eq!(socket.close_code().await, 4401);
}

#[tokio::test]
async fn a_socket_whose_key_was_revoked_sends_nothing_while_it_is_looked_up_why() {
    let setup = Setup::default();
    let keys = setup.keys.clone();
    let server = start(setup).await;
    let mut socket = sign_in(&server).await;
    socket.subscribe("1", "subscription { ticks(to: 100000, everyMillis: 10) { number } }").await;
    // The last result is no longer cached when the key is revoked.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        assert_eq!(socket.receive().await["type"], "next");
    }
    let asked_before = keys.look_ups();
    keys.be_silent();
    keys.revoke(ADMIN);
    let mut sent_after = 0;
    let close = loop {
        match socket.next().await {
            Message::Close(frame) => break frame.unwrap(),
            _ if keys.look_ups() > asked_before => sent_after += 1,
            _ => {}
        }
    };
    assert_eq!(u16::from(close.code), 4401);
    assert!(keys.look_ups() > asked_before, "it was looked up why");
    assert!(sent_after < 20, "{sent_after} messages");
}
