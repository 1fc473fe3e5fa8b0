//! The demo's forward proxy: HTTP with basic authentication, from and to loopback addresses only.
//!
//! Accepts absolute-form requests (`GET http://127.0.0.1:4000/demo HTTP/1.1`) and CONNECT, adds
//! `Via`, and logs each request so that a demo can show which proxy a job used. One request per
//! connection, except for tunnels. Any other target is refused.

mod head;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream, lookup_host},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use head::{Head, Target};

/// The proxy's name in `Via`.
pub const VIA: &str = "callboard-demo-proxy";
/// Maximum number of connections. More are refused.
const CONNECTIONS_MAX: usize = 200;
/// Time limit and maximum size of a request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Runs until cancelled.
pub async fn run(
    listener: TcpListener,
    user: &str,
    password: &SecretString,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let expected = Arc::new(basic(user, password));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tracing::info!(address = %listener.local_addr()?, "the demo proxy is listening");
    loop {
        let (client, peer) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "the demo proxy could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let (expected, stop) = (Arc::clone(&expected), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = stop.cancelled() => {}
                served = serve(client, &expected) => {
                    if let Err(error) = served {
                        tracing::debug!(%peer, %error, "a connection of the demo proxy broke");
                    }
                }
            }
        });
    }
}

/// Returns the header that a client with these credentials sends.
fn basic(user: &str, password: &SecretString) -> SecretString {
    let credentials = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    format!("Basic {credentials}").into()
}

async fn serve(mut client: TcpStream, expected: &SecretString) -> io::Result<()> {
    let (head, rest) = match tokio::time::timeout(HEAD_WITHIN, read_head(&mut client)).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            return refuse(&mut client, "400 Bad Request").await;
        }
        Ok(Err(error)) => return Err(error),
        Err(_elapsed) => return refuse(&mut client, "408 Request Timeout").await,
    };
    if head.authorization() != Some(expected.expose_secret()) {
        tracing::info!(
            method = head.method(),
            "the demo proxy refused a request with a missing or wrong password"
        );
        return refuse(&mut client, "407 Proxy Authentication Required").await;
    }
    let Some(target) = head.target() else {
        return refuse(&mut client, "400 Bad Request").await;
    };
    let Some(address) = loopback(&target).await else {
        tracing::info!(
            method = head.method(),
            host = target.host,
            "the demo proxy refused a target that is not a loopback address"
        );
        return refuse(&mut client, "403 Forbidden").await;
    };
    tracing::info!(
        method = head.method(),
        host = target.host,
        port = target.port,
        path = target.path,
        "the demo proxy forwarded a request"
    );
    let Ok(mut server) = TcpStream::connect(address).await else {
        return refuse(&mut client, "502 Bad Gateway").await;
    };
    if head.method() == "CONNECT" {
        client
            .write_all(format!("HTTP/1.1 200 Connection established\r\nVia: 1.1 {VIA}\r\n\r\n").as_bytes())
            .await?;
    } else {
        server.write_all(head.forwarded(&target).as_bytes()).await?;
    }
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Reads the head, up to the empty line. Also returns the bytes read after it.
async fn read_head(client: &mut TcpStream) -> io::Result<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let head = Head::parse(&bytes).ok_or(io::ErrorKind::InvalidData)?;
            return Ok((head, rest));
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Returns the target's address, if all of its addresses are loopback.
async fn loopback(target: &Target) -> Option<SocketAddr> {
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, target.port)],
        Err(_) => lookup_host((host, target.port)).await.ok()?.collect(),
    };
    let are_loopback = addresses.iter().all(|address| address.ip().is_loopback());
    addresses.first().copied().filter(|_| are_loopback)
}

async fn refuse(client: &mut TcpStream, status: &str) -> io::Result<()> {
    let ask = if status.starts_with("407") { "Proxy-Authenticate: Basic realm=\"demo\"\r\n" } else { "" };
    let answer =
        format!("HTTP/1.1 {status}\r\nVia: 1.1 {VIA}\r\n{ask}Content-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
