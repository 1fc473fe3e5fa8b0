//! Failures of Postgres, grouped by what the caller can do about them.

use sqlx::migrate::MigrateError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot be reached, is starting, stopping or out of connections. Retry later.
    #[error("Postgres is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The connection broke during COMMIT, so the change may have been made. Repeat it with the
    /// same ids or idempotency key.
    #[error("the connection to Postgres broke during COMMIT, so the change may have been made: {0}")]
    CommitUnknown(#[source] sqlx::Error),
    /// A unique, foreign key or check constraint refused the change.
    #[error("the constraint {name} refused the change: {source}")]
    Constraint {
        /// The constraint's name in the migrations.
        name: String,
        /// The error of Postgres.
        #[source]
        source: sqlx::Error,
    },
    /// A deadlock, or a lock or statement timeout. Safe to retry.
    #[error("Postgres gave up waiting for a lock: {0}")]
    Contended(#[source] sqlx::Error),
    /// A row holds a value that this version cannot read.
    #[error("table {table}, column {column}: `{value}` cannot be converted")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The value, cut to 100 characters.
        value: String,
    },
    /// The schema could not be brought to this version.
    #[error("could not migrate the schema: {0}")]
    Migrate(#[source] MigrateError),
    /// The schema is older than this version needs.
    #[error(
        "the schema is at migration {found}, but this version needs migration {needed}. \
         Start an API of this version, which migrates the schema"
    )]
    Outdated {
        /// The newest migration of the schema, or 0.
        found: i64,
        /// The newest migration of this version.
        needed: i64,
    },
    /// Any other error, which is a bug in Callboard.
    #[error("unexpected error from Postgres: {0}")]
    Unexpected(#[source] sqlx::Error),
}

impl StoreError {
    /// The error for a value that cannot be read.
    pub fn corrupt(table: &'static str, column: &'static str, value: &impl ToString) -> Self {
        Self::Corrupt { table, column, value: value.to_string().chars().take(100).collect() }
    }

    /// Whether a retry may succeed, without the risk of making the change twice.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Contended(_) => true,
            Self::CommitUnknown(_)
            | Self::Constraint { .. }
            | Self::Corrupt { .. }
            | Self::Migrate(_)
            | Self::Outdated { .. }
            | Self::Unexpected(_) => false,
        }
    }

    /// The name of the constraint that refused the change, if any.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Constraint { name, .. } => Some(name),
            Self::Unavailable(_)
            | Self::CommitUnknown(_)
            | Self::Contended(_)
            | Self::Corrupt { .. }
            | Self::Migrate(_)
            | Self::Outdated { .. }
            | Self::Unexpected(_) => None,
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum, and it may grow")]
        match error {
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)
                if is_outage(&source) =>
            {
                Self::Unavailable(source)
            }
            other => Self::Migrate(other),
        }
    }
}

/// Whether the connection failed.
const fn is_outage(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
    )
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        let Some(database) = source.as_database_error() else {
            return if is_outage(&source) { Self::Unavailable(source) } else { Self::Unexpected(source) };
        };
        let code = database.code().unwrap_or_default().into_owned();
        let constraint = database.constraint().map(str::to_owned);
        match (code.get(..2).unwrap_or_default(), code.as_str()) {
            ("23", _) => Self::Constraint { name: constraint.unwrap_or_default(), source },
            // Deadlock, serialization failure, lock timeout, statement timeout.
            (_, "40P01" | "40001" | "55P03" | "57014") => Self::Contended(source),
            // Connection exceptions, insufficient resources, operator intervention (shutdown,
            // starting up), and a transaction that was idle for too long.
            ("08" | "53" | "57", _) | (_, "25P03") => Self::Unavailable(source),
            _ => Self::Unexpected(source),
        }
    }
}
