//! Clients that do not read are disconnected in time and use little memory until then.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    sockets::sign_in,
    test_server::{ADMIN, FLOODED, Setup, start},
};

/// Returns the resident memory of this process, which includes the server, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_socket_is_closed_in_time_and_uses_little_memory() {
    let limits = callboard_api::endpoint::SocketLimits {
        stall: Duration::from_millis(1500),
        ..callboard_api::endpoint::SocketLimits::default()
    };
    let server = start(Setup { limits, ..Setup::default() }).await;
    let mut client = sign_in(&server).await;
    let before = resident();
    client.subscribe("1", "subscription { flood(kilobytes: 64) }").await;
    assert_eq!(server.sockets.len(), 1);
    let (began, mut most) = (Instant::now(), 0);
    let open = || server.sockets.len();
    while open() > 0 {
        most = most.max(resident().saturating_sub(before));
        assert!(began.elapsed() < Duration::from_secs(20), "the socket is still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // 32 frames and the buffers of both ends, which are in this process. Unbounded it would be
    // gigabytes.
    assert!(most < 64 * 1024, "{most} KiB");
    assert!(began.elapsed() >= Duration::from_millis(1500));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_event_stream_uses_little_memory() {
    let server = start(Setup::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = r#"{"query":"subscription { flood(kilobytes: 64) }"}"#;
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nAccept: text/event-stream\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 15];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    // Two events are read, and nothing after them.
    stream.read_exact(&mut vec![0; 128 * 1024]).await.unwrap();
    let (before, mut most) = (resident(), 0);
    // The stream has filled the buffers of both ends when it makes nothing more.
    let (began, mut made, mut since) = (Instant::now(), 0, Instant::now());
    while since.elapsed() < Duration::from_millis(500) {
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on although nobody reads");
        most = most.max(resident().saturating_sub(before));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let made_now = FLOODED.load(Ordering::SeqCst);
        if made_now != made {
            (made, since) = (made_now, Instant::now());
        }
    }
    assert!(most < 64 * 1024, "{most} KiB");
}
