//! Waiting for Postgres and Redis at the start of a process: patiently, audibly, and not for ever.
//!
//! Called by both `main`s. While running, each part deals with outages by itself.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{store::Store, transport::Redis};

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the wait is told.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Nobody answered in time.
#[derive(Debug, thiserror::Error)]
#[error("{what} did not answer within {seconds} s: {why}")]
pub struct NotThere {
    what: &'static str,
    seconds: u64,
    why: String,
}

/// Waits until both answer, telling every few seconds what is missing.
pub async fn wait(store: &Store, redis: &Redis, limit: Duration) -> Result<(), NotThere> {
    let until = Instant::now() + limit;
    let postgres = wait_for("Postgres (DATABASE_URL)", until, limit, || async {
        store.ping().await.map_err(|error| describe(&error))
    });
    let redis = wait_for("Redis (REDIS_URL)", until, limit, || async {
        redis.ping().await.map_err(|error| describe(&error))
    });
    tokio::try_join!(postgres, redis).map(|_| ())
}

async fn wait_for<F, Fut>(
    what: &'static str,
    until: Instant,
    limit: Duration,
    look: F,
) -> Result<(), NotThere>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let mut tell_at = Instant::now();
    loop {
        let Err(why) = look().await else { return Ok(()) };
        if Instant::now() >= until {
            return Err(NotThere { what, seconds: limit.as_secs(), why });
        }
        if Instant::now() >= tell_at {
            tracing::warn!("waiting for {what}: {why}");
            tell_at = Instant::now() + TELL_EVERY;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
