//! A board: something that is told as a whole, all queues or all workers, to whoever looks at it.
//!
//! One task for each board looks at Postgres while anybody follows it, however many there are, and tells when what it sees is
//! not what it saw. A follower who does not read misses what is in between, never the newest.

use std::{sync::Arc, time::Duration};

use callboard::store::{Connection, Store, StoreError};
use futures::{Stream, future::BoxFuture, stream};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The same while Postgres fails.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a board shows; none before the first look, and again while nobody follows it.
type Shown<T> = Option<Arc<T>>;

/// How a board looks.
pub(super) struct Look<T> {
    /// Reads what there is to see.
    pub(super) read: for<'a> fn(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>>,
    /// Whether there is nothing to tell of the second that the first did not say.
    pub(super) is_same: fn(&T, &T) -> bool,
}

/// A board. Its task ends with it.
pub(super) struct Board<T> {
    shown: watch::Sender<Shown<T>>,
    wanted: Arc<Notify>,
    task: JoinHandle<()>,
}

impl<T> Drop for Board<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Send + Sync + 'static> Board<T> {
    /// Starts it. Must be called inside Tokio.
    pub(super) fn start(store: Store, look: Look<T>) -> Self {
        let (shown, wanted) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let task = tokio::spawn(watch(store, look, shown.clone(), Arc::clone(&wanted)));
        Self { shown, wanted, task }
    }

    /// What it shows, at once, and whenever it shows something else; at most once in `interval`.
    pub(super) fn follow(&self, interval: Duration) -> impl Stream<Item = Arc<T>> + Send + use<T> {
        let receiver = self.shown.subscribe();
        self.wanted.notify_one();
        stream::unfold((receiver, None), move |(mut receiver, told_at)| async move {
            if let Some(told_at) = told_at {
                tokio::time::sleep_until(told_at + interval).await;
                receiver.changed().await.ok()?;
            }
            let seen = receiver.wait_for(Option::is_some).await.ok()?.clone()?;
            Some((seen, (receiver, Some(tokio::time::Instant::now()))))
        })
    }
}

async fn watch<T: Send + Sync + 'static>(
    store: Store,
    look: Look<T>,
    shown: watch::Sender<Shown<T>>,
    wanted: Arc<Notify>,
) {
    loop {
        if shown.receiver_count() == 0 {
            // What it showed is old when the next one comes.
            shown.send_replace(None);
            wanted.notified().await;
            continue;
        }
        let sight = async { (look.read)(&mut *store.read().await?).await };
        let pause = match sight.await {
            Ok(sight) => {
                shown.send_if_modified(|shown| {
                    let is_news = !shown.as_ref().is_some_and(|shown| (look.is_same)(shown, &sight));
                    if is_news {
                        *shown = Some(Arc::new(sight));
                    }
                    is_news
                });
                LOOK_EVERY
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what is followed could not be read"
                );
                RETRY_AFTER
            }
        };
        tokio::time::sleep(pause).await;
    }
}
