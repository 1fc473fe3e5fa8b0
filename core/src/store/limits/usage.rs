//! Usage of commands, profiles and services: the number and duration of attempts, today and this
//! month.
//!
//! `attempts::finish` appends deltas, and `steps::maintain::fold_counters` folds them. Days are in
//! UTC.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::{
    ids::{CommandId, JobId, ProfileId, ServiceId},
    job::Used,
    store::{Connection, StoreError},
};

/// The attempts of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// The number of attempts that ended in it.
    pub attempts: i64,
    /// Their total duration in milliseconds.
    pub busy_ms: i64,
}

/// The usage of today and this month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Since midnight, UTC.
    pub today: Total,
    /// Since the first of the month, UTC.
    pub this_month: Total,
}

/// An object with usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum User {
    /// All attempts of a command.
    Command(CommandId),
    /// All attempts on a profile.
    Profile(ProfileId),
    /// All attempts with a service.
    Service(ServiceId),
}

/// The usage of a service by one command and profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The command.
    pub command: CommandId,
    /// The profile, if any.
    pub profile: Option<ProfileId>,
    /// The usage.
    pub usage: Usage,
}

/// The usage of ended attempts, as columns of `usage_deltas`.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) commands: Vec<Uuid>,
    pub(crate) profiles: Vec<Uuid>,
    pub(crate) services: Vec<Uuid>,
    pub(crate) attempts: Vec<i64>,
    pub(crate) busy_ms: Vec<i64>,
}

impl Columns {
    /// Sums what ended attempts used, and their durations in milliseconds.
    pub(crate) fn of<'a>(ended: impl Iterator<Item = (&'a Used, i64)>) -> Self {
        let mut totals: BTreeMap<(Uuid, Uuid, Uuid), Total> = BTreeMap::new();
        for (Used { command, profile, services }, busy_ms) in ended {
            let profile = profile.map_or(Uuid::nil(), Uuid::from);
            for service in std::iter::once(Uuid::nil()).chain(services.iter().map(|id| id.uuid())) {
                let total = totals.entry((command.uuid(), profile, service)).or_default();
                total.attempts += 1;
                total.busy_ms += busy_ms;
            }
        }
        let mut columns = Self::default();
        for ((command, profile, service), total) in totals {
            columns.commands.push(command);
            columns.profiles.push(profile);
            columns.services.push(service);
            columns.attempts.push(total.attempts);
            columns.busy_ms.push(total.busy_ms);
        }
        columns
    }
}

/// What jobs use, from their records.
#[tracing::instrument(name = "db.usage.of_jobs", level = "debug", skip_all)]
pub async fn of_jobs(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<HashMap<JobId, Used>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows =
        sqlx::query!("SELECT id, command_id, profile_id, service_ids FROM jobs WHERE id = ANY($1)", &ids)
            .fetch_all(connection)
            .await?;
    let used = |command: Uuid, profile: Option<Uuid>, services: Vec<Uuid>| Used {
        command: command.into(),
        profile: profile.map(ProfileId::from),
        services: services.into_iter().map(ServiceId::from).collect(),
    };
    Ok(rows
        .into_iter()
        .map(|row| (row.id.into(), used(row.command_id, row.profile_id, row.service_ids)))
        .collect())
}

/// Folds at most `most` deltas into the days. Returns how many.
#[tracing::instrument(name = "db.usage.fold", level = "debug", skip_all)]
pub async fn fold(connection: &mut Connection, most: i64) -> Result<i64, StoreError> {
    let folded = sqlx::query_scalar!(
        r#"
        WITH taken AS (
            DELETE FROM usage_deltas WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM usage_deltas LIMIT $1 FOR UPDATE SKIP LOCKED
            )) RETURNING *
        ), total AS (
            INSERT INTO usage_days AS total (day, command_id, profile_id, service_id, attempts, busy_ms)
            SELECT day, command_id, profile_id, service_id, sum(attempts), sum(busy_ms) FROM taken
            GROUP BY 1, 2, 3, 4 ORDER BY command_id, day, profile_id, service_id
            ON CONFLICT (command_id, day, profile_id, service_id) DO UPDATE SET attempts = total.attempts + excluded.attempts,
                busy_ms = total.busy_ms + excluded.busy_ms
        )
        SELECT count(*) AS "count!" FROM taken
        "#,
        most
    )
    .fetch_one(connection)
    .await?;
    Ok(folded)
}

/// The usage of objects. Objects without usage this month are left out.
#[tracing::instrument(name = "db.usage.load", level = "debug", skip_all)]
pub async fn load(connection: &mut Connection, users: &[User]) -> Result<HashMap<User, Usage>, StoreError> {
    let (mut commands, mut profiles, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for user in users {
        match user {
            User::Command(id) => commands.push(id.uuid()),
            User::Profile(id) => profiles.push(id.uuid()),
            User::Service(id) => services.push(id.uuid()),
        }
    }
    let rows = sqlx::query!(
        r#"
        WITH used AS (
            SELECT * FROM usage_deltas
            UNION ALL SELECT * FROM usage_days WHERE (command_id = ANY($1) OR profile_id = ANY($2) OR service_id = ANY($3))
                AND day >= date_trunc('month', now() AT TIME ZONE 'UTC')::date
        ), part AS (
            SELECT 'command' AS kind, command_id AS id, day, attempts, busy_ms FROM used
            WHERE command_id = ANY($1) AND service_id = '00000000-0000-0000-0000-000000000000'
            UNION ALL SELECT 'profile', profile_id, day, attempts, busy_ms FROM used
            WHERE profile_id = ANY($2) AND service_id = '00000000-0000-0000-0000-000000000000'
            UNION ALL SELECT 'service', service_id, day, attempts, busy_ms FROM used WHERE service_id = ANY($3)
        ), today AS (SELECT (now() AT TIME ZONE 'UTC')::date AS day)
        SELECT kind AS "kind!", id AS "id!", sum(attempts)::bigint AS "month!", sum(busy_ms)::bigint AS "month_ms!",
            coalesce(sum(attempts) FILTER (WHERE part.day = today.day), 0)::bigint AS "today!",
            coalesce(sum(busy_ms) FILTER (WHERE part.day = today.day), 0)::bigint AS "today_ms!"
        FROM part CROSS JOIN today
        WHERE part.day BETWEEN date_trunc('month', today.day)::date AND today.day
        GROUP BY kind, id
        "#,
        &commands,
        &profiles,
        &services
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let user = match row.kind.as_str() {
                "command" => User::Command(row.id.into()),
                "profile" => User::Profile(row.id.into()),
                "service" => User::Service(row.id.into()),
                _ => return None,
            };
            let today = Total { attempts: row.today, busy_ms: row.today_ms };
            Some((user, Usage { today, this_month: Total { attempts: row.month, busy_ms: row.month_ms } }))
        })
        .collect())
}

/// The shares of services this month: at most `most` for each service, largest first.
#[tracing::instrument(name = "db.usage.shares", level = "debug", skip_all)]
pub async fn shares(
    connection: &mut Connection,
    services: &[ServiceId],
    most: i64,
) -> Result<Vec<(ServiceId, Share)>, StoreError> {
    let ids: Vec<Uuid> = services.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"
        WITH today AS (SELECT (now() AT TIME ZONE 'UTC')::date AS day
        ), used AS (
            SELECT * FROM usage_deltas WHERE service_id = ANY($1)
            UNION ALL SELECT * FROM usage_days
            WHERE service_id = ANY($1) AND day >= date_trunc('month', now() AT TIME ZONE 'UTC')::date
        ), share AS (
            SELECT service_id, command_id, profile_id, sum(attempts)::bigint AS month, sum(busy_ms)::bigint AS month_ms,
                coalesce(sum(attempts) FILTER (WHERE used.day = today.day), 0)::bigint AS today,
                coalesce(sum(busy_ms) FILTER (WHERE used.day = today.day), 0)::bigint AS today_ms
            FROM used CROSS JOIN today WHERE used.day BETWEEN date_trunc('month', today.day)::date AND today.day
            GROUP BY service_id, command_id, profile_id
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY service_id ORDER BY month DESC, command_id, profile_id) AS place FROM share
        )
        SELECT service_id AS "service_id!", command_id AS "command_id!", profile_id AS "profile_id!", month AS "month!",
            month_ms AS "month_ms!", today AS "today!", today_ms AS "today_ms!"
        FROM ranked WHERE place <= $2 ORDER BY service_id, place
        "#,
        &ids,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let today = Total { attempts: row.today, busy_ms: row.today_ms };
            let this_month = Total { attempts: row.month, busy_ms: row.month_ms };
            let profile = Some(row.profile_id).filter(|id| !id.is_nil()).map(ProfileId::from);
            let usage = Usage { today, this_month };
            (row.service_id.into(), Share { command: row.command_id.into(), profile, usage })
        })
        .collect())
}
