//! Reads the declared limits of services and proxies, and the proxies that profiles choose from.
//!
//! Locks nothing. Limits may change at any time.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{JobId, ProfileId, ProxyId, ServiceId},
    limit::Limits,
    profile::ProxySelection,
    proxy::HealthStatus,
    store::{Connection, StoreError, limits_of},
};

/// The declared limits of a service or proxy.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its name.
    pub name: Arc<str>,
    /// Its limits.
    pub limits: Arc<Limits>,
}

/// The services of jobs, in order of id, each with the jobs that use it.
#[tracing::instrument(name = "db.declared.of_services", level = "debug", skip_all)]
pub async fn of_services(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<Vec<(ServiceId, Declared, Vec<JobId>)>, StoreError> {
    let jobs: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        r#"
        WITH used AS MATERIALIZED (SELECT service_id, job_id FROM live_job_services WHERE job_id = ANY($1)),
            users AS (SELECT service_id, array_agg(job_id) AS jobs FROM used GROUP BY service_id)
        SELECT id, name, max_concurrency, rate_limits, caps, users.jobs AS "jobs!"
        FROM users JOIN services ON id = service_id ORDER BY id
        "#,
        &jobs
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let declared =
                declared("services", row.name, row.max_concurrency, row.rate_limits, Some(row.caps))?;
            Ok((row.id.into(), declared, row.jobs.into_iter().map(JobId::from).collect()))
        })
        .collect()
}

/// What claims need of a proxy.
#[derive(Debug, Clone)]
pub struct DeclaredProxy {
    /// Its name and limits.
    pub declared: Declared,
    /// Whether its last check failed.
    pub is_down: bool,
    /// The end of its cool-down, after an attempt could not reach it. `None` if it may be used.
    pub cools_until: Option<Time>,
}

/// Loads proxies by id. Ids that do not exist are left out.
#[tracing::instrument(name = "db.declared.of_proxies", level = "debug", skip_all)]
pub async fn of_proxies(
    connection: &mut Connection,
    ids: &[ProxyId],
) -> Result<HashMap<ProxyId, DeclaredProxy>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"
        SELECT id, name, max_concurrency, rate_limits, health,
            (SELECT until FROM gates CROSS JOIN LATERAL (SELECT (state #>> '{shut,until}')::timestamptz AS until) AS shut
             WHERE key = 'proxy:' || proxies.id AND until > clock_timestamp()) AS "cools_until: Time"
        FROM proxies WHERE id = ANY($1)
        "#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let health = HealthStatus::parse(&row.health)
                .ok_or_else(|| StoreError::corrupt("proxies", "health", &row.health))?;
            let declared = declared("proxies", row.name, row.max_concurrency, row.rate_limits, None)?;
            let is_down = health == HealthStatus::Down;
            Ok((row.id.into(), DeclaredProxy { declared, is_down, cools_until: row.cools_until }))
        })
        .collect()
}

/// The number of running attempts by proxy. Unused proxies are left out.
#[tracing::instrument(name = "db.declared.busy", level = "debug", skip_all)]
pub async fn busy(connection: &mut Connection, ids: &[ProxyId]) -> Result<HashMap<ProxyId, i64>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT attempt_proxy_id AS "proxy!", count(*) AS "count!" FROM live_jobs
           WHERE worker_id IS NOT NULL AND attempt_proxy_id = ANY($1) GROUP BY 1"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.proxy.into(), row.count)).collect())
}

/// How a profile chooses the proxies of its attempts.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The way of choosing.
    pub selection: ProxySelection,
    /// Its proxies in order of preference, at least one.
    pub proxies: Vec<ProxyId>,
    /// The proxy that it chose last.
    pub last: Option<ProxyId>,
}

/// The choices of profiles. Profiles without proxies are left out.
#[tracing::instrument(name = "db.declared.choices", level = "debug", skip_all)]
pub async fn choices(
    connection: &mut Connection,
    profiles: &[ProfileId],
) -> Result<HashMap<ProfileId, Choice>, StoreError> {
    let ids: Vec<Uuid> = profiles.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT id, proxy_selection, array_agg(proxy_id ORDER BY position) AS "proxies!",
               (SELECT state ->> 'proxy' FROM gates WHERE key = 'profile:' || id) AS last
           FROM profile_proxies JOIN profiles ON id = profile_id WHERE profile_id = ANY($1) GROUP BY id"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let selection = ProxySelection::parse(&row.proxy_selection)
                .ok_or_else(|| StoreError::corrupt("profiles", "proxy_selection", &row.proxy_selection))?;
            let proxies = row.proxies.into_iter().map(ProxyId::from).collect();
            let last = row.last.map(|id| id.parse().map_err(|_| StoreError::corrupt("gates", "state", &id)));
            Ok((row.id.into(), Choice { selection, proxies, last: last.transpose()? }))
        })
        .collect()
}

fn declared(
    table: &'static str,
    name: String,
    max_concurrency: Option<i32>,
    rate_limits: Value,
    caps: Option<Value>,
) -> Result<Declared, StoreError> {
    let limits = Arc::new(limits_of(table, max_concurrency, rate_limits, caps)?);
    Ok(Declared { name: name.into(), limits })
}
