//! Usage: how many attempts a command, a profile or a service has had, today and this month, and how long they took.
//!
//! Appended by `attempts::finish` with the attempts themselves, folded by `steps::roll_up`, read by the API. Days are those of UTC.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::{
    ids::{CommandId, JobId, ProfileId, ServiceId},
    job::Used,
    store::{Connection, StoreError},
};

/// What the attempts of a period came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// How many ended in it.
    pub attempts: i64,
    /// How long they took together, in milliseconds.
    pub busy_ms: i64,
}

/// What was used until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Since midnight, UTC.
    pub today: Total,
    /// Since the first of the month, UTC.
    pub this_month: Total,
}

/// Whose usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum User {
    /// All attempts of a command.
    Command(CommandId),
    /// All attempts on a profile.
    Profile(ProfileId),
    /// All attempts with a service.
    Service(ServiceId),
}

/// Who used a service, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// With which command.
    pub command: CommandId,
    /// On which profile.
    pub profile: Option<ProfileId>,
    /// How much.
    pub usage: Usage,
}

/// Ended attempts as rows of `usage_deltas`.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) commands: Vec<Uuid>,
    pub(crate) profiles: Vec<Uuid>,
    pub(crate) services: Vec<Uuid>,
    pub(crate) attempts: Vec<i64>,
    pub(crate) busy_ms: Vec<i64>,
}

impl Columns {
    /// From what each ended attempt used, and for how many milliseconds.
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

/// What these jobs use, by their records.
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

/// Folds what was appended, at most `most` rows. Answers how many.
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

/// What each of these has used; those that have used nothing this month are left out.
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

/// Who has used these services this month: for each at most `most`, those first that used it most.
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
