//! An outside service that answers as a test says, and records requests and statuses.

use std::{fmt::Write as _, sync::Arc};

use callboard::clock::{self, Time};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: &'static str,
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::of(200)
    }

    pub(crate) fn of(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "{}" }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn saying(self, body: &'static str) -> Self {
        Self { body, ..self }
    }
}

/// A request's time and the status of its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) at: Time,
    pub(crate) status: u16,
}

/// The service. It ends with the test.
pub(crate) struct Site {
    pub(crate) url: String,
    log: Arc<Mutex<Vec<Exchange>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Site {
    /// `answer` gets the number of earlier requests.
    pub(crate) async fn start(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&log));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&kept));
                // An error means that the client is gone.
                tokio::spawn(async move { drop(serve(stream, &*answer, &log).await) });
            }
        });
        Self { url, log, serving }
    }

    /// All exchanges, in order.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.log.lock().clone()
    }
}

/// Serves one request per connection.
async fn serve(
    stream: TcpStream,
    answer: &(dyn Fn(usize) -> Reply + Send + Sync),
    log: &Mutex<Vec<Exchange>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while line.trim_end() != "" || line.is_empty() {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
    }
    let reply = {
        let mut log = log.lock();
        let reply = answer(log.len());
        log.push(Exchange { at: clock::now(), status: reply.status });
        reply
    };
    let mut text = format!("HTTP/1.1 {} As The Test Says\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    write!(
        text,
        "content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        reply.body.len(),
        reply.body
    )
    .unwrap();
    stream.write_all(text.as_bytes()).await
}
