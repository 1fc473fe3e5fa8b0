//! Checks references in a request: each object exists, appears once, and cannot be deleted until
//! the transaction ends.

use std::{collections::HashSet, hash::Hash};

use super::checks::Checks;
use crate::{
    ids::{ProfileId, ProxyId, ServiceId},
    refusal::{RefusalCode, no_such_id},
    store::{
        Connection, StoreError,
        catalogue::{profiles, proxies, services},
    },
};

/// Maximum number of services or proxies of one profile or command.
pub const LIST_MAX: usize = 100;

/// Checks `serviceIds`.
pub(super) async fn keep_services(
    connection: &mut Connection,
    checks: &mut Checks,
    ids: &[ServiceId],
) -> Result<(), StoreError> {
    const FIELD: &str = "serviceIds";
    if is_bounded(checks, FIELD, ids.len()) && !ids.is_empty() {
        let found = services::keep(connection, ids).await?;
        each_once(checks, (FIELD, "service"), ids, &found);
    }
    Ok(())
}

/// Checks `proxyIds`.
pub(super) async fn keep_proxies(
    connection: &mut Connection,
    checks: &mut Checks,
    ids: &[ProxyId],
) -> Result<(), StoreError> {
    const FIELD: &str = "proxyIds";
    if is_bounded(checks, FIELD, ids.len()) && !ids.is_empty() {
        let found = proxies::keep(connection, ids).await?;
        each_once(checks, (FIELD, "proxy"), ids, &found);
    }
    Ok(())
}

/// Checks `profileId`.
pub(super) async fn keep_profile(
    connection: &mut Connection,
    checks: &mut Checks,
    id: ProfileId,
) -> Result<(), StoreError> {
    if !profiles::keep(connection, id).await? {
        checks.refuse(RefusalCode::NotFound, &["profileId"], no_such_id("profile"));
    }
    Ok(())
}

/// Checks `proxyId`.
pub(super) async fn keep_proxy(
    connection: &mut Connection,
    checks: &mut Checks,
    id: ProxyId,
) -> Result<(), StoreError> {
    if proxies::keep(connection, &[id]).await?.is_empty() {
        checks.refuse(RefusalCode::NotFound, &["proxyId"], no_such_id("proxy"));
    }
    Ok(())
}

fn is_bounded(checks: &mut Checks, field: &str, length: usize) -> bool {
    let is_bounded = length <= LIST_MAX;
    if !is_bounded {
        checks.refuse(
            RefusalCode::TooMany,
            &[field],
            format!("must have at most {LIST_MAX} entries, not {length}"),
        );
    }
    is_bounded
}

fn each_once<Id: Copy + Eq + Hash>(
    checks: &mut Checks,
    (field, noun): (&str, &str),
    ids: &[Id],
    found: &[Id],
) {
    let mut seen = HashSet::new();
    for (index, id) in ids.iter().enumerate() {
        let path = [field, &index.to_string()];
        if !found.contains(id) {
            checks.refuse(RefusalCode::NotFound, &path, no_such_id(noun));
        } else if !seen.insert(*id) {
            checks.invalid(&path, format!("this {noun} is already in the list"));
        }
    }
}
