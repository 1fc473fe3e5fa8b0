//! Everything that is sealed with the master key, wherever it is stored.
//!
//! A value is found by its head, the first five bytes, which name its format and its master key.

use uuid::Uuid;

use crate::{
    secret::{Owner, SealHead},
    store::{
        Connection, StoreError,
        columns::{query_rows, storable},
    },
};

/// A column that holds sealed values. A test compares them with the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedColumn {
    /// `profile_secrets.sealed`.
    ProfileSecret,
    /// `services.token_sealed`.
    ServiceToken,
    /// `proxies.username_sealed`.
    ProxyUsername,
    /// `proxies.password_sealed`.
    ProxyPassword,
    /// `schedules.input_sealed`.
    ScheduleInput,
    /// `jobs.input_sealed`.
    JobInput,
}

impl SealedColumn {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ProfileSecret,
        Self::ServiceToken,
        Self::ProxyUsername,
        Self::ProxyPassword,
        Self::ScheduleInput,
        Self::JobInput,
    ];

    /// The table and the column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProfileSecret => "profile_secrets.sealed",
            Self::ServiceToken => "services.token_sealed",
            Self::ProxyUsername => "proxies.username_sealed",
            Self::ProxyPassword => "proxies.password_sealed",
            Self::ScheduleInput => "schedules.input_sealed",
            Self::JobInput => "jobs.input_sealed",
        }
    }

    /// What the values are, for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ProfileSecret => "secrets of profiles",
            Self::ServiceToken => "tokens of services",
            Self::ProxyUsername => "user names of proxies",
            Self::ProxyPassword => "passwords of proxies",
            Self::ScheduleInput => "inputs of schedules",
            Self::JobInput => "inputs of jobs",
        }
    }

    /// Whose value it is.
    pub fn owner(self, place: &Place) -> Owner<'_> {
        let Place { id, name } = place;
        match self {
            Self::ProfileSecret => Owner::ProfileSecret((*id).into(), name),
            Self::ServiceToken => Owner::ServiceToken((*id).into()),
            Self::ProxyUsername => Owner::ProxyUsername((*id).into()),
            Self::ProxyPassword => Owner::ProxyPassword((*id).into()),
            Self::ScheduleInput => Owner::ScheduleInput((*id).into()),
            Self::JobInput => Owner::JobInput((*id).into()),
        }
    }
}

/// Where a value stands in its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The row's id. For a secret of a profile, the profile's.
    pub id: Uuid,
    /// The name of a profile's secret. Empty otherwise.
    pub name: String,
}

/// A sealed value and where it stands.
#[derive(Debug, Clone)]
pub struct SealedValue {
    /// Where it stands.
    pub place: Place,
    /// The value.
    pub sealed: Vec<u8>,
}

/// How many values of a column have a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadCount {
    /// The column.
    pub column: SealedColumn,
    /// The first bytes of the values. `None` for values that are too short to be sealed ones.
    pub head: Option<SealHead>,
    /// The number of values.
    pub values: u64,
}

/// Statements over a column of a table whose key is `id`.
macro_rules! by_column {
    ($column:expr, $statement:ident, $otherwise:expr) => {
        match $column {
            SealedColumn::ProfileSecret => $otherwise,
            SealedColumn::ServiceToken => $statement!("services" "token_sealed"),
            SealedColumn::ProxyUsername => $statement!("proxies" "username_sealed"),
            SealedColumn::ProxyPassword => $statement!("proxies" "password_sealed"),
            SealedColumn::ScheduleInput => $statement!("schedules" "input_sealed"),
            SealedColumn::JobInput => $statement!("jobs" "input_sealed"),
        }
    };
}

struct Counted {
    head: Vec<u8>,
    values: i64,
}

/// Counts the values of a column by their heads. Reads one entry of an index, or a small row, per
/// value.
#[tracing::instrument(name = "db.sealed.count", level = "debug", skip_all)]
pub async fn count(connection: &mut Connection, column: SealedColumn) -> Result<Vec<HeadCount>, StoreError> {
    macro_rules! counted {
        ($table:literal $sealed:literal) => {
            sqlx::query_as!(
                Counted,
                "SELECT substr("
                    + $sealed
                    + r#", 1, 5) AS "head!", count(*) AS "values!" FROM "#
                    + $table
                    + " WHERE "
                    + $sealed
                    + " IS NOT NULL GROUP BY 1 ORDER BY 1"
            )
            .fetch_all(connection)
            .await?
        };
    }
    let counted = by_column!(column, counted, counted!("profile_secrets" "sealed"));
    let read = |Counted { head, values }| HeadCount {
        column,
        head: SealHead::of(&head),
        values: values.unsigned_abs(),
    };
    Ok(counted.into_iter().map(read).collect())
}

/// The heads of the inputs of jobs. Takes one look into the index per head, however many jobs there
/// are.
#[tracing::instrument(name = "db.sealed.heads_of_jobs", level = "debug", skip_all)]
pub async fn heads_of_jobs(connection: &mut Connection) -> Result<Vec<SealHead>, StoreError> {
    let heads = sqlx::query_scalar!(
        r#"WITH RECURSIVE heads AS (
               (SELECT substr(input_sealed, 1, 5) AS head FROM jobs
                WHERE input_sealed IS NOT NULL ORDER BY substr(input_sealed, 1, 5) LIMIT 1)
               UNION ALL
               SELECT (SELECT substr(input_sealed, 1, 5) FROM jobs
                       WHERE input_sealed IS NOT NULL AND substr(input_sealed, 1, 5) > heads.head
                       ORDER BY substr(input_sealed, 1, 5) LIMIT 1)
               FROM heads WHERE heads.head IS NOT NULL
           )
           SELECT head AS "head!" FROM heads WHERE head IS NOT NULL"#
    )
    .fetch_all(connection)
    .await?;
    Ok(heads.iter().filter_map(|head| SealHead::of(head)).collect())
}

/// Locks at most `limit` values with this head that stand behind `after`, in the order of their
/// places. What somebody else has locked is left out.
#[tracing::instrument(name = "db.sealed.lock", level = "debug", skip_all)]
pub async fn lock(
    connection: &mut Connection,
    column: SealedColumn,
    head: SealHead,
    after: &Place,
    limit: i64,
) -> Result<Vec<SealedValue>, StoreError> {
    let head = head.bytes();
    macro_rules! locked {
        ($table:literal $sealed:literal) => {{
            let rows = sqlx::query!(
                "SELECT id, "
                    + $sealed
                    + r#" AS "sealed!" FROM "#
                    + $table
                    + " WHERE "
                    + $sealed
                    + " IS NOT NULL AND substr("
                    + $sealed
                    + ", 1, 5) = $1 AND id > $2 ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED",
                &head[..],
                after.id,
                limit
            );
            let rows = rows.fetch_all(connection).await?.into_iter();
            let place = |id| Place { id, name: String::new() };
            rows.map(|row| SealedValue { place: place(row.id), sealed: row.sealed }).collect()
        }};
    }
    Ok(by_column!(column, locked, {
        let rows = sqlx::query!(
            "SELECT profile_id, name, sealed FROM profile_secrets
             WHERE substr(sealed, 1, 5) = $1 AND (profile_id, name) > ($2, $3)
             ORDER BY profile_id, name LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED",
            &head[..],
            after.id,
            storable(&after.name),
            limit
        );
        let rows = rows.fetch_all(connection).await?.into_iter();
        let place = |id, name| Place { id, name };
        rows.map(|row| SealedValue { place: place(row.profile_id, row.name), sealed: row.sealed }).collect()
    }))
}

/// Replaces values that the caller has locked.
#[tracing::instrument(name = "db.sealed.replace", level = "debug", skip_all)]
pub async fn replace(
    connection: &mut Connection,
    column: SealedColumn,
    values: &[SealedValue],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = values.iter().map(|value| value.place.id).collect();
    macro_rules! replaced {
        ($table:literal $sealed:literal) => {{
            let sealed: Vec<&[u8]> = values.iter().map(|value| value.sealed.as_slice()).collect();
            sqlx::query!(
                "UPDATE "
                    + $table
                    + " SET "
                    + $sealed
                    + " = new.sealed
                 FROM unnest($1::uuid[], $2::bytea[]) AS new (id, sealed)
                 WHERE "
                    + $table
                    + ".id = new.id AND "
                    + $table
                    + ".id = ANY($1)",
                &ids,
                &sealed as &[&[u8]]
            )
            .execute(connection)
            .await?
        }};
    }
    by_column!(
        column,
        replaced,
        query_rows!(
            query for value in values,
            "UPDATE profile_secrets SET sealed = new.sealed FROM",
            "new" {
                "profile_id": "uuid[]" = value.place.id;
                "name": "text[]" as &str = value.place.name.as_str();
                "sealed": "bytea[]" as &[u8] = value.sealed.as_slice();
            },
            "WHERE profile_secrets.profile_id = new.profile_id AND profile_secrets.name = new.name
                 AND profile_secrets.profile_id = ANY($1)",
        )
        .execute(connection)
        .await?
    );
    Ok(())
}
