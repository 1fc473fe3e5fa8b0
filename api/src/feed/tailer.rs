//! The change tailer, which reads the events of all jobs in transaction order while any filter is
//! followed.
//!
//! An actor that owns its position. Every change below the horizon (the oldest running transaction)
//! is committed and visible, so reading up to it misses nothing. A new subscription gets a receiver
//! of all later batches and the position that they start after. A slow receiver loses the oldest
//! batches and is notified of it.

use std::{sync::Arc, time::Duration};

use callboard::{
    clock,
    store::{Store, StoreError, jobs::events},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{
    FeedError,
    changes::{Batch, merge},
    cursor::ChangesCursor,
};

/// Minimum time between two reads.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to keep reading every [`PAUSE`] after a hint, because its events may wait for an older
/// transaction.
const KEEN_FOR: Duration = Duration::from_secs(2);
/// Time between two reads without hints.
const FALLBACK: Duration = Duration::from_secs(1);
/// Maximum number of events in one read. With more, subscriptions get a reset.
const EVENTS_MAX: usize = 20_000;
/// Number of batches kept for a slow receiver.
const BATCHES_MAX: usize = 16;
/// Maximum number of subscriptions that wait to join.
const JOINS_MAX: usize = 64;
/// How much older an event may be than the position where it is found, because its transaction may
/// have taken that long and clocks differ.
pub(super) const EVENTS_LATE_BY_MS: i64 = 3_600_000;

/// Handle for joining the tailer.
#[derive(Debug, Clone)]
pub(super) struct Tail(mpsc::Sender<Join>);

struct Join {
    /// The new subscription has seen everything before this position.
    seen: i64,
    reply: oneshot::Sender<Result<Joined, Arc<StoreError>>>,
}

/// What a new subscription gets from the tailer.
pub(super) struct Joined {
    /// All batches after `cursor`.
    pub(super) batches: broadcast::Receiver<Arc<Batch>>,
    /// The position that the batches start after.
    pub(super) cursor: ChangesCursor,
}

impl Tail {
    /// Subscribes from now on. The returned position is not before `seen`, unless `seen` lies in
    /// the future.
    pub(super) async fn join(&self, seen: i64) -> Result<Joined, FeedError> {
        let (reply, joined) = oneshot::channel();
        self.0.send(Join { seen, reply }).await.map_err(|_| FeedError::Stopped)?;
        Ok(joined.await.map_err(|_| FeedError::Stopped)??)
    }
}

/// Starts the tailer. `hints` is notified when any job has changed.
pub(super) fn start(store: Store, hints: watch::Receiver<()>) -> (Tail, JoinHandle<()>) {
    let (sender, joins) = mpsc::channel(JOINS_MAX);
    let batches = broadcast::Sender::new(BATCHES_MAX);
    let now = Instant::now();
    let tailer = Tailer { store, hints, joins, batches, cursor: None, read_at: now, keen_until: now };
    (Tail(sender), tokio::spawn(tailer.run()))
}

struct Tailer {
    store: Store,
    hints: watch::Receiver<()>,
    joins: mpsc::Receiver<Join>,
    batches: broadcast::Sender<Arc<Batch>>,
    /// Everything before this position has been sent. `None` while there are no subscriptions.
    cursor: Option<ChangesCursor>,
    read_at: Instant,
    keen_until: Instant,
}

impl Tailer {
    async fn run(mut self) {
        loop {
            let next_read = self.next_read();
            let is_followed = self.batches.receiver_count() > 0;
            tokio::select! {
                join = self.joins.recv() => match join {
                    Some(join) => self.admit(join).await,
                    None => return,
                },
                Ok(()) = self.hints.changed(), if is_followed => {
                    self.keen_until = Instant::now() + KEEN_FOR;
                    self.read_and_rest().await;
                }
                () = tokio::time::sleep(next_read), if is_followed => self.read_and_rest().await,
                else => return,
            }
            if self.batches.receiver_count() == 0 {
                self.cursor = None;
            }
        }
    }

    fn next_read(&self) -> Duration {
        if Instant::now() < self.keen_until { PAUSE } else { FALLBACK }
    }

    async fn admit(&mut self, join: Join) {
        let is_old = self.read_at.elapsed() > PAUSE;
        let is_behind = self.cursor.is_none_or(|cursor| is_old || cursor.position < join.seen);
        if is_behind && let Err(error) = self.read().await {
            // The send fails if the subscription is gone.
            let _gone = join.reply.send(Err(Arc::new(error)));
            return;
        }
        if let Some(cursor) = self.cursor {
            let _gone = join.reply.send(Ok(Joined { batches: self.batches.subscribe(), cursor }));
        }
    }

    async fn read_and_rest(&mut self) {
        if let Err(error) = self.read().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "changes of jobs could not be read, retrying"
            );
        }
        // Let subscriptions join in the meantime.
        let rest = tokio::time::sleep(PAUSE);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                () = &mut rest => return,
                Some(join) = self.joins.recv() => self.admit(join).await,
            }
        }
    }

    /// Publishes the changes that have become complete since the last read.
    async fn read(&mut self) -> Result<(), StoreError> {
        let mut connection = self.store.connection().await?;
        let now = clock::now();
        self.read_at = Instant::now();
        let horizon = events::horizon(&mut connection).await?;
        let cursor = ChangesCursor { position: horizon, made_at_ms: now.timestamp_millis() };
        let Some(before) = self.cursor else {
            self.cursor = Some(cursor);
            return Ok(());
        };
        if horizon <= before.position {
            return Ok(());
        }
        let since = now - chrono::Duration::milliseconds(EVENTS_LATE_BY_MS);
        let most = EVENTS_MAX as i64 + 1;
        let events = events::tail(&mut connection, (before.position, horizon), since, most).await?;
        self.cursor = Some(cursor);
        if !events.is_empty() {
            let changes = (events.len() <= EVENTS_MAX).then(|| merge(&events));
            // The send fails if there are no receivers.
            let _unheard = self.batches.send(Arc::new(Batch::new(cursor, changes)));
        }
        Ok(())
    }
}
