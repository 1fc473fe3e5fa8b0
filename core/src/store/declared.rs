//! What jobs ask of gates: the limits that are declared for the services and proxies that they use.
//!
//! Called by `steps::why` for whoever claims and whoever asks why a job waits. Locks nothing: limits may change at any time.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use uuid::Uuid;

use super::{Connection, StoreError, limits_of};
use crate::{
    ids::{JobId, ProxyId, ServiceId},
    limit::Limits,
};

/// What is declared for a thing, with what people call it.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its name.
    pub name: Arc<str>,
    /// Its limits.
    pub limits: Arc<Limits>,
}

/// The services that these jobs use, in order of id, each with the jobs that use it.
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

/// The limits of these proxies.
pub async fn of_proxies(
    connection: &mut Connection,
    ids: &[ProxyId],
) -> Result<HashMap<ProxyId, Declared>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows =
        sqlx::query!("SELECT id, name, max_concurrency, rate_limits FROM proxies WHERE id = ANY($1)", &ids)
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|row| {
            Ok((row.id.into(), declared("proxies", row.name, row.max_concurrency, row.rate_limits, None)?))
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
