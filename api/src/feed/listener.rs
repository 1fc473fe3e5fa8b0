//! The process's one subscription to hints on Redis. It reconnects for ever.

use std::{sync::Arc, time::Duration};

use callboard::transport::{Hint, Redis};
use futures::StreamExt as _;
use tokio::sync::watch;

use super::topics::Topics;

/// First and longest pause between tries while Redis is unreachable.
const RETRY_AFTER: Duration = Duration::from_millis(100);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);

/// Whom the listener notifies, besides the topics.
pub(super) struct Notified {
    /// When more jobs have changed than the hints name.
    pub(super) many: watch::Sender<()>,
    /// Whenever a job has changed.
    pub(super) any: watch::Sender<()>,
    /// When a key was revoked or a session has ended.
    pub(super) access: watch::Sender<()>,
}

/// Listens to hints.
pub(super) async fn run(redis: Redis, topics: Arc<Topics>, notified: Notified) {
    let mut wait = RETRY_AFTER;
    loop {
        match redis.hints().await {
            Ok(mut hints) => {
                while let Some(hint) = hints.next().await {
                    wait = RETRY_AFTER;
                    pass_on(&hint, &topics, &notified);
                }
                tracing::warn!("the subscription to Redis ended, subscribing again");
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not subscribe to Redis, retrying"
                );
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_AFTER_MAX);
    }
}

fn pass_on(hint: &Hint, topics: &Topics, notified: &Notified) {
    let Notified { many, any, access } = notified;
    match hint {
        Hint::Changed(jobs) => {
            topics.changed(jobs);
            any.send_replace(());
        }
        Hint::Logged(jobs) => topics.logged(jobs),
        Hint::ManyChanged | Hint::Reconnected => {
            many.send_replace(());
            any.send_replace(());
            if *hint == Hint::Reconnected {
                access.send_replace(());
            }
        }
        Hint::AccessEnded => {
            access.send_replace(());
        }
        Hint::Cancel(_)
        | Hint::Drain(_)
        | Hint::Dependents
        | Hint::Backlog
        | Hint::Parked
        | Hint::HoldBack(_) => {}
    }
}
