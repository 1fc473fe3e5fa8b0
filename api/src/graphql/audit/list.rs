//! The query `auditEvents`.

use async_graphql::{Context, ID, InputObject, Object, Result};
use callboard::{
    clock::Time,
    store::audit::{self, Filter, PageRequest},
};
use chrono::Datelike as _;
use uuid::Uuid;

use super::{AuditEvent, AuditEventConnection, AuditOutcome, action};
use crate::{
    cursor::{Cursor, Keyset},
    graphql::{
        job::DateTimeRange,
        page::{PAGE_MAX, Page},
        reads,
    },
};

/// Selects entries of the audit. An absent or null field matches any entry. Several fields must all
/// match.
#[derive(Debug, Clone, Default, InputObject)]
pub struct AuditFilter {
    /// Entries of the key with this name.
    pub actor: Option<String>,
    /// Entries of the object with this id. A queue is found by its name.
    pub object_id: Option<ID>,
    /// Entries of this mutation, or of another field of Query, Mutation or Subscription that was
    /// refused, or `signIn`, `further`, `audit` or `keys rotate-master`. Refused if it is none of
    /// them.
    pub action: Option<String>,
    /// Entries with this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Entries within this range.
    pub at: Option<DateTimeRange>,
}

/// A position in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AuditCursor(audit::Place);

/// A position as a cursor: `a`, the time in microseconds, and the id.
type Written = Keyset<(char, i64, Uuid)>;

impl Cursor for AuditCursor {
    fn encode(&self) -> String {
        Written::encode(&Keyset(('a', self.0.0.timestamp_micros(), self.0.1.uuid())))
    }

    fn decode(text: &str) -> Option<Self> {
        let Keyset(('a', micros, id)) = Written::decode(text)? else { return None };
        // Postgres stores no time that is much further away.
        let at = Time::from_timestamp_micros(micros).filter(|at| (0..=9999).contains(&at.year()))?;
        Some(Self((at, id.into())))
    }
}

/// The query field of the audit.
#[derive(Debug, Default, Clone, Copy)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// Returns the audit, newest first. Requires an ADMIN key.
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Returns only entries that match. Absent or null returns all.")] filter: Option<
            AuditFilter,
        >,
    ) -> Result<AuditEventConnection> {
        let page: Page<AuditCursor> = Page::parse((first, after), (last, before), PAGE_MAX)?;
        let filter = filter.unwrap_or_default();
        let at = filter.at.unwrap_or_default();
        if let Some(action) = &filter.action {
            action::check(action)?;
        }
        let request = PageRequest {
            filter: Filter {
                actor: filter.actor,
                object: filter.object_id.map(|id| id.0),
                action: filter.action,
                outcome: filter.outcome.map(Into::into),
                since: at.gte.map(|time| time.0),
                until: at.lt.map(|time| time.0),
            },
            after: page.after.map(|cursor| cursor.0),
            before: page.before.map(|cursor| cursor.0),
            is_from_end: page.is_from_end,
            rows: page.rows(),
        };
        let mut connection = reads::connection(ctx).await?;
        let rows = audit::page(&mut connection, &request).await?;
        drop(connection);
        let (rows, bounds) = page.cut(rows);
        let items = rows.into_iter().map(|row| (AuditCursor((row.at, row.id)).encode(), AuditEvent(row)));
        Ok(AuditEventConnection::new(items, bounds, None))
    }
}
