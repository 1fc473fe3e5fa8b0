//! A minimal HTTP client for the API: one keep-alive connection, one request at a time.
//!
//! It shares the machine with what it measures, so it does as little as possible: one write per
//! request, and no parsing beyond the length of the response.

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Where the API is, and the key for it.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// Host and port.
    pub(crate) host: String,
    /// An API key.
    pub(crate) key: String,
}

/// A connection to the API.
#[derive(Debug)]
pub(crate) struct Caller {
    stream: TcpStream,
    head: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Caller {
    /// Opens a connection.
    pub(crate) async fn connect(address: &Address) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&address.host).await.context("cannot connect to the API")?;
        stream.set_nodelay(true)?;
        let Address { host, key } = address;
        let head = format!(
            "POST /graphql HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Accept: application/graphql-response+json\r\nContent-Length: "
        );
        Ok(Self { stream, head, request: Vec::new(), answer: Vec::with_capacity(64 * 1024) })
    }

    /// Sends an operation and returns the body of the response.
    pub(crate) async fn post(&mut self, body: &str) -> anyhow::Result<&str> {
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request.extend_from_slice(body.len().to_string().as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(body.as_bytes());
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the API closed the connection");
            let Some(begin) = find(&self.answer, b"\r\n\r\n").map(|end| end + 4) else { continue };
            let head = std::str::from_utf8(&self.answer[..begin])?;
            let length = content_length(head).with_context(|| format!("no Content-Length in {head}"))?;
            if self.answer.len() < begin + length {
                continue;
            }
            if !head.starts_with("HTTP/1.1 200 ") {
                bail!("{}", String::from_utf8_lossy(&self.answer));
            }
            return Ok(std::str::from_utf8(&self.answer[begin..begin + length])?);
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn content_length(head: &str) -> Option<usize> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?.1.trim().parse().ok()
}
