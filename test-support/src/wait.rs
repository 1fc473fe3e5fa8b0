//! Waits with a bound, and free ports.

use std::{
    fmt,
    net::{Ipv4Addr, TcpListener},
    panic::Location,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Pause between two checks.
const PAUSE: Duration = Duration::from_millis(5);

/// The result of a check: `bool`, or the awaited value as an `Option` or a `Result`.
pub trait Outcome {
    /// The value that the wait returns.
    type Value;

    /// Returns the value if the wait is over.
    fn ready(self) -> Option<Self::Value>;
}

impl Outcome for bool {
    type Value = ();

    fn ready(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn ready(self) -> Self {
        self
    }
}

impl<T, E: fmt::Debug> Outcome for Result<T, E> {
    type Value = T;

    fn ready(self) -> Option<T> {
        self.ok()
    }
}

/// Checks every few milliseconds until there is a value, and returns it. Panics once the limit has
/// passed.
///
/// A check that hangs is dropped at the limit.
#[track_caller]
pub fn eventually<L, F, O>(limit: Duration, mut look: L) -> impl Future<Output = O::Value>
where
    L: FnMut() -> F,
    F: Future<Output = O>,
    O: Outcome,
{
    let caller = Location::caller();
    let looking = async move {
        loop {
            if let Some(value) = look().await.ready() {
                return value;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    async move {
        let start = Instant::now();
        let seen = tokio::time::timeout(limit, looking).await;
        let late = || anyhow::anyhow!("timed out after {:?}, awaited at {caller}", start.elapsed());
        crate::must(seen.map_err(|_| late()))
    }
}

/// Returns at once, except in the last half minute of a day (UTC), when it waits for midnight. For
/// tests of daily counts.
#[expect(clippy::disallowed_methods, reason = "the tests' servers have the same clock")]
pub async fn within_a_day() {
    const DAY: u64 = 24 * 60 * 60;
    eventually(Duration::from_mins(1), || async {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs() % DAY < DAY - 30
    })
    .await;
}

/// Returns a loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let find = || Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port());
    crate::must(find())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_until_there_is_something() {
        let mut looks = 0;
        let found = eventually(Duration::from_secs(5), || {
            looks += 1;
            let found = (looks == 3).then_some("it");
            async move { found }
        });
        assert_eq!(found.await, "it");
        eventually(Duration::from_secs(5), || async { true }).await;
    }

    #[tokio::test]
    #[should_panic(expected = "wait.rs")]
    async fn says_who_waited_in_vain() {
        eventually(Duration::from_millis(20), std::future::pending::<bool>).await;
    }
}
