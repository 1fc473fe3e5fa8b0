//! What the tests of every crate stand on: Postgres and Redis, waiting, and processes that end with their test.
//!
//! * [`Database`] is a fresh database with the current schema, dropped at the end of its scope.
//! * [`redis_url`] and [`redis_prefix`] are a place of one's own in the Redis that all tests share.
//! * [`private_postgres`] and [`private_redis`] are servers of one test's own, to stop, kill and freeze; [`redis_cli`] asks one.
//! * [`eventually`] waits for something, [`within_a_day`] for midnight to be over, [`free_port`] finds a port, [`Child`] ends a process with its scope.
//!
//! The servers that the tests share are named by `CALLBOARD_TEST_DATABASE_URL` and `CALLBOARD_TEST_REDIS_URL`;
//! `script/test` sets both. Where they are not set, a test process starts servers of its own, which end with it
//! however it ends (`home.rs`). Whatever goes wrong here panics, with the reason: there is no test without it.
//!
//! Knows nothing of Callboard but its migrations, so that every crate can use it.

mod child;
mod database;
mod home;
mod postgres;
mod redis;
mod server;
mod wait;

pub use self::{
    child::Child,
    database::Database,
    postgres::private_postgres,
    redis::{private_redis, redis_cli, redis_prefix, redis_url},
    server::Server,
    wait::{Outcome, eventually, free_port, within_a_day},
};

/// The value, or the end of the test.
#[track_caller]
#[expect(clippy::panic, reason = "without its servers a test can only fail")]
fn must<T>(result: anyhow::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:#}"),
    }
}

/// Sixteen random hexadecimal digits.
fn random_name() -> anyhow::Result<String> {
    use std::{fmt::Write as _, io::Read as _};
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes.iter().try_fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}")?;
        Ok(name)
    })
}

/// Runs what blocks where it does not hold up the code under test.
async fn unblocked<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> T {
    must(tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from).flatten())
}
