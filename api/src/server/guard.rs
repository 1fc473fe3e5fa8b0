//! Limits the number of connections and how long one may be idle or stalled.
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
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

use crate::inbox::{Inbox, Intake, LARGE_AT_A_TIME};

/// Maximum number of connections. More wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 20_000;

/// Time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Maximum time without a read or a write.
    pub idle: Duration,
    /// Maximum time that a pending write makes no progress.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { idle: Duration::from_secs(75), stall: Duration::from_secs(15) }
    }
}

/// A listener that limits its connections.
#[derive(Debug)]
pub struct Guarded {
    listener: TcpListener,
    patience: Patience,
    room: Arc<Semaphore>,
    /// Permits for large messages of sockets.
    large: Arc<Semaphore>,
}

impl Guarded {
    /// Creates the listener.
    pub fn new(listener: TcpListener, patience: Patience) -> Self {
        let [room, large] = [CONNECTIONS_MAX, LARGE_AT_A_TIME].map(|most| Arc::new(Semaphore::new(most)));
        Self { listener, patience, room, large }
    }
}

impl Listener for Guarded {
    type Io = GuardedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GuardedStream, SocketAddr) {
        // The semaphore is never closed, so this always gets a permit.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let guarded = GuardedStream {
            stream,
            patience: self.patience,
            moved_at: Instant::now(),
            idle: Box::pin(sleep(self.patience.idle)),
            stall: None,
            intake: Intake::new(Arc::clone(&self.large)),
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
    /// When something was last read or written.
    moved_at: Instant,
    /// Fires at the idle limit or earlier. It is reset if something was read or written since.
    idle: Pin<Box<Sleep>>,
    /// Runs while a write makes no progress.
    stall: Option<Pin<Box<Sleep>>>,
    intake: Intake,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connected<IncomingStream<'_, Guarded>> for Inbox {
    fn connect_info(stream: IncomingStream<'_, Guarded>) -> Self {
        stream.io().intake.inbox().clone()
    }
}

impl GuardedStream {
    fn too_long(what: &str) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, what)
    }

    /// Ready once the connection has been idle for too long.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.idle.as_mut().poll(context));
            let until = self.moved_at + self.patience.idle;
            if until <= Instant::now() {
                return Poll::Ready(Self::too_long("the connection was idle for too long"));
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
        Poll::Ready(Err(Self::too_long("the client read nothing for too long")))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = match this.intake.poll_room(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_read(context, into),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match read {
            Poll::Ready(read) => {
                this.intake.count(into.filled().len() - before);
                this.moved_at = Instant::now();
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

    async fn pair(patience: Patience) -> (GuardedStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut guarded = Guarded::new(listener, patience);
        let (client, (server, _)) = tokio::join!(TcpStream::connect(address), guarded.accept());
        (server, client.unwrap())
    }

    #[tokio::test]
    async fn a_silent_client_is_disconnected_and_a_slow_one_is_not() {
        let patience = Patience { idle: Duration::from_millis(300), stall: Duration::from_mins(1) };
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
        let patience = Patience { idle: Duration::from_mins(1), stall: Duration::from_millis(200) };
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
