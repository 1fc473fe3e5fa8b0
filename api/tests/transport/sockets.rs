//! graphql-transport-ws: messages, close codes and the negotiation of the protocol.

use std::{sync::atomic::Ordering, time::Duration};

use callboard_api::socket::{self, Close};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::HeaderValue,
        protocol::frame::{Frame, coding},
    },
};

use crate::test_server::{ADMIN, OPEN_STREAMS, Setup, TestServer, start, start_default};

/// A WebSocket client.
pub struct Client(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Connects with these headers.
pub async fn connect_with(
    server: &TestServer,
    headers: &[(&'static str, &str)],
) -> Result<Client, Box<Error>> {
    let mut request = format!("ws://{}/graphql", server.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    connect_async(request).await.map(|(stream, _)| Client(stream)).map_err(Box::new)
}

/// Connects with the protocol graphql-transport-ws.
pub async fn connect(server: &TestServer) -> Client {
    connect_with(server, &[("sec-websocket-protocol", "graphql-transport-ws")]).await.unwrap()
}

/// Connects and signs in.
pub async fn sign_in(server: &TestServer) -> Client {
    let mut client = connect(server).await;
    client
        .send(
            &json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {ADMIN}") } }),
        )
        .await;
    assert_eq!(client.receive().await, json!({ "type": "connection_ack" }));
    client
}

impl Client {
    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Starts an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(&json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    /// Returns the next message, without pings.
    pub async fn receive(&mut self) -> Value {
        loop {
            match self.next().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Skips messages until the server closes and returns the close code.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.next().await {
                return frame.unwrap().code.into();
            }
        }
    }

    /// Like [`close_code`](Self::close_code), but ignores I/O errors. The library sends a pong for
    /// each ping that it reads, which fails on a closed connection before the close frame is read.
    pub async fn close_code_behind_pings(&mut self) -> u16 {
        loop {
            match tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.unwrap() {
                Some(Ok(Message::Close(frame))) => return frame.unwrap().code.into(),
                Some(Ok(_) | Err(Error::Io(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn next(&mut self) -> Message {
        let next = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await;
        next.expect("the server sends a message").expect("the socket is open").unwrap()
    }
}

fn short_limits() -> Setup {
    let limits = callboard_api::endpoint::SocketLimits {
        init: Duration::from_millis(100),
        sign_in: Duration::from_mins(1),
        ping_every: Duration::from_millis(100),
        idle: Duration::from_millis(350),
        stall: Duration::from_millis(500),
        farewell: Duration::from_millis(500),
    };
    Setup { limits, ..Setup::default() }
}

#[tokio::test]
async fn every_close_reason_has_its_code() {
    let server = start_default().await;
    let init = json!({ "type": "connection_init", "payload": { "authorization": ADMIN } }).to_string();
    let ticks = r#"{"id":"1","type":"subscribe","payload":{"query":"subscription { silence }"}}"#.to_owned();
    let ping = |bytes: usize| json!({ "type": "ping", "payload": { "x": "y".repeat(bytes) } }).to_string();
    let (big, huge, over_unsigned) = (ping(300_000), ping(1_100_000), ping(20_000));
    let anonymous = r#"{"type":"connection_init"}"#;
    // A part of a message that never ends.
    let part =
        Message::Frame(Frame::message("x".repeat(20_000), coding::OpCode::Data(coding::Data::Text), false));
    let text =
        |texts: &[&str]| texts.iter().map(|text| Message::text((*text).to_owned())).collect::<Vec<_>>();
    let refused = || Close::Unauthenticated(String::new());
    for (messages, close) in [
        (text(&["garbage"]), Close::BadMessage),
        (text(&["{}"]), Close::BadMessage),
        (text(&["[]"]), Close::BadMessage),
        (vec![Message::binary(init.clone().into_bytes())], Close::BadMessage),
        (text(&[&init, r#"{"type":"what"}"#]), Close::BadMessage),
        (text(&[&init, r#"{"id":"1","type":"subscribe"}"#]), Close::BadMessage),
        (text(&[&init, r#"{"id":7,"type":"subscribe","payload":{"query":"{ a }"}}"#]), Close::BadMessage),
        (text(&[&ticks]), Close::NotInitialised),
        (text(&[r#"{"type":"connection_init","payload":{"authorization":"Bearer cb_x"}}"#]), refused()),
        (text(&[r#"{"type":"connection_init","payload":{"apiKey":7}}"#]), refused()),
        (text(&[&init, &ticks, &ticks]), Close::DuplicateId),
        (text(&[&init, &init]), Close::SecondInit),
        (text(&[&init, &big]), Close::TooBig),
        (text(&[&init, &huge]), Close::TooBig),
        (text(&[&over_unsigned]), Close::TooBig),
        (text(&[anonymous, &over_unsigned]), Close::TooBig),
        (vec![part], Close::TooBig),
        (text(&[&init, r#"{"type":"connection_terminate"}"#]), Close::Normal),
    ] {
        let mut client = connect(&server).await;
        for message in messages.clone() {
            client.0.send(message).await.unwrap();
        }
        assert_eq!(client.close_code().await, close.code(), "{close:?} {:.100}", format!("{messages:?}"));
    }
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_is_refused_and_the_others_go_on() {
    let server = start_default().await;
    let mut client = sign_in(&server).await;
    client.subscribe("stream", "subscription { silence }").await;
    let query = "query($x: JSON) { __typename }";
    let with = |variables: &str| {
        format!(
            r#"{{"id":"bad","type":"subscribe","payload":{{"query":"{query}","variables":{variables}}}}}"#
        )
    };
    let mut refused = Vec::new();
    for (variables, reason) in [
        (r#"{"x":"\ud83d"}"#.to_owned(), "surrogate"),
        (r#"{"x":"a\udc00b"}"#.to_owned(), "surrogate"),
        (r#"{"\ud83d":1}"#.to_owned(), "surrogate"),
        (r#"{"x":1e999}"#.to_owned(), "out of range"),
        (format!(r#"{{"x":{}{}}}"#, "[".repeat(300), "]".repeat(300)), "recursion"),
        (format!(r#"{{"x":"{}"}}"#, "y".repeat(300_000)), "over HTTP"),
        (format!(r#"{{"x":"{}"}}"#, "y".repeat(1_000_000)), "over HTTP"),
        (r#"{"x":"\u0000"}"#.to_owned(), "U+0000"),
        ("[]".to_owned(), "`variables` must be an object"),
        ("7".to_owned(), "`variables` must be an object"),
        (r#"{"x":NaN}"#.to_owned(), "cannot be read as JSON"),
        ("{\"x\":\"\n\"}".to_owned(), "cannot be read as JSON"),
        (r#"{"x":"#.to_owned(), "cannot be read as JSON"),
    ] {
        refused.push((with(&variables), reason));
    }
    for (payload, reason) in [
        ("{}", "`query` must be a text"),
        (r#"{"query":null}"#, "`query` must be a text"),
        (r#"{"query":7}"#, "`query` must be a text"),
        (r#"{"query":""}"#, "`query` is empty"),
        (r#"{"query":"{"}"#, "expected"),
        ("[]", "one JSON object"),
    ] {
        refused.push((format!(r#"{{"id":"bad","type":"subscribe","payload":{payload}}}"#), reason));
    }
    for (text, reason) in refused {
        client.0.send(Message::text(text.clone())).await.unwrap();
        let message = client.receive().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("bad")), "{text:.200}");
        let error = &message["payload"][0];
        let code = error["extensions"]["code"].as_str().unwrap();
        let expected = if text.contains(r#""query":"{""#) { "PARSE_FAILED" } else { "BAD_REQUEST" };
        assert_eq!(code, expected, "{error}");
        let text = error["message"].as_str().unwrap();
        assert!(text.contains(reason), "{text}");
    }
    client.subscribe("query", "{ __typename }").await;
    assert_eq!(client.receive().await["payload"]["data"]["__typename"], "Query");
    assert_eq!(client.receive().await["type"], "complete");
    // The stream is still there: its id is taken.
    client.subscribe("stream", "subscription { silence }").await;
    assert_eq!(client.close_code().await, 4409);
}

#[tokio::test]
async fn a_socket_without_init_or_pongs_is_closed() {
    let mut setup = short_limits();
    // The close frame must still be there when the client reads late.
    setup.limits.farewell = Duration::from_mins(1);
    let server = start(setup).await;
    assert_eq!(connect(&server).await.close_code().await, 4408);
    let mut client = sign_in(&server).await;
    client.subscribe("1", "subscription { silence }").await;
    // The library sends pongs while it is read, so the client stays past the idle timeout.
    let received = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            match client.next().await {
                Message::Ping(_) => {}
                other => return other,
            }
        }
    });
    assert!(received.await.is_err(), "a client that sends pongs stays connected");
    // Without reads no pongs are sent. Then the buffered messages are read.
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(client.close_code_behind_pings().await, 1001);
}

#[tokio::test]
async fn a_close_by_the_client_is_acknowledged_and_ends_its_operations() {
    let server = start_default().await;
    let before = OPEN_STREAMS.load(Ordering::SeqCst);
    let mut client = sign_in(&server).await;
    client.subscribe("1", "subscription { silence }").await;
    wait_until(|| OPEN_STREAMS.load(Ordering::SeqCst) > before).await;
    client.0.close(None).await.unwrap();
    let response = tokio::time::timeout(Duration::from_secs(5), client.0.next()).await.unwrap();
    assert!(matches!(response, Some(Ok(Message::Close(_))) | None), "{response:?}");
    wait_until(|| OPEN_STREAMS.load(Ordering::SeqCst) <= before).await;
}

/// Waits up to five seconds for a condition.
pub async fn wait_until(mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition did not hold within five seconds");
}

#[tokio::test]
async fn operations_of_every_kind_run_over_a_socket() {
    let server = start_default().await;
    let mut client = sign_in(&server).await;
    client.subscribe("q", "{ hello }").await;
    let payload = json!({ "data": { "hello": "hello world" }, "extensions": { "cost": 1 } });
    assert_eq!(client.receive().await, json!({ "id": "q", "type": "next", "payload": payload }));
    assert_eq!(client.receive().await, json!({ "id": "q", "type": "complete" }));
    client.subscribe("q", "mutation { bump(by: 1) }").await;
    assert_eq!(client.receive().await["payload"]["data"]["bump"], 2);
    assert_eq!(client.receive().await["type"], "complete");
    client
        .subscribe("s", "subscription { ...F } fragment F on Subscription { ticks(to: 3) { number } }")
        .await;
    for number in 1..=3 {
        assert_eq!(client.receive().await["payload"]["data"]["ticks"]["number"], number);
    }
    assert_eq!(client.receive().await, json!({ "id": "s", "type": "complete" }));
    client.send(&json!({ "type": "ping", "payload": { "a": 1 } })).await;
    assert_eq!(client.receive().await, json!({ "type": "pong", "payload": { "a": 1 } }));
    client.send(&json!({ "type": "pong" })).await;
    client.send(&json!({ "type": "complete", "id": "unknown" })).await;
    for (query, code) in [
        ("{ nothing }", "VALIDATION_FAILED"),
        ("{ hello", "PARSE_FAILED"),
        ("subscription { missing }", "NOT_FOUND"),
        ("subscription { missing silence }", "VALIDATION_FAILED"),
    ] {
        client.subscribe("e", query).await;
        let error = client.receive().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("e")), "{query}: {error}");
        assert_eq!(error["payload"][0]["extensions"]["code"], code, "{query}: {error}");
        assert!(error["payload"][0]["extensions"]["requestId"].is_string(), "{query}: {error}");
    }
    client.subscribe("b", "subscription { breaks }").await;
    assert_eq!(client.receive().await["payload"]["data"]["breaks"], 1);
    let failed = client.receive().await;
    assert_eq!(failed["type"], "next");
    assert_eq!(failed["payload"]["errors"][0]["extensions"]["code"], "UNAVAILABLE");
}

#[tokio::test]
async fn a_stopped_operation_sends_nothing_more_and_frees_its_id() {
    let server = start_default().await;
    let before = OPEN_STREAMS.load(Ordering::SeqCst);
    let mut client = sign_in(&server).await;
    client.subscribe("1", "subscription { silence }").await;
    wait_until(|| OPEN_STREAMS.load(Ordering::SeqCst) > before).await;
    client.send(&json!({ "type": "complete", "id": "1" })).await;
    client.subscribe("1", "{ hello }").await;
    assert_eq!(client.receive().await["payload"]["data"]["hello"], "hello world");
    wait_until(|| OPEN_STREAMS.load(Ordering::SeqCst) <= before).await;
}

#[tokio::test]
async fn operations_over_the_limit_are_refused_until_one_ends() {
    let server = start_default().await;
    let mut client = sign_in(&server).await;
    for number in 0..socket::OPERATIONS_MAX {
        client.subscribe(&format!("s{number}"), "subscription { silence }").await;
    }
    client.subscribe("more", "{ hello }").await;
    let error = client.receive().await;
    assert_eq!(error["payload"][0]["extensions"]["code"], "RATE_LIMITED", "{error}");
    client.send(&json!({ "type": "complete", "id": "s0" })).await;
    client.subscribe("more", "{ hello }").await;
    assert_eq!(client.receive().await["type"], "next");
}

#[tokio::test]
async fn without_a_key_operations_are_refused_and_the_socket_stays_open() {
    let server = start_default().await;
    let mut client = connect(&server).await;
    client.send(&json!({ "type": "connection_init" })).await;
    assert_eq!(client.receive().await["type"], "connection_ack");
    client.subscribe("1", "subscription { ticks(to: 1) { number } }").await;
    assert_eq!(client.receive().await["payload"][0]["extensions"]["code"], "UNAUTHENTICATED");
    client.subscribe("2", "{ viewer { name } }").await;
    assert_eq!(client.receive().await["payload"]["data"]["viewer"], Value::Null);
    let bearer = format!("Bearer {ADMIN}");
    let headers = [("sec-websocket-protocol", "graphql-transport-ws"), ("authorization", bearer.as_str())];
    let mut client = connect_with(&server, &headers).await.unwrap();
    client.send(&json!({ "type": "connection_init", "payload": {} })).await;
    client.receive().await;
    client.subscribe("1", "{ viewer { name } }").await;
    assert_eq!(client.receive().await["payload"]["data"]["viewer"]["name"], "admin");
}

#[tokio::test]
async fn the_transport_protocol_is_chosen_and_legacy_messages_are_accepted() {
    let server = start_default().await;
    let mut both = connect_with(&server, &[("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")])
        .await
        .unwrap();
    both.send(&json!({ "type": "connection_init", "payload": { "Authorization": ADMIN } })).await;
    assert_eq!(both.receive().await["type"], "connection_ack");
    // The legacy messages of Python's gql, which misses the response's protocol header.
    both.send(&json!({ "id": "1", "type": "start", "payload": { "query": "subscription { ticks(to: 1) { number } }" } })).await;
    assert_eq!(
        both.receive().await,
        json!({ "id": "1", "type": "data", "payload": { "data": { "ticks": { "number": 1 } } } })
    );
    assert_eq!(both.receive().await["type"], "complete");
    both.send(&json!({ "id": "2", "type": "start", "payload": { "query": "{ nothing }" } })).await;
    let refused = both.receive().await;
    assert_eq!(refused["payload"]["errors"][0]["extensions"]["code"], "VALIDATION_FAILED", "{refused}");
    assert_eq!(both.receive().await["type"], "complete");
    both.send(&json!({ "id": "3", "type": "start", "payload": { "query": "subscription { silence }" } }))
        .await;
    both.send(&json!({ "id": "3", "type": "stop" })).await;
    both.send(&json!({ "id": "3", "type": "start", "payload": { "query": "{ hello }" } })).await;
    assert_eq!(both.receive().await["type"], "data");
}

#[tokio::test]
async fn foreign_origins_and_unknown_protocols_get_no_socket() {
    let server = start_default().await;
    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    let own = format!("http://{}", server.address);
    for origin in [own.as_str(), "https://friend.example"] {
        assert!(connect_with(&server, &[protocol, ("origin", origin)]).await.is_ok(), "{origin}");
    }
    for (headers, status) in [
        (vec![protocol, ("origin", "https://stranger.example")], 403),
        (vec![protocol, ("origin", "null")], 403),
        (vec![], 400),
        (vec![("sec-websocket-protocol", "soap")], 400),
    ] {
        match connect_with(&server, &headers).await.map_err(|error| *error) {
            Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), status, "{headers:?}"),
            Err(other) => panic!("{headers:?}: {other}"),
            Ok(_) => panic!("{headers:?}: connected"),
        }
    }
}
