//! References to ready jobs and hints in Redis, which are never the truth and can be rebuilt.
//!
//! Anything here may vanish or come twice, and Postgres decides. Only this folder names redis, and
//! in the core only [`queue`] names apalis. Nothing but ids, queue names and numbers is sent.

mod hints;
pub mod queue;
mod ready;

use std::{sync::Arc, time::Duration};

use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};
use secrecy::{ExposeSecret as _, SecretString};

pub use hints::{HINT_JOBS_MAX, Hint, HintStream};
pub use ready::ReadySet;

/// How long Redis may take to respond to a command that does not block.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a blocking pop waits inside Redis. Bounds the time until a stop is noticed.
pub(crate) const BLOCK: Duration = Duration::from_secs(2);

/// Redis failed. The caller goes on without it, because Postgres has the truth.
#[derive(Debug, thiserror::Error)]
#[error("Redis is not available")]
pub struct RedisError(#[from] redis::RedisError);

/// A client of Redis. Cheap to clone, reconnects by itself.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    connection: ConnectionManager,
    prefix: Arc<str>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Redis {
    /// Connects on first use. All keys and channels begin with `prefix`. Must be called inside
    /// Tokio.
    pub fn open(url: &SecretString, prefix: &str) -> Result<Self, RedisError> {
        let client = Client::open(url.expose_secret())?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self { client, connection, prefix: prefix.into() })
    }

    /// Pings Redis over the shared connection.
    pub async fn ping(&self) -> Result<(), RedisError> {
        let _: String = redis::cmd("PING").query_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    /// Pings Redis over a new connection.
    pub async fn reach(&self) -> Result<(), RedisError> {
        let mut connection = self.blocking_connection().await?;
        let _: String = redis::cmd("PING").query_async(&mut connection).await?;
        Ok(())
    }

    /// Host and port of Redis.
    pub fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// A connection of its own for commands that block inside Redis.
    async fn blocking_connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(BLOCK + RESPONSE_TIMEOUT));
        Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
    }
}
