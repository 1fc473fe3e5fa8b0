//! Failures of Postgres, grouped by what the caller can do about them.

use sqlx::migrate::MigrateError;

use super::outage;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot be reached, is starting, stopping, read-only, or out of connections, memory
    /// or disk. Retry later.
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
    #[error("Postgres gave up on a statement that took too long or waited for a lock: {0}")]
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

    /// Whether Postgres itself refused the change for now, so that it was certainly not made. A
    /// broken connection says nothing about a statement that was on its way.
    pub fn is_refused_for_now(&self) -> bool {
        match self {
            Self::Unavailable(source) | Self::Contended(source) => {
                matches!(source, sqlx::Error::PoolTimedOut) || is_refusal(source)
            }
            Self::CommitUnknown(_)
            | Self::Constraint { .. }
            | Self::Corrupt { .. }
            | Self::Migrate(_)
            | Self::Outdated { .. }
            | Self::Unexpected(_) => false,
        }
    }

    /// For a statement that commits by itself: if the connection broke, it may have been committed.
    pub(crate) fn of_commit(self) -> Self {
        match self {
            Self::Unavailable(source) | Self::Contended(source) if !is_refusal(&source) => {
                Self::CommitUnknown(source)
            }
            other @ (Self::Unavailable(_)
            | Self::CommitUnknown(_)
            | Self::Contended(_)
            | Self::Constraint { .. }
            | Self::Corrupt { .. }
            | Self::Migrate(_)
            | Self::Outdated { .. }
            | Self::Unexpected(_)) => other,
        }
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

/// Whether Postgres itself said that a statement was not carried out. A pooler in front of it
/// reports with class 08 that it has lost its server, and does not know what the server has done.
/// 40003 says so itself.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| !is_unknown(&error.code().unwrap_or_default()))
}

fn is_unknown(code: &str) -> bool {
    code.starts_with("08") || code == "40003"
}

/// What Postgres says with a SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorClass {
    /// A constraint refused the change.
    Constraint,
    /// Other transactions were in the way.
    Contended,
    /// This connection is of no use any more: its server stops, or has become a read-only standby.
    Gone,
    /// The server can serve again later, also on this connection.
    Unavailable,
    /// A bug.
    Unexpected,
}

/// Classifies a SQLSTATE (appendix A of the manual of Postgres) by what the caller can do about it.
fn class(code: &str) -> ErrorClass {
    match (code.get(..2).unwrap_or_default(), code) {
        ("23", _) => ErrorClass::Constraint,
        // Deadlocks and serialization failures; lock, statement and transaction timeouts.
        ("40", _) | (_, "55P03" | "57014" | "25P04") => ErrorClass::Contended,
        // Connection exceptions, a shutdown or a start, and a read-only transaction: the server is
        // not, or no longer, the primary.
        ("08" | "57", _) | (_, "25006") => ErrorClass::Gone,
        // Insufficient resources, errors of the system below Postgres, and a transaction that was
        // idle for too long.
        ("53" | "58", _) | (_, "25P03") => ErrorClass::Unavailable,
        _ => ErrorClass::Unexpected,
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        let Some(database) = source.as_database_error() else {
            if !is_outage(&source) {
                return Self::Unexpected(source);
            }
            // Of the pool, not of a connection.
            if !matches!(source, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) {
                outage::note();
            }
            return Self::Unavailable(source);
        };
        let constraint = database.constraint().map(str::to_owned);
        match class(&database.code().unwrap_or_default()) {
            ErrorClass::Constraint => Self::Constraint { name: constraint.unwrap_or_default(), source },
            ErrorClass::Contended => Self::Contended(source),
            ErrorClass::Gone => {
                outage::note();
                Self::Unavailable(source)
            }
            ErrorClass::Unavailable => Self::Unavailable(source),
            ErrorClass::Unexpected => Self::Unexpected(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooler_that_lost_its_server_does_not_know_what_was_done() {
        for (codes, expected) in [
            (&["08000", "08003", "08006", "08007", "08P01", "40003"][..], true),
            (&["25006", "57P01", "57P03", "53300", "40001", "40P01", "55P03", "57014", "23505"], false),
        ] {
            for code in codes {
                assert_eq!(is_unknown(code), expected, "{code}");
            }
        }
    }

    #[test]
    fn what_can_pass_is_told_from_what_cannot() {
        for (codes, expected) in [
            (&["23505", "23503", "23514"][..], ErrorClass::Constraint),
            (&["40001", "40P01", "40003", "55P03", "57014", "25P04"], ErrorClass::Contended),
            (
                &["25006", "57P01", "57P02", "57P03", "57P05", "08000", "08003", "08006", "08P01"],
                ErrorClass::Gone,
            ),
            (
                &["53000", "53100", "53200", "53300", "53400", "58000", "58030", "58P01", "25P03"],
                ErrorClass::Unavailable,
            ),
            (&["22021", "22P02", "42P01", "42501", "25P02", "XX000", "", "0"], ErrorClass::Unexpected),
        ] {
            for code in codes {
                assert_eq!(class(code), expected, "{code}");
            }
        }
    }
}
