//! The stream of one job's events.
//!
//! It reads the events after its cursor until none are left, then waits to be woken. It ends when
//! the job is finished, its last event has been sent, and the job is still finished on a later
//! read.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use callboard::{
    clock::{self, Time},
    ids::JobId,
    store::{
        StoreError,
        jobs::{events::EventRecord, records::Position},
    },
};
use futures::{Stream, stream};

use super::{EventCursor, Feed, FeedError, topics::Listening};

/// Pause before the next try while Postgres is unreachable.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// An item of the stream.
#[derive(Debug, Clone)]
pub enum JobNews {
    /// An event of the job.
    Event(EventRecord),
    /// The job's current state, at the start of the stream.
    Snapshot(JobSnapshot),
}

/// The current state of a job, at the start of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JobSnapshot {
    /// The job's state and version.
    pub position: Position,
    /// When that was read.
    pub at: Time,
    /// The version that the stream continues after.
    pub goes_on_after: i32,
    /// Why the state is sent.
    pub following: Following,
}

/// Why a stream starts with the job's current state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Following {
    /// It was opened without a cursor. All stored events follow.
    Begins,
    /// The events after the cursor are no longer stored. Only new events follow.
    BeginsAnew,
}

struct JobEvents {
    feed: Feed,
    listening: Listening,
    job: JobId,
    /// Version of the last event that was sent or is queued in `next`.
    read: i32,
    next: VecDeque<JobNews>,
    /// Whether the last event that was read finished the job.
    has_ended: bool,
    is_over: bool,
}

pub(super) async fn open(
    feed: Feed,
    job: JobId,
    after: Option<EventCursor>,
) -> Result<impl Stream<Item = JobNews> + Send + use<>, FeedError> {
    if after.is_some_and(|cursor| cursor.job != job) {
        return Err(FeedError::BadCursor);
    }
    let listening = feed.0.topics.listen(job);
    let position = feed.0.reader.position(job).await?.ok_or(FeedError::NotFound)?;
    let from = after.map_or(0, |cursor| cursor.version);
    let events = feed.0.reader.events(job, from).await?;
    let mut stream = JobEvents {
        feed,
        listening,
        job,
        read: from,
        next: VecDeque::new(),
        has_ended: position.state.has_ended(),
        is_over: false,
    };
    stream.begin(position, after.is_some(), &events);
    Ok(stream::unfold(stream, |mut stream| async move { stream.next().await.map(|news| (news, stream)) }))
}

impl JobEvents {
    /// Queues the first items. `position` was read before `events`, which start after `self.read`.
    fn begin(&mut self, position: Position, has_cursor: bool, events: &Arc<Vec<EventRecord>>) {
        let first = events.first().map_or(position.version + 1, |event| event.version);
        let is_whole = first == self.read + 1;
        let (goes_on_after, following) = match (has_cursor, is_whole) {
            (true, true) => return self.take(events),
            (true, false) => (position.version, Following::BeginsAnew),
            (false, _) => (first - 1, Following::Begins),
        };
        let snapshot = JobSnapshot { position, at: clock::now(), goes_on_after, following };
        self.next.push_back(JobNews::Snapshot(snapshot));
        self.read = goes_on_after;
        self.take(events);
    }

    /// Queues events that are newer than those queued before.
    fn take(&mut self, events: &Arc<Vec<EventRecord>>) {
        for event in events.iter().filter(|event| event.version > self.read) {
            self.next.push_back(JobNews::Event(event.clone()));
        }
        if let Some(last) = events.last().filter(|event| event.version > self.read) {
            self.read = last.version;
            self.has_ended = last.state.has_ended();
        }
    }

    async fn next(&mut self) -> Option<JobNews> {
        loop {
            if let Some(news) = self.next.pop_front() {
                return Some(news);
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.read_on().await {
                tracing::debug!(job = %self.job, %error, "a job's events could not be read, retrying");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Reads new events. If there are none, ends the stream or waits.
    async fn read_on(&mut self) -> Result<(), Arc<StoreError>> {
        // The read below sees everything that the hints so far are about.
        let _has_changed = self.listening.mark_seen();
        let events = self.feed.0.reader.events(self.job, self.read).await?;
        if !events.is_empty() {
            self.take(&events);
            return Ok(());
        }
        if self.has_ended {
            match self.feed.0.reader.position(self.job).await? {
                // An event that arrived between the two reads is read next time.
                Some(position) if position.version > self.read => return Ok(()),
                Some(position) if !position.state.has_ended() => self.has_ended = false,
                Some(_) | None => {
                    self.is_over = true;
                    return Ok(());
                }
            }
        }
        self.listening.changed().await;
        Ok(())
    }
}
