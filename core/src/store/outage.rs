//! When this process last found that its connections to Postgres are of no use.
//!
//! After a failover the other connections of a pool are as useless as the one that failed: broken,
//! or open to a server that is read-only now. Each would fail once more, one request after the
//! other. So the pool replaces all that are older than the failure. One moment for the whole
//! process is enough, because all its pools are of one database.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Shortest time between two moments. While Postgres stays read-only, each would replace every
/// connection again.
const NOTE_EVERY: Duration = Duration::from_millis(250);

static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// Notes that a connection turned out to be of no use.
pub(super) fn note() {
    let mut last = LAST.lock();
    if last.is_none_or(|last| last.elapsed() >= NOTE_EVERY) {
        *last = Some(Instant::now());
    }
}

/// Whether a connection that was opened `age` ago is older than that.
pub(super) fn is_older(age: Duration) -> bool {
    LAST.lock().is_some_and(|last| last.elapsed() < age)
}
