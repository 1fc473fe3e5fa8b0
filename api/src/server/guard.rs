//! Limits the number of connections, and how long one may be idle, stalled or slow.
//!
//! Otherwise a client that opens connections and sends nothing, or requests much and reads nothing,
//! would hold memory and file descriptors for ever. Long-lived connections (sockets, event streams)
//! send something more often than [`Patience::idle`], so only dead and hostile clients are
//! affected.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

use super::ClientPolicy;
use crate::{
    client_connection::ClientConnection,
    endpoint::BODY_ARRIVAL_MAX,
    inbox::{Intake, LARGE_AT_A_TIME},
    shares::{self, Holder},
};

/// Maximum number of connections. More wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 20_000;
/// Maximum number of connections that are being told why they are refused. Others are just closed.
const REFUSED_AT_A_TIME: usize = 64;
/// How long that may take. A client that is told too early, while it still sends, hears nothing.
const REFUSAL_MAX: Duration = Duration::from_secs(1);

/// Time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Maximum time from the first byte of a request to the end of its head, and from the beginning
    /// of a connection to the end of its first head.
    pub head: Duration,
    /// Maximum time for the body of a request.
    pub body: Duration,
    /// Maximum time without a read or a write.
    pub idle: Duration,
    /// Maximum time that a pending write makes no progress.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: BODY_ARRIVAL_MAX,
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(15),
        }
    }
}

/// A listener that limits its connections.
#[derive(Debug)]
pub struct Guarded {
    listener: TcpListener,
    patience: Patience,
    policy: ClientPolicy,
    room: Arc<Semaphore>,
    /// Permits for refusals.
    refusals: Arc<Semaphore>,
    /// Permits for large messages of sockets.
    large: Arc<Semaphore>,
}

impl Guarded {
    /// Creates the listener.
    pub fn new(listener: TcpListener, patience: Patience, policy: ClientPolicy) -> Self {
        let [room, large, refusals] =
            [CONNECTIONS_MAX, LARGE_AT_A_TIME, REFUSED_AT_A_TIME].map(|most| Arc::new(Semaphore::new(most)));
        Self { listener, patience, policy, room, refusals, large }
    }

    /// Tells a client that its address has its share, without keeping the connection.
    fn refuse(&self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let tell = async {
                stream.write_all(shares::refused_connection().as_bytes()).await?;
                stream.shutdown().await?;
                // What the client has sent must be read, or it would hear of a reset only.
                let mut rest = [0; 1024];
                while stream.read(&mut rest).await? > 0 {}
                Ok::<_, io::Error>(())
            };
            let _told = tokio::time::timeout(REFUSAL_MAX, tell).await;
            drop(permit);
        });
    }
}

impl Listener for Guarded {
    type Io = GuardedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GuardedStream, SocketAddr) {
        // The semaphore is never closed, so this always gets a permit.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, address, place) = loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // The clients of a proxy are counted by their requests.
            if self.policy.proxies.trusts(address.ip()) {
                break (stream, address, None);
            }
            let holder = Holder::at(address.ip());
            match self.policy.shares.connection(holder) {
                Some(held) => break (stream, address, Some((holder, held))),
                None => self.refuse(stream),
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let intake = Intake::new(Arc::clone(&self.large));
        let connection = ClientConnection::new(address, intake.inbox().clone(), place);
        let guarded = GuardedStream {
            stream,
            patience: self.patience,
            connection,
            heads: 0,
            head: Some(Box::pin(sleep(self.patience.head))),
            moved_at: Instant::now(),
            idle: Box::pin(sleep(self.patience.idle)),
            stall: None,
            intake,
            _permit: permit,
        };
        (guarded, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection of a [`Guarded`] listener.
#[derive(Debug)]
pub struct GuardedStream {
    stream: TcpStream,
    patience: Patience,
    connection: ClientConnection,
    /// Heads that were complete when it was last looked.
    heads: u64,
    /// Runs while the head of a request is arriving.
    head: Option<Pin<Box<Sleep>>>,
    /// When something was last read or written.
    moved_at: Instant,
    /// Fires at the idle limit or earlier. It is reset if something was read or written since.
    idle: Pin<Box<Sleep>>,
    /// Runs while a write makes no progress.
    stall: Option<Pin<Box<Sleep>>>,
    intake: Intake,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connected<IncomingStream<'_, Guarded>> for ClientConnection {
    fn connect_info(stream: IncomingStream<'_, Guarded>) -> Self {
        stream.io().connection.clone()
    }
}

impl GuardedStream {
    fn too_long(reason: &'static str, what: &str) -> io::Error {
        metrics::counter!("callboard_connections_timed_out_total", "reason" => reason).increment(1);
        io::Error::new(io::ErrorKind::TimedOut, what)
    }

    /// Ready once the head of a request has been arriving for too long.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let heads = self.connection.heads();
        if heads != self.heads {
            (self.heads, self.head) = (heads, None);
        }
        match &mut self.head {
            Some(head) if self.connection.awaits_head() => {
                ready!(head.as_mut().poll(context));
                Poll::Ready(Self::too_long("head", "the head of a request took too long"))
            }
            Some(_) | None => Poll::Pending,
        }
    }

    /// Notes that bytes were read, which may be the first of a head.
    fn note_read(&mut self, bytes: usize) {
        self.intake.count(bytes);
        self.moved_at = Instant::now();
        if bytes > 0 && self.head.is_none() && self.connection.awaits_head() {
            self.head = Some(Box::pin(sleep(self.patience.head)));
        }
    }

    /// Ready once the connection has been idle for too long.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.idle.as_mut().poll(context));
            let until = self.moved_at + self.patience.idle;
            if until <= Instant::now() {
                return Poll::Ready(Self::too_long("idle", "the connection was idle for too long"));
            }
            self.idle.as_mut().reset(until);
        }
    }

    /// Tracks a write. Progress resets the clocks, otherwise the stall clock runs.
    fn watch_write<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            self.moved_at = Instant::now();
            return written;
        }
        let patience = self.patience.stall;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(Self::too_long("stall", "the client read nothing for too long")))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(error) = this.poll_head(context) {
            return Poll::Ready(Err(error));
        }
        let before = into.filled().len();
        let read = match this.intake.poll_room(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_read(context, into),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match read {
            Poll::Ready(read) => {
                this.note_read(into.filled().len() - before);
                Poll::Ready(read)
            }
            Poll::Pending => Poll::Ready(Err(ready!(this.poll_idle(context)))),
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch_write(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.watch_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::{client_address::TrustedProxies, shares::Shares};

    const LONG: Duration = Duration::from_mins(1);

    async fn pair(patience: Patience) -> (GuardedStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let policy = ClientPolicy { shares: Shares::default(), proxies: TrustedProxies::none() };
        let mut guarded = Guarded::new(listener, patience, policy);
        let (client, (server, _)) = tokio::join!(TcpStream::connect(address), guarded.accept());
        (server, client.unwrap())
    }

    #[tokio::test]
    async fn a_silent_client_is_disconnected_and_a_slow_one_is_not() {
        let patience = Patience { head: LONG, body: LONG, idle: Duration::from_millis(300), stall: LONG };
        let (mut server, mut client) = pair(patience).await;
        let mut byte = [0];
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut byte).await.unwrap();
        }
        let error = server.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let patience = Patience { head: LONG, body: LONG, idle: LONG, stall: Duration::from_millis(200) };
        let (mut server, _client) = pair(patience).await;
        let chunk = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = server.write_all(&chunk).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
