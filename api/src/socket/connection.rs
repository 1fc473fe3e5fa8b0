//! Serves one socket, from `connection_init` to its close frame.
//!
//! One task reads and writes. While the writer waits for a slow client, the reader continues, so
//! that `complete` and pongs are processed. When the socket ends, its operations end with it.

use std::{future::Future, ops::ControlFlow, sync::Arc, time::Duration};

use async_graphql::Executor;
use axum::extract::ws::{Message, WebSocket};
use futures::{StreamExt as _, stream::SplitStream};
use tokio::{
    sync::mpsc::{self, Sender},
    time::{Instant, MissedTickBehavior},
};

use super::{
    Close, FRAMING_BYTES, PROTOCOL, QUEUE_FRAMES_MAX, RECEIVED_BYTES_MAX, UNSIGNED_BYTES_MAX,
    frames::{self, Dialect, Incoming},
    operations::{NoRoom, Operations, Task, refuse},
    writer::{self, Frame, Written},
};
use crate::{
    auth::{Access, Client, CredentialWatch, Presented},
    client_connection::ClientConnection,
    endpoint::{Endpoint, SocketLimits},
    error::{ApiError, Code},
    operation::{Engine, Envelope, ReadyOperation, RequestId},
    shares::ShareGuard,
};

/// Bytes of a client's control frame before its payload: the head and the mask.
const CONTROL_HEAD_BYTES: usize = 6;
/// How long a socket is not read after a message of a key that sends too many.
const OVER_SHARE_PAUSE: Duration = Duration::from_millis(50);

/// Where a socket comes from.
pub(super) struct Origin {
    pub(super) client: Client,
    pub(super) connection: ClientConnection,
    /// The socket's place in the share of its address, and of its key once it has signed in.
    pub(super) share: Option<ShareGuard>,
}

/// Serves a socket until it closes.
pub(super) async fn serve<E: Executor>(
    socket: WebSocket,
    endpoint: Arc<Endpoint<E>>,
    presented: Presented,
    origin: Origin,
) {
    let gauge = metrics::gauge!("callboard_sockets_open");
    gauge.increment(1);
    let is_spoken = socket.protocol().is_some_and(|protocol| protocol == PROTOCOL);
    let limits = endpoint.socket_limits;
    let (sink, mut stream) = socket.split();
    let (out, queue) = mpsc::channel(QUEUE_FRAMES_MAX);
    let mut writer = std::pin::pin!(writer::run(sink, queue, limits.stall));
    let close = if is_spoken {
        let mut session = Session::new(endpoint, presented, origin, out.clone());
        tokio::select! {
            close = session.run(&mut stream) => Some(close),
            written = &mut writer => {
                metrics::counter!("callboard_sockets_dropped_total", "reason" => written.as_str()).increment(1);
                None
            }
        }
    } else {
        Some(Close::WrongProtocol)
    };
    if let Some(close) = close {
        metrics::counter!("callboard_sockets_closed_total", "code" => close.code().to_string()).increment(1);
        send_close(close, out, writer, &mut stream, limits).await;
    }
    gauge.decrement(1);
}

/// Sends the close frame after all queued frames and waits for the client's, so that the client
/// logs our code and not 1006.
async fn send_close(
    close: Close,
    out: Sender<Frame>,
    writer: impl Future<Output = Written>,
    stream: &mut SplitStream<WebSocket>,
    limits: SocketLimits,
) {
    let send = async {
        if out.send(Frame::Close(close)).await.is_ok() {
            drop(out);
        }
    };
    let drain = async { while let Some(Ok(_)) = stream.next().await {} };
    let both = async {
        let ((), written) = tokio::join!(send, writer);
        // The write fails if the client has closed first. Reading on sends the reply to its close
        // frame.
        if written != Written::Stalled {
            drain.await;
        }
    };
    let _elapsed = tokio::time::timeout(limits.farewell, both).await;
}

struct Session<E> {
    endpoint: Arc<Endpoint<E>>,
    /// From the upgrade's headers or `connection_init`.
    presented: Presented,
    origin: Origin,
    /// The key or the session that the client has signed in with.
    watch: Option<CredentialWatch>,
    is_initialised: bool,
    /// Whose share the socket and its messages are counted in.
    access: Access,
    operations: Operations,
    out: Sender<Frame>,
    received_at: Instant,
    /// When the next message is read. `None` for at once.
    reads_at: Option<Instant>,
}

impl<E: Executor> Session<E> {
    fn new(endpoint: Arc<Endpoint<E>>, presented: Presented, origin: Origin, out: Sender<Frame>) -> Self {
        Self {
            endpoint,
            presented,
            origin,
            watch: None,
            is_initialised: false,
            access: Access::Anonymous,
            operations: Operations::default(),
            out,
            received_at: Instant::now(),
            reads_at: None,
        }
    }

    fn engine(&self) -> &Engine<E> {
        &self.endpoint.engine
    }

    fn is_signed_in(&self) -> bool {
        self.access.caller().is_some()
    }

    /// Reads messages until there is a reason to close.
    async fn run(&mut self, stream: &mut SplitStream<WebSocket>) -> Close {
        let limits = self.endpoint.socket_limits;
        let shutdown = self.endpoint.shutdown.clone();
        let init_deadline = Instant::now() + limits.init;
        let mut sign_in_deadline = Instant::now() + limits.sign_in;
        let mut ticks = tokio::time::interval_at(Instant::now() + limits.ping_every, limits.ping_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let watched = self.watch.as_ref().map(|watch| (watch.ended().clone(), watch.proof()));
            let ended = async {
                let Some((ended, proof)) = watched else { return std::future::pending().await };
                ended.cancelled().await;
                proof
            };
            let reads_at = self.reads_at;
            let done = tokio::select! {
                message = stream.next(), if reads_at.is_none() => self.receive(message).await,
                () = tokio::time::sleep_until(reads_at.unwrap_or(init_deadline)), if reads_at.is_some() => {
                    self.reads_at = None;
                    ControlFlow::Continue(())
                }
                _ = ticks.tick() => self.tick(limits.idle),
                () = tokio::time::sleep_until(init_deadline), if !self.is_initialised => {
                    ControlFlow::Break(Close::InitTimeout)
                }
                () = tokio::time::sleep_until(sign_in_deadline), if !self.is_signed_in() => {
                    sign_in_deadline += limits.sign_in;
                    if self.operations.are_running() {
                        ControlFlow::Continue(())
                    } else {
                        self.sign_in_late().await
                    }
                }
                proof = ended => {
                    // Nothing more is sent while it is looked up why.
                    self.operations = Operations::default();
                    let why = self.engine().why_ended(proof).await;
                    ControlFlow::Break(Close::of_check(why))
                }
                () = shutdown.cancelled() => ControlFlow::Break(Close::GoingAway),
            };
            if let ControlFlow::Break(close) = done {
                return close;
            }
        }
    }

    /// Closes a socket that has not signed in, unless its key could not be checked before and
    /// passes now.
    async fn sign_in_late(&mut self) -> ControlFlow<Close> {
        if !matches!(self.presented, Presented::Key(_) | Presented::Sessions(_)) {
            return ControlFlow::Break(Close::Anonymous);
        }
        match self.admit().await {
            Ok(access) if access.caller().is_some() => self.sign_in(&access),
            Ok(access) => ControlFlow::Break(Close::of_check(access.unauthenticated())),
            Err(error) => ControlFlow::Break(Close::of_check(error)),
        }
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> ControlFlow<Close> {
        self.received_at = Instant::now();
        let over = self.endpoint.count(&self.access, self.origin.client.address).err();
        if over.is_some() && !self.is_signed_in() {
            return ControlFlow::Break(Close::TooMany);
        }
        // Who has signed in is slowed. Its operations are refused, and what it says of those that
        // are running still counts.
        self.reads_at = over.as_ref().map(|_| Instant::now() + OVER_SHARE_PAUSE);
        match message {
            Some(Ok(Message::Text(_)) | Err(_)) if self.origin.connection.inbox().is_over() => {
                ControlFlow::Break(Close::TooBig)
            }
            Some(Ok(Message::Text(text))) => {
                self.origin.connection.inbox().empty();
                match frames::read(&text) {
                    Ok(incoming) => self.handle(incoming, over).await,
                    Err(close) => ControlFlow::Break(close),
                }
            }
            Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
                self.origin.connection.inbox().forget(CONTROL_HEAD_BYTES + payload.len());
                ControlFlow::Continue(())
            }
            Some(Ok(Message::Binary(_))) => ControlFlow::Break(Close::BadMessage),
            Some(Ok(Message::Close(_))) | None => ControlFlow::Break(Close::Normal),
            // The library identifies an oversized message only by this text. A test checks it.
            Some(Err(error)) if error.to_string().contains("too long") => ControlFlow::Break(Close::TooBig),
            Some(Err(_)) => ControlFlow::Break(Close::Broken),
        }
    }

    /// Does what a message asks for. `over` says that its sender has its share.
    async fn handle(&mut self, incoming: Incoming, over: Option<ApiError>) -> ControlFlow<Close> {
        match incoming {
            Incoming::Init(_) if self.is_initialised => ControlFlow::Break(Close::SecondInit),
            Incoming::Init(payload) => {
                let presented = Presented::in_payload(&payload).or(self.presented.clone());
                if presented != self.presented {
                    self.sign_out()?;
                    self.presented = presented;
                }
                match self.admit().await {
                    Ok(access) => self.sign_in(&access)?,
                    Err(error) if matches!(error.code, Code::Unauthenticated | Code::RateLimited) => {
                        return ControlFlow::Break(Close::of_check(error));
                    }
                    // Postgres is unreachable. Each operation asks again.
                    Err(_) => {}
                }
                self.is_initialised = true;
                self.send(frames::ack()).await
            }
            Incoming::Ping(payload) => self.send(frames::pong(payload)).await,
            Incoming::Pong => ControlFlow::Continue(()),
            Incoming::Subscribe { .. } | Incoming::Unreadable { .. } if !self.is_initialised => {
                ControlFlow::Break(Close::NotInitialised)
            }
            Incoming::Subscribe { id, payload, dialect } => self.subscribe(id, payload, dialect, over).await,
            Incoming::Unreadable { id, dialect, why } => {
                let why = over.unwrap_or_else(|| ApiError::new(Code::BadRequest, why));
                self.refuse_unread(&id, dialect, &why).await
            }
            Incoming::Complete(id) => {
                self.operations.stop(&id);
                ControlFlow::Continue(())
            }
            Incoming::Terminate => ControlFlow::Break(Close::Normal),
        }
    }

    async fn subscribe(
        &mut self,
        id: String,
        payload: serde_json::Value,
        dialect: Dialect,
        over: Option<ApiError>,
    ) -> ControlFlow<Close> {
        let envelope = Envelope::from_value(payload).map_err(|why| ApiError::new(Code::BadRequest, why));
        let envelope = match over.map_or(envelope, Err) {
            Ok(envelope) => envelope,
            Err(why) => return self.refuse_unread(&id, dialect, &why).await,
        };
        let request_id = self.engine().draw_id();
        let refused = match self.operations.check(&id) {
            Err(NoRoom::Duplicate) => return ControlFlow::Break(Close::DuplicateId),
            Err(NoRoom::TooMany) => {
                let message =
                    format!("A socket runs at most {} operations at a time.", super::OPERATIONS_MAX);
                self.engine().refuse(&ApiError::new(Code::RateLimited, message), &request_id)
            }
            // Checked for every operation, so that a revoked key stops working.
            Ok(()) => match self.admit().await {
                Err(error) => self.engine().refuse(&error, &request_id),
                Ok(access) => {
                    self.sign_in(&access)?;
                    match self.prepare(envelope, &access, &request_id) {
                        Err(response) => *response,
                        Ok(prepared) => {
                            let task = Task { id, dialect, request_id, prepared };
                            self.operations.start(self.endpoint.engine.clone(), task, self.out.clone());
                            return ControlFlow::Continue(());
                        }
                    }
                }
            },
        };
        refuse(dialect, &id, &refused, &self.out).await;
        ControlFlow::Continue(())
    }

    fn prepare(
        &self,
        envelope: Envelope,
        access: &Access,
        id: &RequestId,
    ) -> Result<ReadyOperation, Box<async_graphql::Response>> {
        let request = envelope.into_request().data(self.presented.clone());
        self.engine().prepare(request, access, self.origin.client.clone(), id)
    }

    /// Refuses an operation without looking at it. The socket goes on.
    async fn refuse_unread(&self, id: &str, dialect: Dialect, why: &ApiError) -> ControlFlow<Close> {
        if self.operations.check(id) == Err(NoRoom::Duplicate) {
            return ControlFlow::Break(Close::DuplicateId);
        }
        let refused = self.engine().refuse(why, &self.engine().draw_id());
        refuse(dialect, id, &refused, &self.out).await;
        ControlFlow::Continue(())
    }

    /// Checks the key, and watches it as long as the socket is open. A client that has signed in
    /// may send more.
    async fn admit(&mut self) -> Result<Access, ApiError> {
        let access = self.engine().admit(&self.presented, &self.origin.client).await?;
        if self.watch.is_none() {
            self.watch = self.engine().watch(&access);
        }
        if access.caller().is_some() {
            self.origin.connection.inbox().bind(RECEIVED_BYTES_MAX + FRAMING_BYTES);
        }
        Ok(access)
    }

    /// Moves the socket and its connection from the shares of its address to those of its key.
    fn sign_in(&mut self, access: &Access) -> ControlFlow<Close> {
        if self.is_signed_in() || access.caller().is_none() {
            return ControlFlow::Continue(());
        }
        let counted = self.endpoint.count_connection(&self.origin.connection, access);
        match counted.and_then(|()| self.endpoint.count_stream(access, self.origin.client.address)) {
            Ok(share) => {
                self.access = access.clone();
                self.origin.share = share;
                ControlFlow::Continue(())
            }
            Err(_has_its_share) => ControlFlow::Break(Close::TooMany),
        }
    }

    /// Forgets with which key the socket has signed in, because the client shows another one.
    fn sign_out(&mut self) -> ControlFlow<Close> {
        if !self.is_signed_in() {
            return ControlFlow::Continue(());
        }
        (self.watch, self.access, self.origin.share) = (None, Access::Anonymous, None);
        self.origin.connection.inbox().bind(UNSIGNED_BYTES_MAX);
        match self.endpoint.count_stream(&self.access, self.origin.client.address) {
            Ok(share) => {
                self.origin.share = share;
                ControlFlow::Continue(())
            }
            Err(_has_its_share) => ControlFlow::Break(Close::TooMany),
        }
    }

    async fn send(&self, text: String) -> ControlFlow<Close> {
        match self.out.send(Frame::Text(text)).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_gone) => ControlFlow::Break(Close::Normal),
        }
    }

    /// Checks that the client is still alive.
    fn tick(&self, idle: Duration) -> ControlFlow<Close> {
        if self.received_at.elapsed() >= idle {
            return ControlFlow::Break(Close::Idle);
        }
        // A full queue means that the client does not read, and then the writer's stall clock is
        // running already.
        let _full = self.out.try_send(Frame::Ping);
        ControlFlow::Continue(())
    }
}
