//! What a stranger on the port may take: time for a request, sockets that never sign in, shares.

use std::time::{Duration, Instant};

use callboard::api_key::TextKind;
use callboard_api::{
    client_address::TrustedProxies, endpoint::SocketLimits, server::Patience, shares::ShareLimits,
    socket::PING_PAYLOAD_BYTES_MAX,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Error;

use crate::{
    sockets::{Client, connect, connect_with, sign_in, wait_until},
    test_server::{ADMIN, Setup, TestServer, VIEWER, client, start},
};

const HEAD: Duration = Duration::from_millis(700);

fn impatient() -> Setup {
    let patience = Patience { head: HEAD, body: Duration::from_millis(500), ..Patience::default() };
    Setup { patience, ..Setup::default() }
}

pub(crate) fn limited(change: impl Fn(&mut ShareLimits)) -> Setup {
    let mut shares = ShareLimits::DEFAULT;
    change(&mut shares);
    Setup { shares, ..Setup::default() }
}

pub(crate) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN}\r\n\r\n")
}

/// The URL of a query.
pub(crate) fn asking(server: &TestServer, query: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    server.url(&format!("/graphql?query={query}"))
}

/// Sends one byte of a head every tenth of a second. Returns how long the server put up with it.
async fn trickle(stream: &mut TcpStream) -> Duration {
    let (began, mut answer) = (Instant::now(), [0; 64]);
    for byte in "GET /healthz HTTP/1.1\r\nx-slow: ".bytes().chain(std::iter::repeat(b'x')) {
        assert!(began.elapsed() < Duration::from_secs(10), "a head that never ends is read for ever");
        let is_gone = stream.write_all(&[byte]).await.is_err();
        let read = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut answer)).await;
        if is_gone || matches!(read, Ok(Ok(0) | Err(_))) {
            break;
        }
    }
    began.elapsed()
}

/// Reads a response with a body of known length.
pub(crate) async fn response(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).await.unwrap();
        text.push(char::from(byte[0]));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    text + &String::from_utf8_lossy(&body)
}

async fn is_closed(stream: &mut TcpStream, limit: Duration) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(limit, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_and_a_connection_that_waits_is_not() {
    let server = start(impatient()).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let later = async {
        // The connection is older than a head may be, and idle, which is fine.
        for _ in 0..2 {
            second.write_all(request("/healthz").as_bytes()).await.unwrap();
            assert!(response(&mut second).await.starts_with("HTTP/1.1 200"));
            tokio::time::sleep(HEAD + HEAD / 2).await;
        }
        trickle(&mut second).await
    };
    let times = tokio::join!(trickle(&mut first), later, async {
        let began = Instant::now();
        assert!(is_closed(&mut silent, Duration::from_secs(5)).await, "a connection that says nothing");
        began.elapsed()
    });
    for time in [times.0, times.1, times.2] {
        assert!(time >= HEAD / 2 && time < 5 * HEAD, "{time:?}");
    }
}

#[tokio::test]
async fn answers_streams_and_sockets_may_take_longer_than_a_head() {
    let server = start(impatient()).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let query = format!("/graphql?query=%7Bsleep(millis:{})%7D", 3 * HEAD.as_millis());
    slow.write_all(request(&query).as_bytes()).await.unwrap();
    let mut socket = sign_in(&server).await;
    let query =
        format!("subscription {{ ticks(to: 2, everyMillis: {}) {{ number }} }}", 2 * HEAD.as_millis());
    socket.subscribe("1", &query).await;
    let stream = client().get(asking(&server, &query)).bearer_auth(ADMIN);
    let stream = stream.header("accept", "text/event-stream").send().await.unwrap();
    assert!(response(&mut slow).await.contains("\"sleep\":"));
    assert_eq!(socket.receive().await["payload"]["data"]["ticks"]["number"], 1);
    assert_eq!(socket.receive().await["payload"]["data"]["ticks"]["number"], 2);
    assert!(stream.text().await.unwrap().contains("\"number\":2"));
}

#[tokio::test]
async fn a_body_that_trickles_is_refused_and_its_connection_closed() {
    let server = start(impatient()).await;
    for authorization in ["", "authorization: Bearer cb_test_admin\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        stream
            .write_all(format!("{head}{authorization}content-length: 1000\r\n\r\n{{").as_bytes())
            .await
            .unwrap();
        let refused = response(&mut stream).await;
        assert!(refused.starts_with("HTTP/1.1 408") && refused.contains("BAD_REQUEST"), "{refused}");
        assert!(is_closed(&mut stream, Duration::from_secs(5)).await);
    }
}

#[tokio::test]
async fn a_socket_that_never_signs_in_is_closed() {
    let sign_in_limit = Duration::from_millis(600);
    let limits = SocketLimits {
        sign_in: sign_in_limit,
        ping_every: Duration::from_millis(100),
        ..SocketLimits::default()
    };
    let server = start(Setup { limits, ..Setup::default() }).await;
    let mut signed_in = sign_in(&server).await;
    let began = Instant::now();
    let mut anonymous = connect(&server).await;
    anonymous.send(&json!({ "type": "connection_init" })).await;
    // Reads nothing, not even the close frame.
    let mut deaf = connect(&server).await;
    deaf.send(&json!({ "type": "connection_init" })).await;
    assert_eq!(anonymous.receive().await["type"], "connection_ack");
    assert_eq!(anonymous.close_code().await, 4401);
    assert!(began.elapsed() >= sign_in_limit);
    wait_until(|| server.sockets.len() == 1).await;
    signed_in.subscribe("1", "{ hello }").await;
    assert_eq!(signed_in.receive().await["payload"]["data"]["hello"], "hello world");
}

#[tokio::test]
async fn pings_of_strangers_are_answered_with_little() {
    let server = start(Setup::default()).await;
    for is_signed_in in [false, true] {
        let mut client = if is_signed_in { sign_in(&server).await } else { connect(&server).await };
        let ping = |bytes: usize| json!({ "type": "ping", "payload": { "x": "y".repeat(bytes) } });
        client.send(&ping(PING_PAYLOAD_BYTES_MAX - 8)).await;
        let mut pong = ping(PING_PAYLOAD_BYTES_MAX - 8);
        pong["type"] = "pong".into();
        assert_eq!(client.receive().await, pong);
        for bytes in [PING_PAYLOAD_BYTES_MAX, 10_000] {
            client.send(&ping(bytes)).await;
            assert_eq!(client.receive().await, json!({ "type": "pong" }));
        }
        client.send(&ping(if is_signed_in { 300_000 } else { 250_000 })).await;
        assert_eq!(client.close_code_behind_pings().await, 1009);
    }
}

#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let server = start(limited(|shares| shares.connections_per_address = 3)).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut refused = TcpStream::connect(server.address).await.unwrap();
    refused.write_all(request("/healthz").as_bytes()).await.unwrap();
    let text = response(&mut refused).await;
    assert!(text.starts_with("HTTP/1.1 429") && text.contains("retry-after: 5"), "{text}");
    assert_rate_limited(text.split_once("\r\n\r\n").unwrap().1);
    assert!(is_closed(&mut refused, Duration::from_secs(5)).await);

    // Who has signed in is not counted by the address any more.
    for stream in &mut held {
        stream.write_all(request("/graphql?query=%7Bhello%7D").as_bytes()).await.unwrap();
        assert!(response(stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(server.execute("{ hello }").await["data"]["hello"], "hello world");
    // And what is closed gives its place back.
    let strangers = [(); 3].map(|()| std::net::TcpStream::connect(server.address).unwrap());
    drop(strangers);
    for _ in 0..100 {
        let response = client().get(server.url("/healthz")).send().await;
        if response.is_ok_and(|response| response.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("closed connections are still counted");
}

pub(crate) fn assert_rate_limited(body: &str) {
    let body: Value = serde_json::from_str(body).unwrap();
    let error = &body["errors"][0];
    assert_eq!(error["extensions"]["code"], "RATE_LIMITED", "{body}");
    assert!(error["extensions"]["retryAfter"].as_u64().unwrap() >= 1, "{body}");
    assert!(error["message"].as_str().unwrap().contains("Try again"), "{body}");
}

async fn status_of_upgrade(server: &TestServer) -> Result<Client, u16> {
    let headers = [("sec-websocket-protocol", "graphql-transport-ws")];
    match connect_with(server, &headers).await {
        Ok(client) => Ok(client),
        Err(error) => match *error {
            Error::Http(response) => {
                assert_eq!(response.headers()["retry-after"], "5");
                assert_rate_limited(std::str::from_utf8(response.body().as_ref().unwrap()).unwrap());
                Err(response.status().as_u16())
            }
            other => panic!("{other}"),
        },
    }
}

#[tokio::test]
async fn an_address_and_a_key_have_their_shares_of_sockets() {
    let server = start(limited(|shares| {
        (shares.sockets_per_address, shares.sockets_per_key) = (2, 3);
    }))
    .await;
    let init = json!({ "type": "connection_init", "payload": { "authorization": ADMIN } });
    let mut one = status_of_upgrade(&server).await.unwrap_or_else(|status| panic!("{status}"));
    let _other = status_of_upgrade(&server).await.unwrap_or_else(|status| panic!("{status}"));
    assert_eq!(status_of_upgrade(&server).await.err(), Some(429));
    one.send(&init).await;
    assert_eq!(one.receive().await["type"], "connection_ack");
    let mut signed_in = vec![one];
    for _ in 0..2 {
        let mut client = status_of_upgrade(&server).await.unwrap_or_else(|status| panic!("{status}"));
        client.send(&init).await;
        assert_eq!(client.receive().await["type"], "connection_ack");
        signed_in.push(client);
    }
    let mut over = status_of_upgrade(&server).await.unwrap_or_else(|status| panic!("{status}"));
    over.send(&init).await;
    assert_eq!(over.close_code().await, 1013);
    signed_in.pop();
    wait_until(|| server.sockets.len() == 3).await;
    let mut client = sign_in(&server).await;
    client.subscribe("1", "{ hello }").await;
    assert_eq!(client.receive().await["payload"]["data"]["hello"], "hello world");
}

#[tokio::test]
async fn a_stranger_that_floods_its_socket_is_closed() {
    let server = start(limited(|shares| shares.requests_per_address = 5)).await;
    let mut signed_in = sign_in(&server).await;
    let mut client = connect(&server).await;
    for _ in 0..60 {
        // The server may close in the middle.
        let ping = tokio_tungstenite::tungstenite::Message::text(r#"{"type":"ping"}"#);
        drop(futures::SinkExt::send(&mut client.0, ping).await);
    }
    assert_eq!(client.close_code_behind_pings().await, 1013);
    for number in 0..60 {
        signed_in.subscribe(&number.to_string(), "{ hello }").await;
        assert_eq!(signed_in.receive().await["type"], "next");
        assert_eq!(signed_in.receive().await["type"], "complete");
    }
}

/// The statuses of that many requests at the same time. A machine that is busy answers them slowly,
/// but not as slowly as tokens come back.
pub(crate) async fn statuses(
    server: &TestServer,
    path: &str,
    headers: &[(&str, &str)],
    count: usize,
) -> Vec<u16> {
    let client = client();
    let one = async || {
        let mut request = client.get(server.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if status == 429 {
            assert_eq!(response.headers()["retry-after"], "1");
            assert!(response.headers().contains_key("x-request-id"));
            assert_rate_limited(&response.text().await.unwrap());
        }
        status
    };
    futures::future::join_all((0..count).map(|_| one())).await
}

pub(crate) fn refused(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status == 429).count()
}

pub(crate) const VIEWER_QUERY: &str = "/graphql?query=%7Bviewer%7Bname%7D%7D";

#[tokio::test]
async fn an_address_and_a_key_have_their_shares_of_requests() {
    let server =
        start(limited(|shares| (shares.requests_per_address, shares.requests_per_key) = (1, 3))).await;
    let key = format!("Bearer {ADMIN}");
    // A key that has been accepted is not held up by guesses at its address.
    let _signed_in = sign_in(&server).await;
    // The burst is two seconds' worth.
    for (path, headers) in [
        (VIEWER_QUERY, &[][..]),
        // Any cookie is no credential, and a wrong key is none.
        (VIEWER_QUERY, &[("cookie", "a=b")]),
        (VIEWER_QUERY, &[("authorization", "Bearer cb_wrong")]),
        ("/", &[]),
        ("/metrics", &[]),
        ("/nothing", &[]),
    ] {
        let statuses = statuses(&server, path, headers, 40).await;
        assert!(refused(&statuses) > 20, "{path} {headers:?}: {statuses:?}");
    }
    assert_eq!(refused(&statuses(&server, "/healthz", &[], 20).await), 0);
    let own = statuses(&server, VIEWER_QUERY, &[("authorization", &key)], 60).await;
    assert!(refused(&own) > 20 && refused(&own) <= 54, "a key has its own share: {own:?}");
}

#[tokio::test]
async fn what_strangers_show_is_counted_before_it_is_looked_up() {
    let setup = limited(|shares| shares.requests_per_address = 1);
    let keys = setup.keys.clone();
    let server = start(setup).await;
    assert_eq!(server.execute("{ hello }").await["data"]["hello"], "hello world");
    for (name, before, kind) in
        [("authorization", "Bearer ", TextKind::Key), ("cookie", "callboard=", TextKind::Session)]
    {
        let (looked_up, mut answered) = (keys.look_ups(), 0);
        for _ in 0..40 {
            let shown = format!("{before}{}", kind.draw().expose_secret());
            answered += 1 - refused(&statuses(&server, VIEWER_QUERY, &[(name, &shown)], 1).await);
        }
        assert!(answered < 20, "{name}: {answered}");
        assert_eq!(keys.look_ups() - looked_up, answered, "{name}: only what is answered is looked up");
    }
    // A key that works is not held up by them.
    assert_eq!(server.execute("{ hello }").await["data"]["hello"], "hello world");
}

#[tokio::test]
async fn clients_of_a_trusted_proxy_have_shares_of_their_own() {
    let forwarded = [("x-forwarded-for", "198.51.100.7, 192.0.2.1")];
    let other = [("x-forwarded-for", "198.51.100.7, 192.0.2.2")];
    for is_trusted in [true, false] {
        let mut setup = limited(|shares| shares.requests_per_address = 1);
        if is_trusted {
            setup.proxies = TrustedProxies::parse("127.0.0.0/8", "X-Forwarded-For").unwrap();
        }
        let server = start(setup).await;
        assert!(refused(&statuses(&server, VIEWER_QUERY, &forwarded, 40).await) > 20);
        let statuses = statuses(&server, VIEWER_QUERY, &other, if is_trusted { 2 } else { 40 }).await;
        assert_eq!(refused(&statuses) > 0, !is_trusted, "nobody may say who it is: {statuses:?}");
    }
}

#[tokio::test]
async fn strangers_see_the_schema_only_if_it_is_open() {
    const SCHEMA: &str = "{ __schema { queryType { name } } }";
    for is_schema_open in [false, true] {
        let server = start(Setup { is_schema_open, ..Setup::default() }).await;
        let ask = async |query: &str, key: Option<&str>| -> Value {
            let mut request = client().get(asking(&server, query));
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            request.send().await.unwrap().json().await.unwrap()
        };
        let schema = ask(SCHEMA, None).await;
        assert_eq!(schema["data"]["__schema"]["queryType"]["name"] == "Query", is_schema_open, "{schema}");
        let unknown = "{ viewer { roles } }";
        let error = ask(unknown, None).await["errors"][0].take();
        assert_eq!(error["extensions"]["code"], "VALIDATION_FAILED");
        assert_eq!(error["message"].as_str().unwrap().contains("Did you mean"), is_schema_open, "{error}");
        assert_eq!(ask(SCHEMA, Some(VIEWER)).await["data"]["__schema"]["queryType"]["name"], "Query");
        let error = ask(unknown, Some(VIEWER)).await["errors"][0].take();
        assert!(error["message"].as_str().unwrap().contains("Did you mean"), "{error}");
    }
}
