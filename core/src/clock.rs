//! Time, randomness and new ids, all passed in as values.
//!
//! Only this file may ask the machine for the time, for randomness or for a new id. All other code
//! takes a [`Time`] or an [`IdSource`]. Leases and `run_at` are compared with the database's clock
//! (`clock_timestamp()`), never with this one, because machines disagree.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

/// An instant, in UTC.
pub type Time = DateTime<Utc>;

/// RFC 3339 in UTC, with milliseconds.
pub fn written(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The machine's wall clock. For display, ids and signatures, never for leases.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Time {
    Utc::now()
}

/// Makes ids that sort by time.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdSource;

impl IdSource {
    /// A new id of any kind, for example `ids.make::<JobId>()`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes ids")]
    pub fn make<Id: From<Uuid>>(&self) -> Id {
        Id::from(Uuid::now_v7())
    }
}

/// A number in `0.0..1.0`, for jitter. Passed into pure functions, never called by them.
#[expect(clippy::disallowed_methods, reason = "this is the one place that draws random numbers")]
pub fn random_fraction() -> f64 {
    rand::random::<f64>()
}

/// The duration, up to a quarter shorter or longer, so that processes with the same period spread
/// out.
pub fn jittered(around: Duration) -> Duration {
    around.mul_f64(0.75 + random_fraction() / 2.0)
}

/// `N` bytes from the system's secure generator, for keys, nonces and passwords.
///
/// # Panics
///
/// If the system has no randomness, because then no secret would be safe.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    use rand::TryRngCore as _;
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without a source of randomness no secret is safe: stop")]
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).expect("the system's random generator works");
    bytes
}
