//! The audit. Rows are added with the changes that they tell of, read in pages, and removed when
//! they are old. A trigger refuses everything else.

use serde_json::Value;
use uuid::Uuid;

use super::{Connection, StoreError, array_literal, columns::query_rows};
use crate::{
    audit::{Entry, Outcome},
    clock::Time,
    ids::{ApiKeyId, AuditEventId, JobId},
};

/// How long before and after a job's id was made the entry of its enqueuing may be.
const ENQUEUE_WINDOW_SECS: f64 = 600.0;

/// An entry as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When it was, by the database's clock.
    pub at: Time,
    /// The name of who did it.
    pub actor: Option<String>,
    /// Their role, as stored.
    pub role: Option<String>,
    /// Their key in the catalogue.
    pub key: Option<ApiKeyId>,
    /// The address of the client: behind a trusted proxy, the one that the proxy names.
    pub address: Option<String>,
    /// How it came in.
    pub transport: Option<String>,
    /// The mutation, or `signIn`, or the field that was refused.
    pub action: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The kind of object.
    pub object_kind: Option<String>,
    /// The ids of the objects.
    pub object_ids: Vec<String>,
    /// The object's name.
    pub object_name: Option<String>,
    /// Objects of one call, or equal refusals of one moment.
    pub count: i32,
    /// The changed fields as they were.
    pub before: Option<Value>,
    /// The changed fields as they are.
    pub after: Option<Value>,
    /// The reason of a refusal.
    pub message: Option<String>,
}

/// Adds entries, in the transaction of what they tell of.
#[tracing::instrument(name = "db.audit.insert", level = "debug", skip_all)]
pub async fn insert(connection: &mut Connection, entries: &[Entry]) -> Result<(), StoreError> {
    query_rows!(
        query for entry in entries,
        "INSERT INTO audit_events (at, id, actor, role, key_id, address, transport, action, outcome, object_kind,
             object_id, object_name, job_ids, count, before, after, message)
         SELECT clock_timestamp() - make_interval(secs => ago), id, actor, role, key_id, address, transport, action, outcome, object_kind,
             object_id, object_name, job_ids::uuid[], count, before::jsonb, after::jsonb, message FROM",
        "entry" {
            "id": "uuid[]" = entry.id.uuid();
            "actor": "text[]" as Option<&str> = entry.actor.as_deref();
            "role": "text[]" as Option<&str> = entry.role;
            "key_id": "uuid[]" as Option<Uuid> = entry.key.map(Uuid::from);
            "address": "text[]" as Option<String> = entry.address.map(|address| address.to_string());
            "transport": "text[]" as Option<&str> = entry.transport;
            "action": "text[]" as &str = &entry.action;
            "outcome": "text[]" as &str = entry.outcome.as_str();
            "object_kind": "text[]" as Option<&str> = entry.object.kind;
            "object_id": "text[]" as Option<&str> = entry.object.id.as_deref();
            "object_name": "text[]" as Option<&str> = entry.object.name.as_deref();
            "job_ids": "text[]" as Option<String> = job_ids(entry);
            "count": "integer[]" = entry.count;
            "before": "text[]" as Option<String> = entry.change.before.as_ref().map(Value::to_string);
            "after": "text[]" as Option<String> = entry.change.after.as_ref().map(Value::to_string);
            "message": "text[]" as Option<&str> = entry.message.as_deref();
            "ago": "double precision[]" = entry.ago.as_secs_f64();
        },
        "",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds those of these entries that are not there yet. It is not known what became of an earlier
/// transaction with them, which began less than `within_secs` ago.
#[tracing::instrument(name = "db.audit.insert_missing", level = "debug", skip_all)]
pub async fn insert_missing(
    connection: &mut Connection,
    entries: &[Entry],
    within_secs: f64,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.id.uuid()).collect();
    let found = sqlx::query_scalar!(
        "SELECT id FROM audit_events
         WHERE at > clock_timestamp() - make_interval(secs => $1) AND id = ANY($2)",
        within_secs,
        &ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let missing: Vec<Entry> =
        entries.iter().filter(|entry| !found.contains(&entry.id.uuid())).cloned().collect();
    insert(connection, &missing).await
}

fn job_ids(entry: &Entry) -> Option<String> {
    let ids = entry.jobs.iter().map(|job| job.uuid().to_string());
    (!entry.jobs.is_empty()).then(|| array_literal(ids))
}

/// A place in the list.
pub type Place = (Time, AuditEventId);

/// Which entries to list. An entry must match every field that is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The name of who did it.
    pub actor: Option<String>,
    /// The public id of the object, or its name if it has no id.
    pub object: Option<String>,
    /// The mutation, or another action.
    pub action: Option<String>,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// At or after this time.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
}

/// A page of the list, which is in the order of time, newest first.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// Which entries.
    pub filter: Filter,
    /// Only entries after this place in the list, which are older.
    pub after: Option<Place>,
    /// Only entries before this place in the list, which are newer.
    pub before: Option<Place>,
    /// Whether to read from the end of the list, which also reverses the rows.
    pub is_from_end: bool,
    /// Most rows.
    pub rows: i64,
}

/// The parts of a page that every statement has: all entries between two places, both excluded.
struct Bounds<'a> {
    lower: (Time, Uuid),
    upper: (Time, Uuid),
    action: Option<&'a str>,
    actor: Option<&'a str>,
    outcome: Option<&'a str>,
}

impl<'a> Bounds<'a> {
    fn of(request: &'a PageRequest) -> Self {
        let filter = &request.filter;
        let place = |place: &Place| (place.0, place.1.uuid());
        let least = (Time::UNIX_EPOCH, Uuid::nil());
        let most = (Time::UNIX_EPOCH + chrono::Days::new(365 * 1000), Uuid::max());
        // Nothing has the greatest id, so that all of its millisecond's neighbours are within.
        let since = filter.since.map(|since| (since - chrono::Duration::microseconds(1), Uuid::max()));
        let until = filter.until.map(|until| (until, Uuid::nil()));
        Self {
            lower: since.into_iter().chain(request.before.as_ref().map(place)).max().unwrap_or(least),
            upper: until.into_iter().chain(request.after.as_ref().map(place)).min().unwrap_or(most),
            action: filter.action.as_deref(),
            actor: filter.actor.as_deref(),
            outcome: filter.outcome.map(Outcome::as_str),
        }
    }
}

/// A page over one to three legs, each with its own condition, which an index has. `$1` to `$9` are
/// the bounds, and the arguments follow. Each leg reads in the order of its index, so that a page
/// reads little more than its rows, however many entries there are.
macro_rules! page_of {
    ($request:ident, $bounds:ident, [$first:literal $(, $more:literal)*] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"WITH leg AS NOT MATERIALIZED ("# + $first $(+ " UNION ALL " + $more)* + r#"
             ), page AS (
                 (SELECT * FROM leg WHERE NOT $8::boolean AND (at, id) > ($1::timestamptz, $2::uuid)
                      AND (at, id) < ($3::timestamptz, $4::uuid)
                      AND ($5::text IS NULL OR action = $5) AND ($6::text IS NULL OR actor = $6)
                      AND ($7::text IS NULL OR outcome = $7)
                  ORDER BY at DESC, id DESC LIMIT $9)
                 UNION ALL
                 (SELECT * FROM leg WHERE $8 AND (at, id) > ($1, $2) AND (at, id) < ($3, $4)
                      AND ($5 IS NULL OR action = $5) AND ($6 IS NULL OR actor = $6)
                      AND ($7 IS NULL OR outcome = $7)
                  ORDER BY at, id LIMIT $9)
             )
             SELECT id AS "id!", at AS "at!", actor, role, key_id, address, transport,
                 action AS "action!", outcome AS "outcome!", object_kind, object_id, object_name, job_ids,
                 count AS "count!", before, after, message FROM page"#,
            $bounds.lower.0,
            $bounds.lower.1,
            $bounds.upper.0,
            $bounds.upper.1,
            $bounds.action,
            $bounds.actor,
            $bounds.outcome,
            $request.is_from_end,
            $request.rows,
            $($argument,)*
        )
    };
}

/// Reads one page, in the direction of reading.
#[tracing::instrument(name = "db.audit.page", level = "debug", skip_all)]
pub async fn page(connection: &mut Connection, request: &PageRequest) -> Result<Vec<AuditEvent>, StoreError> {
    let Filter { actor, object, action, .. } = &request.filter;
    if [actor, object, action].into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok(Vec::new());
    }
    let bounds = Bounds::of(request);
    // A plan that is made once for any values reads all entries to find those of a rare one.
    let mut transaction = sqlx::Connection::begin(connection).await?;
    sqlx::query!("SET LOCAL plan_cache_mode = force_custom_plan").execute(&mut *transaction).await?;
    let mut rows = match (object, actor, action) {
        (Some(object), ..) => match object.parse::<JobId>() {
            Ok(job) => {
                let made = job.uuid().get_timestamp().map_or(0.0, |made| made.to_unix().0 as f64);
                let job = page_of!(
                    request,
                    bounds,
                    [
                        "SELECT * FROM audit_events WHERE object_id = $10",
                        "SELECT * FROM audit_events WHERE job_ids @> ARRAY[$11::uuid]
                         AND action IN ('jobEnqueue', 'jobsEnqueue')
                         AND at BETWEEN to_timestamp($12::float8 - $13::float8) AND to_timestamp($12 + $13)",
                        // OFFSET keeps the planner from reading in the order of time.
                        "(SELECT * FROM audit_events WHERE job_ids @> ARRAY[$11]
                         AND job_ids IS NOT NULL AND action NOT IN ('jobEnqueue', 'jobsEnqueue') OFFSET 0)"
                    ],
                    object,
                    job.uuid(),
                    made,
                    ENQUEUE_WINDOW_SECS,
                );
                job.fetch_all(&mut *transaction).await?
            }
            Err(_) => {
                page_of!(request, bounds, ["SELECT * FROM audit_events WHERE object_id = $10"], object)
                    .fetch_all(&mut *transaction)
                    .await?
            }
        },
        (None, Some(actor), _) => {
            page_of!(request, bounds, ["SELECT * FROM audit_events WHERE actor = $10"], actor)
                .fetch_all(&mut *transaction)
                .await?
        }
        (None, None, Some(action)) => {
            page_of!(request, bounds, ["SELECT * FROM audit_events WHERE action = $10"], action)
                .fetch_all(&mut *transaction)
                .await?
        }
        (None, None, None) => {
            page_of!(request, bounds, ["SELECT * FROM audit_events"]).fetch_all(&mut *transaction).await?
        }
    };
    transaction.commit().await?;
    // Postgres does not promise the order of what it reads from the legs.
    rows.sort_by_key(|row| (row.at, row.id));
    if !request.is_from_end {
        rows.reverse();
    }
    rows.into_iter().map(Row::read).collect()
}

/// Removes at most `most` entries from before this time, oldest first. Returns how many.
#[tracing::instrument(name = "db.audit.delete_old", level = "debug", skip_all)]
pub async fn delete_old(connection: &mut Connection, before: Time, most: i64) -> Result<u64, StoreError> {
    let deleted = sqlx::query!(
        "WITH old AS (
             SELECT at, id FROM audit_events WHERE at < $1 ORDER BY at, id LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         DELETE FROM audit_events USING old WHERE audit_events.at = old.at AND audit_events.id = old.id",
        before,
        most
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

struct Row {
    id: Uuid,
    at: Time,
    actor: Option<String>,
    role: Option<String>,
    key_id: Option<Uuid>,
    address: Option<String>,
    transport: Option<String>,
    action: String,
    outcome: String,
    object_kind: Option<String>,
    object_id: Option<String>,
    object_name: Option<String>,
    job_ids: Option<Vec<Uuid>>,
    count: i32,
    before: Option<Value>,
    after: Option<Value>,
    message: Option<String>,
}

impl Row {
    fn read(self) -> Result<AuditEvent, StoreError> {
        let outcome = Outcome::parse(&self.outcome)
            .ok_or_else(|| StoreError::corrupt("audit_events", "outcome", &self.outcome))?;
        let jobs = self.job_ids.into_iter().flatten().map(|id| JobId::from(id).to_string());
        Ok(AuditEvent {
            id: self.id.into(),
            at: self.at,
            actor: self.actor,
            role: self.role,
            key: self.key_id.map(ApiKeyId::from),
            address: self.address,
            transport: self.transport,
            action: self.action,
            outcome,
            object_kind: self.object_kind,
            object_ids: self.object_id.into_iter().chain(jobs).collect(),
            object_name: self.object_name,
            count: self.count,
            before: self.before,
            after: self.after,
            message: self.message,
        })
    }
}
