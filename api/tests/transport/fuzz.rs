//! Fuzz targets of the transports: whatever comes over a connection, the server answers or closes
//! it, and goes on.

use std::time::Duration;

use callboard_api::{endpoint::SocketLimits, server::Patience, shares::ShareLimits};
use callboard_test_support::{eventually, fuzz::fuzz};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::test_server::{ADMIN, Setup, TestServer, start};

/// Longest that the server may take to answer or close, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

async fn server() -> TestServer {
    let limits = SocketLimits {
        init: Duration::from_millis(50),
        farewell: Duration::from_millis(50),
        ..SocketLimits::default()
    };
    let [head, body, idle] = [100, 50, 300].map(Duration::from_millis);
    let patience = Patience { head, body, idle, ..Patience::default() };
    let shares = ShareLimits { requests_per_address: 0, ..ShareLimits::DEFAULT };
    let proxies =
        callboard_api::client_address::TrustedProxies::parse("127.0.0.1", "x-forwarded-for").unwrap();
    start(Setup { limits, shares, proxies, patience, ..Setup::default() }).await
}

/// Sends bytes and returns everything that comes back until the server closes.
async fn exchange(server: &TestServer, bytes: &[u8]) -> Vec<u8> {
    let talk = async {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server may close before it has read everything, and then the rest is lost.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        answer
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("the server answers or closes")
}

/// The server answers a client that is not hostile. On a busy machine even that one may be too slow
/// for limits as short as these.
async fn assert_lives(server: &TestServer) {
    eventually(PATIENCE, || async {
        let answer = exchange(server, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        answer.starts_with(b"HTTP/1.1 200")
    })
    .await;
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "application/json",
        "text/event-stream",
        "application/graphql-response+json",
        "*/*",
        ";q=0.5",
        ";q=",
        ",",
        ";",
        "bytes=0-",
        "bytes=-5",
        "bytes=18446744073709551615-0",
        "0-1,2-3",
        "\"tag\"",
        "W/\"",
        "http://127.0.0.1",
        "https://friend.example",
        "null",
        "Bearer cb_test_admin",
        "bearer",
        "Basic",
        "websocket",
        "Upgrade",
        "keep-alive",
        "graphql-transport-ws",
        "dGhlIHNhbXBsZSBub25jZQ==",
        "13",
        "chunked",
        "gzip",
        "127.0.0.1",
        "[::1]:80",
        "::ffff:1.2.3.4",
        "999.1.1.1",
        "\"",
        "=",
        " ",
        "\t",
        "-1",
        "99999999999999999999",
    ]);
    let piece = prop_oneof![
        4 => known.prop_map(|text: &str| text.as_bytes().to_vec()),
        1 => prop::collection::vec(prop_oneof![32..=126_u8, 128..=255_u8], 0..30),
        1 => (32..=126_u8, 0..3000_usize).prop_map(|(byte, times)| vec![byte; times]),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn head() -> impl Strategy<Value = Vec<u8>> {
    let method = prop::sample::select(vec!["GET", "POST", "OPTIONS", "HEAD", "PUT", "G T", ""]);
    let path = prop::sample::select(vec![
        "/graphql",
        "/graphql?query=%7Bhello%7D",
        "/graphql?query=%ff&variables=%7B",
        "/",
        "/metrics",
        "/playground",
        "/artifacts/artifact_00000000000000000000000007?expires=1&signature=zz",
        "/artifacts/..%2f..",
        "//",
        "*",
        "/%00",
        "http://x/graphql",
        "/nothing?\u{e9}",
    ]);
    let name = prop::sample::select(vec![
        "accept",
        "origin",
        "range",
        "if-range",
        "if-none-match",
        "authorization",
        "cookie",
        "x-forwarded-for",
        "content-type",
        "content-length",
        "transfer-encoding",
        "expect",
        "upgrade",
        "connection",
        "sec-websocket-protocol",
        "sec-websocket-key",
        "sec-websocket-version",
        "accept-encoding",
        "host",
        "x-y",
        "access-control-request-method",
        "forwarded",
        "x-forwarded-proto",
        "",
    ]);
    let headers = prop::collection::vec((name, value()), 0..10);
    (method, path, headers, prop::collection::vec(any::<u8>(), 0..50)).prop_map(
        |(method, path, headers, rest)| {
            let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n").into_bytes();
            for (name, value) in headers {
                head.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
            }
            [head, b"\r\n".to_vec(), rest].concat()
        },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_head_of_a_request_ends_the_server() {
    let server = server().await;
    for head in fuzz(head()) {
        let answer = exchange(&server, &head).await;
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{shown}");
        assert!(!shown.starts_with("HTTP/1.1 5"), "{shown}");
    }
    assert_lives(&server).await;
}

/// A frame of a client, whose head may lie about what follows.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::sample::select(vec![
        r#"{"type":"connection_init"}"#.to_owned(),
        format!(r#"{{"type":"connection_init","payload":{{"apiKey":"{ADMIN}"}}}}"#),
        r#"{"type":"ping","payload":{"a":"#.to_owned(),
        r#"{"type":"subscribe","id":"1","payload":{"query":"{ hello }"}}"#.to_owned(),
        r#"{"type":"complete","id":"1"}"#.to_owned(),
        "\u{e9}".to_owned(),
    ]);
    let payload = prop_oneof![
        3 => text.prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (any::<u8>(), 0..40_000_usize).prop_map(|(byte, times)| vec![byte; times]),
    ];
    let first = prop_oneof![6 => Just(0x81_u8), 1 => any::<u8>()];
    (first, payload, any::<[u8; 4]>(), 0..20_u8).prop_map(|(first, payload, mask, lie)| {
        let length = payload.len();
        let mut frame = vec![first];
        match (lie, length) {
            (0, _) => frame.extend([0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            (1, _) => frame.extend([0x7E, 0xFF, 0xFF]),
            (_, 0..=125) => frame.push(0x80 | length as u8),
            (_, _) => frame.extend([&[0xFE][..], &(length.min(65_535) as u16).to_be_bytes()].concat()),
        }
        frame.extend(mask);
        frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        frame
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_frame_of_a_socket_ends_the_server() {
    let server = server().await;
    let upgrade = b"GET /graphql HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
    // Ends what would go on: a close frame.
    let close = [0x88, 0x80, 0, 0, 0, 0];
    for frames in fuzz(prop::collection::vec(frame(), 0..6)) {
        let bytes = [&upgrade[..], &frames.concat(), &close].concat();
        let answer = tokio::time::timeout(PATIENCE, async {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            drop(stream.write_all(&bytes).await);
            drop(stream.shutdown().await);
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer).await);
            answer
        });
        let answer = answer.await.expect("the server closes");
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        assert!(answer.len() < 100_000, "a stranger is answered little");
    }
    assert_lives(&server).await;
}
