//! Postgres: the truth. The only folder with SQL, one file per family of tables.
//!
//! Functions take the connection of the caller's transaction and decide nothing; the steps decide. Row structs are
//! private: what leaves this folder are the types of ring 0 and plain records of it. Statements are written for
//! batches (`unnest`, `= ANY`), and lock rows in one order: jobs by id, then gates by key, then lanes.

pub mod catalogue;
mod columns;
mod error;
pub mod jobs;
pub mod limits;
pub mod maintenance;
pub mod queues;
mod values;
pub mod workers;

use std::{str::FromStr as _, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};

pub use error::StoreError;
use values::{array_literal, from_json, limits_of, optional_json, to_json};

/// The migrations of this version, in order; forward only.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// A connection inside a transaction, as the functions of this folder take it.
pub type Connection = sqlx::PgConnection;

/// A transaction of Postgres; rolled back when dropped.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// Longest that a statement may run, and that it may wait for a lock.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest that a transaction may do nothing. What it has locked is missed by everybody: a worker that is stopped in the middle
/// of a claim would hold up the claims of all others, and its own rescue.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// When Postgres plans a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planning {
    /// Once for each connection, whatever the values: for workers, whose few statements come again and again. To plan one for a batch of a
    /// job or two takes as long as to run it.
    Once,
    /// As Postgres sees fit, mostly at every call: for lists, whose filters differ from call to call.
    ByValue,
}

/// How to reach Postgres, as a pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// A pool of at most `connections_max`, which connects when it is first used.
    pub fn open(
        url: &SecretString,
        connections_max: u32,
        name: &str,
        planning: Planning,
    ) -> Result<Self, StoreError> {
        let timeout = |duration: Duration| duration.as_millis().to_string();
        let options = PgConnectOptions::from_str(url.expose_secret())?.application_name(name).options([
            ("statement_timeout", timeout(STATEMENT_TIMEOUT)),
            ("lock_timeout", timeout(LOCK_TIMEOUT)),
            ("idle_in_transaction_session_timeout", timeout(IDLE_TIMEOUT)),
            // A connection keeps the plan that it made when the queue was empty and small tables were best read
            // whole; a minute of a growing backlog would be read whole too, over and over.
            ("enable_seqscan", "off".to_owned()),
            // The price that this puts on a table without an index would have Postgres compile the statement.
            ("jit", "off".to_owned()),
            (
                "plan_cache_mode",
                match planning {
                    Planning::Once => "force_generic_plan".to_owned(),
                    Planning::ByValue => "auto".to_owned(),
                },
            ),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_secs(5))
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Starts a transaction.
    #[tracing::instrument(name = "db.begin", level = "debug", skip_all)]
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// A connection without a transaction: each statement commits by itself.
    #[tracing::instrument(name = "db.connection", level = "debug", skip_all)]
    pub async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// Connects, beside the pool: the pool would try again by itself and at last tell of its own patience only.
    #[tracing::instrument(name = "db.reach", level = "debug", skip_all)]
    pub async fn reach(&self) -> Result<(), StoreError> {
        let connection = PgConnection::connect_with(&self.pool.connect_options()).await?;
        Ok(connection.close().await?)
    }

    /// Where Postgres is: host and port.
    pub fn address(&self) -> String {
        let options = self.pool.connect_options();
        format!("{}:{}", options.get_host(), options.get_port())
    }

    /// Asks Postgres for a sign of life.
    #[tracing::instrument(name = "db.ping", level = "debug", skip_all)]
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Brings the schema to this version. Safe to run from many processes at once: an advisory lock queues them.
    #[tracing::instrument(name = "db.migrate", level = "debug", skip_all)]
    pub async fn migrate(&self) -> Result<(), StoreError> {
        MIGRATIONS.run(&self.pool).await.map_err(StoreError::from)
    }

    /// Whether the schema has every migration of this version; more is fine, since migrations only add.
    #[tracing::instrument(name = "db.schema_is_current", level = "debug", skip_all)]
    pub async fn schema_is_current(&self) -> Result<(), StoreError> {
        let needed = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        let mut connection = self.connection().await?;
        let is_there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await?;
        let mut found = 0;
        if is_there {
            let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
            found = sqlx::query_scalar(newest).fetch_one(&mut *connection).await?;
        }
        if found < needed { Err(StoreError::Outdated { found, needed }) } else { Ok(()) }
    }

    /// Closes the pool; running transactions end first.
    #[tracing::instrument(name = "db.close", level = "debug", skip_all)]
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Commits, and tells an unknown outcome (the connection broke while the answer was on its way) from a refusal.
#[tracing::instrument(name = "db.commit", level = "debug", skip_all)]
pub async fn commit(transaction: Transaction) -> Result<(), StoreError> {
    transaction.commit().await.map_err(|source| {
        if source.as_database_error().is_some() {
            StoreError::from(source)
        } else {
            StoreError::CommitUnknown(source)
        }
    })
}
