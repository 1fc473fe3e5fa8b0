//! The followed jobs, and how their subscriptions are woken.

use std::{collections::HashMap, sync::Arc};

use callboard::{ids::JobId, store::jobs::records::Position};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

/// The topics by job. A topic exists as long as its job is followed.
#[derive(Debug, Default)]
pub(super) struct Topics(Mutex<HashMap<JobId, Topic>>);

#[derive(Debug)]
struct Topic {
    listeners: usize,
    changed: watch::Sender<()>,
    logged: watch::Sender<()>,
    /// Version and last line at the last comparison.
    seen: Option<(i32, i64)>,
}

/// A subscription to one job. Leaves the topic when dropped.
#[derive(Debug)]
pub(super) struct Listening {
    topics: Arc<Topics>,
    job: JobId,
    changed: watch::Receiver<()>,
    logged: watch::Receiver<()>,
}

/// Why a listener was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The job has new events.
    Changed,
    /// The job has new log lines.
    Logged,
}

impl Topics {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Topic>> {
        self.0.lock()
    }

    /// Follows a job from now on. Everything that happens later wakes the listener.
    pub(super) fn listen(self: &Arc<Self>, job: JobId) -> Listening {
        let mut topics = self.lock();
        let topic = topics.entry(job).or_insert_with(|| Topic {
            listeners: 0,
            changed: watch::Sender::new(()),
            logged: watch::Sender::new(()),
            seen: None,
        });
        topic.listeners += 1;
        Listening {
            topics: Arc::clone(self),
            job,
            changed: topic.changed.subscribe(),
            logged: topic.logged.subscribe(),
        }
    }

    /// Wakes the listeners of these jobs for new events. Listeners for log lines wake too, because
    /// the jobs may have finished.
    pub(super) fn changed(&self, jobs: &[JobId]) {
        let topics = self.lock();
        for topic in jobs.iter().filter_map(|job| topics.get(job)) {
            topic.changed.send_replace(());
        }
    }

    /// Wakes the listeners of these jobs for new log lines.
    pub(super) fn logged(&self, jobs: &[JobId]) {
        let topics = self.lock();
        for topic in jobs.iter().filter_map(|job| topics.get(job)) {
            topic.logged.send_replace(());
        }
    }

    /// Returns the jobs that are followed.
    pub(super) fn watched(&self) -> Vec<JobId> {
        self.lock().keys().copied().collect()
    }

    /// Compares the positions of jobs with the last comparison, and wakes the listeners of jobs
    /// that have moved.
    pub(super) fn compare(&self, positions: &[Position]) {
        let mut topics = self.lock();
        for position in positions {
            let Some(topic) = topics.get_mut(&position.job) else { continue };
            let now = (position.version, position.log_lines);
            let before = topic.seen.replace(now);
            if before.is_none_or(|before| before.0 != now.0) {
                topic.changed.send_replace(());
            }
            if before.is_none_or(|before| before.1 != now.1) {
                topic.logged.send_replace(());
            }
        }
    }
}

impl Listening {
    /// Marks everything up to now as seen, because it is about to be read. Returns whether there
    /// were new events. A caller that reads only log lines must then check the events later,
    /// because nothing wakes it for them again.
    pub(super) fn mark_seen(&mut self) -> bool {
        self.logged.mark_unchanged();
        // Checked and marked in one step, so that no change slips in between.
        self.changed.borrow_and_update().has_changed()
    }

    /// Waits for an event.
    pub(super) async fn changed(&mut self) {
        // The topic lives as long as this listener, so the sender cannot be gone.
        if self.changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for an event or a log line.
    pub(super) async fn changed_or_logged(&mut self) -> Woken {
        tokio::select! {
            biased;
            Ok(()) = self.changed.changed() => Woken::Changed,
            Ok(()) = self.logged.changed() => Woken::Logged,
            else => std::future::pending().await,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.get_mut(&self.job) {
            topic.listeners -= 1;
            if topic.listeners == 0 {
                topics.remove(&self.job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use callboard::job::JobState;
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn position(job: JobId, version: i32, log_lines: i64) -> Position {
        Position { job, state: JobState::Running, version, attempt: 1, log_lines }
    }

    #[tokio::test]
    async fn only_subscriptions_to_the_job_are_woken() {
        let topics = Arc::<Topics>::default();
        let (one, other) = (JobId::from(Uuid::from_u128(1)), JobId::from(Uuid::from_u128(2)));
        let (mut listening, mut elsewhere) = (topics.listen(one), topics.listen(other));
        assert!(listening.changed_or_logged().now_or_never().is_none());
        topics.logged(&[one]);
        assert_eq!(listening.changed_or_logged().await, Woken::Logged);
        topics.changed(&[one]);
        assert_eq!(listening.changed_or_logged().await, Woken::Changed);
        assert!(elsewhere.changed_or_logged().now_or_never().is_none());
        topics.logged(&[other]);
        assert!(!elsewhere.mark_seen());
        topics.changed(&[other]);
        assert!(elsewhere.mark_seen());
        assert!(!elsewhere.mark_seen());
        assert!(elsewhere.changed_or_logged().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_job_that_changed_without_a_hint_is_reported_at_the_next_comparison() {
        let topics = Arc::<Topics>::default();
        let job = JobId::from(Uuid::from_u128(1));
        let mut listening = topics.listen(job);
        topics.compare(&[position(job, 1, 0)]);
        listening.mark_seen();
        topics.compare(&[position(job, 1, 0)]);
        assert!(listening.changed_or_logged().now_or_never().is_none());
        topics.compare(&[position(job, 1, 5)]);
        assert_eq!(listening.changed_or_logged().await, Woken::Logged);
        topics.compare(&[position(job, 2, 5)]);
        assert_eq!(listening.changed_or_logged().await, Woken::Changed);
    }

    #[test]
    fn a_topic_is_removed_with_its_last_listener() {
        let topics = Arc::<Topics>::default();
        let job = JobId::from(Uuid::from_u128(1));
        let (one, other) = (topics.listen(job), topics.listen(job));
        drop(one);
        assert_eq!(topics.watched(), [job]);
        drop(other);
        assert!(topics.watched().is_empty());
    }
}
