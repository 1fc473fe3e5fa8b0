//! Startup: chooses the cryptography of TLS, waits for Postgres and Redis, logs what is missing,
//! and gives up after a limit.
//!
//! Later outages are handled by each part itself.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::{store::Store, transport::Redis};

/// Pause between two tries.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a warning is logged.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Longest time of one try, because a frozen server accepts connections and never responds.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Postgres or Redis did not respond in time.
#[derive(Debug, thiserror::Error)]
#[error("{what} did not respond within {seconds} s, giving up: {why}")]
pub struct NotThere {
    what: String,
    seconds: u64,
    why: String,
}

/// Chooses ring for every TLS connection of this process. Must come before the first HTTP client is
/// built, which panics otherwise. May be called again. [`http_client`] does it.
pub fn choose_tls() {
    // An error says that this process has chosen already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// A `reqwest::ClientBuilder`, with the cryptography of TLS chosen. Every HTTP client begins with
/// it. A macro, so that only what makes requests depends on an HTTP client.
#[macro_export]
macro_rules! http_client {
    () => {{
        $crate::startup::choose_tls();
        reqwest::Client::builder()
    }};
}
pub use http_client;

/// Waits until both respond. Logs every few seconds which one is missing, where it should be, and
/// why.
pub async fn wait(store: &Store, redis: &Redis, limit: Duration) -> Result<(), NotThere> {
    let postgres = wait_for_postgres(store, limit);
    let redis_is_at = format!("Redis at {} (REDIS_URL)", redis.address());
    let redis =
        wait_for(redis_is_at, limit, || async { redis.reach().await.map_err(|error| describe(&error)) });
    tokio::try_join!(postgres, redis).map(|_| ())
}

/// Waits until Postgres responds, for what does without Redis.
pub async fn wait_for_postgres(store: &Store, limit: Duration) -> Result<(), NotThere> {
    let what = format!("Postgres at {} (DATABASE_URL)", store.address());
    wait_for(what, limit, || async { store.reach().await.map_err(|error| error.to_string()) }).await
}

async fn wait_for<F, Fut>(what: String, limit: Duration, look: F) -> Result<(), NotThere>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let until = Instant::now() + limit;
    let mut tell_at = Instant::now();
    loop {
        let why = match timeout(LOOK_MAX.min(limit), look()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => "it accepts connections but does not respond".to_owned(),
        };
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

/// An error with its causes, each once, because some repeat the text of theirs.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
