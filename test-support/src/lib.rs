//! The base of every crate's tests: Postgres and Redis, waiting, and processes that end with their
//! test.
//!
//! * [`Database`] is a fresh database with the current schema, dropped at the end of its scope.
//! * [`redis_url`] is the Redis that all tests share, and [`redis_prefix`] is one test's own part
//!   of it.
//! * [`private_postgres`] and [`private_redis`] are one test's own servers to stop, kill and
//!   freeze. [`redis_cli`] queries one.
//! * [`eventually`] waits for a condition, [`within_a_day`] avoids midnight, [`free_port`] finds a
//!   port, and [`Child`] ends a process with its scope.
//! * [`script`] writes a program, and [`fuzz`] makes values for fuzz targets.
//!
//! `CALLBOARD_TEST_DATABASE_URL` and `CALLBOARD_TEST_REDIS_URL` name the shared servers, and
//! `script/test` sets both. Where they are not set, a test process starts its own servers, which
//! end with it however it ends (`home.rs`). A fault here panics with the reason, because no test
//! can run without these servers.
//!
//! Knows nothing of Callboard but its migrations, so that every crate can use it.

mod child;
mod database;
pub mod fuzz;
mod home;
mod postgres;
mod redis;
mod script;
mod server;
mod wait;

pub use self::{
    child::Child,
    database::Database,
    postgres::private_postgres,
    redis::{private_redis, redis_cli, redis_monitor, redis_prefix, redis_url},
    script::script,
    server::Server,
    wait::{Outcome, eventually, free_port, within_a_day},
};

/// Returns the value, or ends the test with the error.
#[track_caller]
#[expect(clippy::panic, reason = "without its servers a test can only fail")]
fn must<T>(result: anyhow::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:#}"),
    }
}

/// Returns sixteen random hexadecimal digits.
fn random_name() -> anyhow::Result<String> {
    use std::{fmt::Write as _, io::Read as _};
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes.iter().try_fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}")?;
        Ok(name)
    })
}

/// Runs blocking work where it does not hold up the code under test.
async fn unblocked<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> T {
    must(tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from).flatten())
}
