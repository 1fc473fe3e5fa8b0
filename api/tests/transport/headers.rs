//! Headers that come several times: one that may come once is refused on every route, and the
//! others are read as a whole.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::test_server::{ADMIN, TestServer, start_default};

const QUERY: &str = r#"{"query":"{ hello }"}"#;

/// Sends a request with exactly these header lines, and returns the response.
async fn respond(server: &TestServer, start: &str, lines: &[&[u8]], body: &str) -> String {
    let mut request = format!("{start} HTTP/1.1\r\n").into_bytes();
    for line in lines {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    let end = format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    request.extend_from_slice(end.as_bytes());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

#[tokio::test]
async fn a_header_that_may_come_once_is_refused_when_it_comes_twice() {
    let server = start_default().await;
    let host = format!("host: {}", server.address);
    let own = format!("origin: http://{}", server.address);
    let key = format!("authorization: Bearer {ADMIN}");
    let base =
        [host.as_bytes(), b"content-type: application/json", b"accept: application/json", key.as_bytes()];
    let fine = respond(&server, "POST /graphql", &base, QUERY).await;
    assert!(fine.starts_with("HTTP/1.1 200") && fine.contains("hello world"), "{fine}");
    for (name, lines) in [
        ("Origin", [own.as_bytes(), b"origin: https://evil.example"]),
        ("Origin", [b"origin: https://evil.example", own.as_bytes()]),
        ("Origin", [own.as_bytes(), own.as_bytes()]),
        ("Origin", [b"origin: \xff", b"x: y"]),
        ("Host", [b"host: evil.example", b"x: y"]),
        ("Host", [host.as_bytes(), b"x: y"]),
        ("Content-Type", [b"content-type: text/plain", b"x: y"]),
        ("Sec-Fetch-Site", [b"sec-fetch-site: same-origin", b"sec-fetch-site: cross-site"]),
        ("Sec-Fetch-Site", [b"sec-fetch-site: cross-site", b"sec-fetch-site: same-origin"]),
    ] {
        let all = [&base[..], &lines].concat();
        for start in ["POST /graphql", "GET /graphql?query=%7Bhello%7D", "GET /playground", "GET /healthz"] {
            let response = respond(&server, start, &all, QUERY).await;
            assert!(response.starts_with("HTTP/1.1 400"), "{start} with {name}: {response}");
            let told = [format!("`{name}`"), "\"code\":\"BAD_REQUEST\"".to_owned()];
            assert!(told.iter().all(|part| response.contains(part)), "{start} with {name}: {response}");
        }
    }
    let nameless = respond(&server, "POST /graphql", &base[1..], QUERY).await;
    assert!(nameless.starts_with("HTTP/1.1 400") && nameless.contains("`Host`"), "{nameless}");
}

#[tokio::test]
async fn a_socket_from_two_pages_is_refused() {
    let server = start_default().await;
    let (host, own) = (format!("host: {}", server.address), format!("origin: http://{}", server.address));
    let upgrade: [&[u8]; 5] = [
        b"connection: upgrade",
        b"upgrade: websocket",
        b"sec-websocket-version: 13",
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        b"sec-websocket-protocol: graphql-transport-ws",
    ];
    for other in ["origin: https://evil.example", own.as_str()] {
        let lines = [&[host.as_bytes(), own.as_bytes(), other.as_bytes()][..], &upgrade].concat();
        let response = respond(&server, "GET /graphql", &lines, "").await;
        assert!(response.starts_with("HTTP/1.1 400") && response.contains("`Origin`"), "{response}");
    }
}

#[tokio::test]
async fn what_may_come_several_times_is_read_as_a_whole() {
    let server = start_default().await;
    let (host, key) = (format!("host: {}", server.address), format!("authorization: Bearer {ADMIN}"));
    let base: [&[u8]; 3] = [host.as_bytes(), b"content-type: application/json", b"accept: application/json"];
    for (lines, status, part) in [
        // The key counts whatever the cookies are.
        (&[key.as_bytes(), b"cookie: a=b", b"cookie: c=d"][..], 200, "hello world"),
        (&[key.as_bytes(), b"accept: text/html"], 200, "hello world"),
        (&[key.as_bytes(), b"x-forwarded-for: 192.0.2.1", b"x-forwarded-for: \xff"], 200, "hello world"),
        (&[key.as_bytes(), key.as_bytes()], 200, "UNAUTHENTICATED"),
        (&[key.as_bytes(), b"authorization: Bearer cb_other"], 200, "UNAUTHENTICATED"),
        (&[key.as_bytes(), b"content-encoding: identity", b"content-encoding: gzip"], 415, "compressed"),
    ] {
        let response = respond(&server, "POST /graphql", &[&base[..], lines].concat(), QUERY).await;
        let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        let is_as_said = response.starts_with(&format!("HTTP/1.1 {status}")) && response.contains(part);
        assert!(is_as_said, "{shown:?}: {response}");
    }
}
