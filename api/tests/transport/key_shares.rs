//! What one key may take: connections, and event streams, which count as sockets.

use std::time::Duration;

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    sockets::connect,
    strangers::{asking, assert_rate_limited, limited, request, response},
    test_server::{ADMIN, client, start},
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
