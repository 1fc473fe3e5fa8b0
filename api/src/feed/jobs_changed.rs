//! The stream of changes within a filter.
//!
//! It starts with the changes between its cursor and now, read from Postgres, or with a reset. Then
//! it filters the tailer's batches through its selection.

use std::sync::Arc;

use callboard::{
    clock,
    store::{Store, StoreError, jobs::events},
};
use futures::{Stream, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Change, Changes, ChangesCursor, Feed, FeedError, Selection,
    changes::{Batch, merge},
    tailer::EVENTS_LATE_BY_MS,
};

/// Maximum number of changes in one message.
const CHANGES_MAX: usize = 1000;
/// Maximum age of a cursor.
const CURSOR_AGE_MAX_MS: i64 = 3_600_000;
/// Maximum number of events that are read to catch up from a cursor.
const EVENTS_MAX: usize = 10_000;

struct JobsChanged {
    /// Keeps the tailer running.
    feed: Feed,
    selection: Selection,
    batches: Receiver<Arc<Batch>>,
    /// Sent first.
    first: Option<Changes>,
    is_over: bool,
}

pub(super) async fn open(
    feed: Feed,
    selection: Selection,
    after: Option<ChangesCursor>,
) -> Result<impl Stream<Item = Changes> + Send + use<>, FeedError> {
    let joined = feed.0.tail.join(after.map_or(0, |cursor| cursor.position)).await?;
    let first = match after {
        None => Some(Changes::reset(joined.cursor)),
        Some(after) => catch_up(&feed.0.store, &selection, after, joined.cursor).await?,
    };
    let stream = JobsChanged { feed, selection, batches: joined.batches, first, is_over: false };
    Ok(stream::unfold(
        stream,
        |mut stream| async move { stream.next().await.map(|changes| (changes, stream)) },
    ))
}

/// Returns the changes between two cursors, or `None` if there were none.
async fn catch_up(
    store: &Store,
    selection: &Selection,
    after: ChangesCursor,
    now: ChangesCursor,
) -> Result<Option<Changes>, Arc<StoreError>> {
    if after.position == now.position {
        return Ok(None);
    }
    let is_too_old = now.made_at_ms - after.made_at_ms > CURSOR_AGE_MAX_MS;
    // A position in the future belongs to another database.
    if after.position > now.position || is_too_old {
        return Ok(Some(Changes::reset(now)));
    }
    let since_ms = after.made_at_ms.min(clock::now().timestamp_millis()) - EVENTS_LATE_BY_MS;
    let since = clock::Time::from_timestamp_millis(since_ms).unwrap_or_default();
    let between = (after.position, now.position);
    let read =
        async { events::tail(&mut *store.connection().await?, between, since, EVENTS_MAX as i64 + 1).await };
    let events = read.await.map_err(Arc::new)?;
    let changes = (events.len() <= EVENTS_MAX).then(|| merge(&events));
    changes_within(store, selection, &Batch::new(now, changes)).await
}

/// Returns the changes of a batch within the selection, or `None` if there are none.
async fn changes_within(
    store: &Store,
    selection: &Selection,
    batch: &Batch,
) -> Result<Option<Changes>, Arc<StoreError>> {
    let Some(changes) = &batch.changes else { return Ok(Some(Changes::reset(batch.cursor))) };
    let origins = if selection.needs_origin() { Some(batch.origins(store).await?) } else { None };
    let judge = |change: &Change| {
        let is_in = selection.judge(change, |job| origins.and_then(|origins| origins.get(&job)))?;
        Some((*change, is_in))
    };
    let matching: Vec<(Change, bool)> = changes.iter().filter_map(judge).collect();
    Ok(match matching.len() {
        0 => None,
        1..=CHANGES_MAX => Some(Changes { cursor: batch.cursor, changes: matching, is_reset: false }),
        _ => Some(Changes::reset(batch.cursor)),
    })
}

impl JobsChanged {
    async fn next(&mut self) -> Option<Changes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let mut has_lost = false;
        while !self.is_over {
            match self.batches.recv().await {
                Ok(batch) if has_lost => return Some(Changes::reset(batch.cursor)),
                Ok(batch) => match changes_within(&self.feed.0.store, &self.selection, &batch).await {
                    Ok(None) => {}
                    Ok(Some(changes)) => return Some(changes),
                    Err(error) => {
                        tracing::debug!(%error, "origins of changed jobs could not be read, sending a reset");
                        return Some(Changes::reset(batch.cursor));
                    }
                },
                Err(RecvError::Lagged(_)) => has_lost = true,
                Err(RecvError::Closed) => self.is_over = true,
            }
        }
        None
    }
}
