//! Redis: references to ready jobs, and hints that something changed. Rebuildable, never the truth.
//!
//! Anything here may vanish or come twice; Postgres decides. The only folder that names redis, and [`queue`] is the
//! only file of the core that names apalis. Nothing but ids and queue names is ever sent.

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

/// Longest that Redis may take to answer a command that does not block.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest that a blocking pop waits inside Redis; bounds how long a stop takes to be noticed.
pub(crate) const BLOCK: Duration = Duration::from_secs(2);

/// Redis did not do what was asked. The caller goes on without: Postgres has the truth.
#[derive(Debug, thiserror::Error)]
#[error("Redis is not available")]
pub struct RedisError(#[from] redis::RedisError);

/// How to reach Redis. Cheap to clone; reconnects by itself.
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
    /// Connects when it is first used. All keys and channels begin with `prefix`. Must be called inside Tokio.
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

    /// Asks Redis for a sign of life.
    pub async fn ping(&self) -> Result<(), RedisError> {
        let _: String = redis::cmd("PING").query_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    /// Connects anew and asks for a sign of life.
    pub async fn reach(&self) -> Result<(), RedisError> {
        let mut connection = self.blocking_connection().await?;
        let _: String = redis::cmd("PING").query_async(&mut connection).await?;
        Ok(())
    }

    /// Where Redis is: host and port.
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
