//! A server that records what it receives, byte for byte, and answers what a test says.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use parking_lot::Mutex;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case, in the order of the names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Everything of it as one text, to search for secrets.
    pub(crate) fn whole(&self) -> String {
        format!("{self:?} {}", String::from_utf8_lossy(&self.body))
    }
}

/// What the server sends back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn to(status: u16, location: impl Into<String>) -> Self {
        Self::of(status, "").with("location", location)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn bytes(&self, is_head: bool) -> Vec<u8> {
        let mut lines = vec![format!("HTTP/1.1 {} Said", self.status), "connection: close".to_owned()];
        let is_given = |name: &str| self.headers.iter().any(|(given, _)| given == name);
        if self.status != 204 && !is_given("content-length") && !is_given("transfer-encoding") {
            lines.push(format!("content-length: {}", self.body.len()));
        }
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let mut bytes = (lines.join("\r\n") + "\r\n\r\n").into_bytes();
        bytes.extend(if is_head { &[] } else { self.body.as_slice() });
        bytes
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// The server. It ends with the test's process.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) address: String,
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Site {
    pub(crate) fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (answer, list): (Arc<Answer>, _) = (Arc::new(answer), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, list) = (answer.clone(), list.clone());
                std::thread::spawn(move || serve(stream, &*answer, &list));
            }
        });
        Self { url: format!("http://{address}"), address, seen }
    }

    /// What came since the last call.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock())
    }
}

fn serve(stream: TcpStream, answer: &Answer, list: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(stream);
    let Some(seen) = read(&mut reader) else { return };
    let reply = answer(&seen);
    let is_head = seen.method == "HEAD";
    list.lock().push(seen);
    // The client may be gone.
    drop(reader.get_mut().write_all(&reply.bytes(is_head)));
}

/// Reads one request. `None` if the connection ends before.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = || {
        let mut bytes = Vec::new();
        reader.read_until(b'\n', &mut bytes).ok().filter(|count| *count > 0)?;
        Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    headers.sort();
    let mut seen = Seen { method, target, headers, body: Vec::new() };
    let length = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    seen.body = vec![0; length];
    reader.read_exact(&mut seen.body).ok()?;
    Some(seen)
}
