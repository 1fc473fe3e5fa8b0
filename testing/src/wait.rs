//! Waiting with a bound, and ports that nobody uses.

use std::{
    fmt,
    net::{Ipv4Addr, TcpListener},
    panic::Location,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long to sleep between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// What a look at something can say: `bool`, or the thing itself as an `Option`.
pub trait Outcome {
    /// What there is when it is there.
    type Value;

    /// The value if the wait is over.
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

/// Looks every few milliseconds until there is something, and panics when the limit has passed.
///
/// A look that hangs counts too: it is dropped at the limit.
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
        let late = || anyhow::anyhow!("not within {:?}, awaited at {caller}", start.elapsed());
        crate::must(seen.map_err(|_| late()))
    }
}

/// Ends at once, but for the last half minute of a day (UTC): then at midnight. For tests of what is counted by day.
#[expect(clippy::disallowed_methods, reason = "the tests' servers have the same clock")]
pub async fn within_a_day() {
    const DAY: u64 = 24 * 60 * 60;
    eventually(Duration::from_mins(1), || async {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs() % DAY < DAY - 30
    })
    .await;
}

/// A loopback port that was free a moment ago.
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
