//! Postgres, the source of truth: all SQL, one folder per family of tables.
//!
//! Functions take the connection of the caller's transaction and decide nothing. The steps decide.
//! Row structs are private: this folder returns the types of ring 0 and plain records of them.
//! Statements work on batches (`unnest`, `= ANY`) and lock rows in one order: jobs by id, then
//! gates by key, then lanes.

pub mod audit;
pub mod catalogue;
mod columns;
mod error;
pub mod jobs;
pub mod limits;
pub mod maintenance;
mod outage;
pub mod queues;
mod reach;
mod values;
pub mod workers;

use std::time::Duration;

use secrecy::SecretString;
use sqlx::{
    Connection as _, PgConnection,
    postgres::{PgPool, PgPoolOptions},
};

pub use error::StoreError;
pub use reach::{BadUrl, Unreachable};
use values::{array_literal, from_json, limits_of, optional_json, to_json};

/// The migrations of this version, in order. They only go forward.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// A connection, mostly inside of a transaction, that the functions of this folder run on.
pub type Connection = sqlx::PgConnection;

/// A connection that goes back to its pool when dropped.
pub type PoolConnection = sqlx::pool::PoolConnection<sqlx::Postgres>;

/// A transaction. Rolled back when dropped.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// Longest that a statement may run.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest that a statement may wait for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest that a transaction may be idle. A worker that is suspended in the middle of a claim
/// would otherwise block all other claims, and its own rescue, with the rows that it has locked.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a connection. The pool pauses for up to a fifth of it between two attempts to
/// connect, and has to notice within a second that Postgres is back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer is tested before it is used, for this long at most.
const TEST_AFTER: Duration = Duration::from_secs(1);
const TEST_TIMEOUT: Duration = Duration::from_millis(500);

/// When Postgres plans a prepared statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planning {
    /// Once per connection, whatever the values. For workers, which repeat a few statements: to
    /// plan one for a batch of a job or two takes as long as to run it.
    Once,
    /// When Postgres sees fit, mostly on each execution. For lists, whose filters vary.
    ByValue,
}

/// A pool of connections to Postgres. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// A pool of at most `connections_max` connections. It connects on first use.
    pub fn open(
        url: &SecretString,
        connections_max: u32,
        name: &str,
        planning: Planning,
    ) -> Result<Self, BadUrl> {
        let timeout = |duration: Duration| duration.as_millis().to_string();
        let options = reach::options(url)?.application_name(name).options([
            ("statement_timeout", timeout(STATEMENT_TIMEOUT)),
            ("lock_timeout", timeout(LOCK_TIMEOUT)),
            ("idle_in_transaction_session_timeout", timeout(IDLE_TIMEOUT)),
            // A connection keeps its plan. One made while the queue was empty would scan the whole
            // table, again and again, while the backlog grows.
            ("enable_seqscan", "off".to_owned()),
            // `enable_seqscan = off` adds a cost to tables without an index, which would trigger
            // JIT.
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
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| Box::pin(is_usable(connection, meta.age, meta.idle_for)))
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Starts a transaction.
    #[tracing::instrument(name = "db.begin", level = "debug", skip_all)]
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(Box::pin(self.pool.begin()).await?)
    }

    /// A connection without a transaction: each statement commits by itself.
    ///
    /// What acquires is boxed, because it is 4 KB and would be a part of all that takes a
    /// connection, up to each field of an answer.
    #[tracing::instrument(name = "db.connection", level = "debug", skip_all)]
    pub async fn connection(&self) -> Result<PoolConnection, StoreError> {
        Ok(Box::pin(self.pool.acquire()).await?)
    }

    /// Connects once, outside of the pool. The pool would retry by itself and report a timeout of
    /// its own instead of the cause.
    #[tracing::instrument(name = "db.reach", level = "debug", skip_all)]
    pub async fn reach(&self) -> Result<(), Unreachable> {
        reach::reach(&self.pool.connect_options()).await
    }

    /// Host and port of Postgres, or its socket.
    pub fn address(&self) -> String {
        reach::address(&self.pool.connect_options())
    }

    /// The name of the database.
    pub fn database(&self) -> String {
        let options = self.pool.connect_options();
        options.get_database().unwrap_or_else(|| options.get_username()).to_owned()
    }

    /// Checks that Postgres replies.
    #[tracing::instrument(name = "db.ping", level = "debug", skip_all)]
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Brings the schema to this version. Safe to run from several processes at once, because it
    /// takes an advisory lock.
    #[tracing::instrument(name = "db.migrate", level = "debug", skip_all)]
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        // An index of a large table takes minutes. A lock is still waited for only as long as ever.
        sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
        MIGRATIONS.run(&mut *connection).await?;
        // Without the setting, it may not go back to the pool.
        connection.close().await?;
        Ok(())
    }

    /// Fails with [`StoreError::Outdated`] if the schema lacks a migration of this version. A newer
    /// schema is fine, because migrations only add.
    #[tracing::instrument(name = "db.schema_is_current", level = "debug", skip_all)]
    pub async fn schema_is_current(&self) -> Result<(), StoreError> {
        let needed = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        let mut connection = self.connection().await?;
        let is_there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await?;
        let mut found = 0;
        if is_there {
            // Another program that uses sqlx may have this table for migrations of its own.
            let own: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
            let newest =
                "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success AND version = ANY($1)";
            found = sqlx::query_scalar(newest).bind(own).fetch_one(&mut *connection).await?;
        }
        if found < needed { Err(StoreError::Outdated { found, needed }) } else { Ok(()) }
    }

    /// Closes the pool after the running transactions have ended.
    #[tracing::instrument(name = "db.close", level = "debug", skip_all)]
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether a connection of the pool may be used. If not, the pool opens another one.
async fn is_usable(
    connection: &mut PgConnection,
    age: Duration,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    if outage::is_older(age) {
        return Ok(false);
    }
    if idle_for < TEST_AFTER {
        return Ok(true);
    }
    // The other end may have gone without a word.
    Ok(matches!(tokio::time::timeout(TEST_TIMEOUT, connection.ping()).await, Ok(Ok(()))))
}

/// Commits. Returns [`StoreError::CommitUnknown`] if a connection broke before Postgres replied,
/// because the transaction may have been committed.
#[tracing::instrument(name = "db.commit", level = "debug", skip_all)]
pub async fn commit(transaction: Transaction) -> Result<(), StoreError> {
    transaction.commit().await.map_err(|source| {
        if error::is_refusal(&source) { StoreError::from(source) } else { StoreError::CommitUnknown(source) }
    })
}
