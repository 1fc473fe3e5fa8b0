//! References to a row of the catalogue, which forbid its deletion.
//!
//! Callers lock the row first, so that no new reference can appear meanwhile.

use uuid::Uuid;

use crate::{
    ids::{CommandId, JobId, ProfileId, ProxyId, ServiceId},
    store::{Connection, StoreError},
};

/// Most referrers of a kind that are named. The others are only counted.
pub const USERS_NAMED: i32 = 3;
/// Most live jobs that are counted. This number means that many or more.
pub const JOBS_COUNTED_MAX: i64 = 1000;

/// Everything that references a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Profiles that list it.
    pub profiles: Referrers,
    /// Commands that have it as their default.
    pub commands: Referrers,
    /// Schedules that name it.
    pub schedules: Referrers,
    /// Live jobs that use it, counted up to [`JOBS_COUNTED_MAX`].
    pub jobs: Referrers,
}

/// Referrers of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Referrers {
    /// Their number.
    pub count: i64,
    /// The names of the first [`USERS_NAMED`], or the ids of jobs.
    pub first: Vec<String>,
}

struct UsersRow {
    kind: String,
    count: i64,
    names: Vec<String>,
}

/// The references to a profile.
#[tracing::instrument(name = "db.references.of_profile", level = "debug", skip_all)]
pub async fn of_profile(connection: &mut Connection, id: ProfileId) -> Result<References, StoreError> {
    let rows = sqlx::query_as!(
        UsersRow,
        r#"SELECT 'commands' AS "kind!", count(*) AS "count!",
               (array_agg(name ORDER BY name))[:$2] AS "names!"
           FROM commands WHERE profile_id = $1 HAVING count(*) > 0
           UNION ALL
           SELECT 'schedules', count(*), (array_agg(name ORDER BY name))[:$2]
           FROM schedules WHERE profile_id = $1 HAVING count(*) > 0
           UNION ALL
           SELECT 'jobs', count(*), (array_agg(id::text ORDER BY id))[:$2]
           FROM (SELECT job_id AS id FROM live_jobs WHERE profile_id = $1 LIMIT $3) job HAVING count(*) > 0"#,
        id.uuid(),
        USERS_NAMED,
        JOBS_COUNTED_MAX
    )
    .fetch_all(connection)
    .await?;
    uses(rows)
}

/// The references to a service.
#[tracing::instrument(name = "db.references.of_service", level = "debug", skip_all)]
pub async fn of_service(connection: &mut Connection, id: ServiceId) -> Result<References, StoreError> {
    let rows = sqlx::query_as!(
        UsersRow,
        r#"SELECT 'profiles' AS "kind!", count(*) AS "count!",
               (array_agg(name ORDER BY name))[:$2] AS "names!"
           FROM profile_services JOIN profiles ON id = profile_id WHERE service_id = $1 HAVING count(*) > 0
           UNION ALL
           SELECT 'commands', count(*), (array_agg(name ORDER BY name))[:$2]
           FROM command_services JOIN commands ON id = command_id WHERE service_id = $1 HAVING count(*) > 0
           UNION ALL
           SELECT 'schedules', count(*), (array_agg(name ORDER BY name))[:$2]
           FROM schedule_services JOIN schedules ON id = schedule_id WHERE service_id = $1 HAVING count(*) > 0
           UNION ALL
           SELECT 'jobs', count(*), (array_agg(id::text ORDER BY id))[:$2]
           FROM (SELECT job_id AS id FROM live_job_services WHERE service_id = $1 LIMIT $3) job
           HAVING count(*) > 0"#,
        id.uuid(),
        USERS_NAMED,
        JOBS_COUNTED_MAX
    )
    .fetch_all(connection)
    .await?;
    uses(rows)
}

/// The references to a proxy. Includes running jobs whose attempt chose it, although no constraint
/// protects these.
#[tracing::instrument(name = "db.references.of_proxy", level = "debug", skip_all)]
pub async fn of_proxy(connection: &mut Connection, id: ProxyId) -> Result<References, StoreError> {
    let rows = sqlx::query_as!(
        UsersRow,
        r#"SELECT 'profiles' AS "kind!", count(*) AS "count!",
               (array_agg(name ORDER BY name))[:$2] AS "names!"
           FROM profile_proxies JOIN profiles ON id = profile_id WHERE proxy_id = $1 HAVING count(*) > 0
           UNION ALL
           SELECT 'commands', count(*), (array_agg(name ORDER BY name))[:$2]
           FROM commands WHERE proxy_id = $1 HAVING count(*) > 0
           UNION ALL
           SELECT 'schedules', count(*), (array_agg(name ORDER BY name))[:$2]
           FROM schedules WHERE proxy_id = $1 HAVING count(*) > 0
           UNION ALL
           SELECT 'jobs', count(*), (array_agg(id::text ORDER BY id))[:$2]
           FROM ((SELECT job_id AS id FROM live_jobs WHERE proxy_id = $1 LIMIT $3)
                 UNION
                 (SELECT job_id FROM live_jobs
                  WHERE worker_id IS NOT NULL AND attempt_proxy_id = $1 LIMIT $3)) job
           HAVING count(*) > 0"#,
        id.uuid(),
        USERS_NAMED,
        JOBS_COUNTED_MAX
    )
    .fetch_all(connection)
    .await?;
    uses(rows)
}

/// The references to a command. Its jobs are no references, because they run a version, which is
/// never deleted.
#[tracing::instrument(name = "db.references.of_command", level = "debug", skip_all)]
pub async fn of_command(connection: &mut Connection, id: CommandId) -> Result<References, StoreError> {
    let rows = sqlx::query_as!(
        UsersRow,
        r#"SELECT 'schedules' AS "kind!", count(*) AS "count!",
               (array_agg(name ORDER BY name))[:$2] AS "names!"
           FROM schedules WHERE command_id = $1 HAVING count(*) > 0"#,
        id.uuid(),
        USERS_NAMED
    )
    .fetch_all(connection)
    .await?;
    uses(rows)
}

fn uses(rows: Vec<UsersRow>) -> Result<References, StoreError> {
    let mut uses = References::default();
    for row in rows {
        let users = Referrers { count: row.count, first: row.names };
        match row.kind.as_str() {
            "profiles" => uses.profiles = users,
            "commands" => uses.commands = users,
            "schedules" => uses.schedules = users,
            _ => uses.jobs = Referrers { first: job_ids(users.first)?, ..users },
        }
    }
    Ok(uses)
}

fn job_ids(uuids: Vec<String>) -> Result<Vec<String>, StoreError> {
    let read = |text: String| {
        let uuid: Uuid = text.parse().map_err(|_| StoreError::corrupt("live_jobs", "job_id", &text))?;
        Ok(JobId::from(uuid).to_string())
    };
    uuids.into_iter().map(read).collect()
}

impl References {
    /// Whether there are no references.
    pub fn is_empty(&self) -> bool {
        [&self.profiles, &self.commands, &self.schedules, &self.jobs].iter().all(|users| users.count == 0)
    }
}
