//! The snapshot feed, which sends subscribers a whole state (all queues or all workers) whenever it
//! changes.
//!
//! One task per feed polls Postgres while there are subscribers, however many, and publishes each
//! state that differs from the last. A slow subscriber may miss states in between but never the
//! newest.

use std::{sync::Arc, time::Duration};

use callboard::store::{Connection, Store, StoreError};
use futures::{Stream, future::BoxFuture, stream};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::Instant,
};

/// Minimum time between two polls.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Minimum time between two polls, as a multiple of how long a poll takes: polls use a tenth of a
/// connection at most.
const REST: u32 = 9;
/// Maximum time between two polls, however long a poll takes.
const REST_MAX: Duration = Duration::from_secs(5);
/// Time between two polls while Postgres fails.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The last state. `None` before the first poll, and again while there are no subscribers.
type Shown<T> = Option<Arc<T>>;

/// How to poll and compare a state.
pub(super) struct Look<T> {
    /// Reads the state.
    pub(super) read: for<'a> fn(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>>,
    /// Whether the second state is the same as the first for subscribers.
    pub(super) is_same: fn(&T, &T) -> bool,
}

/// A snapshot feed. Its task ends when it is dropped.
pub(super) struct SnapshotFeed<T> {
    shown: watch::Sender<Shown<T>>,
    wanted: Arc<Notify>,
    task: JoinHandle<()>,
}

impl<T> Drop for SnapshotFeed<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Send + Sync + 'static> SnapshotFeed<T> {
    /// Starts the task. Must be called inside Tokio.
    pub(super) fn start(store: Store, look: Look<T>) -> Self {
        let (shown, wanted) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let task = tokio::spawn(watch(store, look, shown.clone(), Arc::clone(&wanted)));
        Self { shown, wanted, task }
    }

    /// Sends the current state at once and then every change, at most once per `interval`.
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
            // The state would be stale by the time the next subscriber arrives.
            shown.send_replace(None);
            wanted.notified().await;
            continue;
        }
        let sight = async {
            let mut connection = store.connection().await?;
            let began = Instant::now();
            let sight = (look.read)(&mut connection).await?;
            Ok::<_, StoreError>((sight, began.elapsed()))
        };
        let pause = match sight.await {
            Ok((sight, took)) => {
                shown.send_if_modified(|shown| {
                    let is_news = !shown.as_ref().is_some_and(|shown| (look.is_same)(shown, &sight));
                    if is_news {
                        *shown = Some(Arc::new(sight));
                    }
                    is_news
                });
                pause_after(took)
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the state of a snapshot feed could not be read"
                );
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // The state is forgotten at once, so that the next subscriber gets no old one.
            () = shown.closed() => {}
        }
    }
}

/// The pause after a poll that took this long.
fn pause_after(took: Duration) -> Duration {
    took.saturating_mul(REST).clamp(LOOK_EVERY, REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_take_a_tenth_of_the_time_and_come_at_least_every_few_seconds() {
        for (took, pause) in [(0, 200), (22, 200), (100, 900), (2000, 5000), (30_000, 5000)] {
            assert_eq!(pause_after(Duration::from_millis(took)), Duration::from_millis(pause));
        }
    }
}
