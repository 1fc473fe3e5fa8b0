//! Checks references in a request: each object exists, appears once, and cannot be deleted until
//! the transaction ends.

use std::{collections::HashSet, hash::Hash};

use super::checks::Checks;
use crate::{
    command::{Choice, Choices},
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

/// Checks the ids in `choices`.
pub(super) async fn keep_choices(
    connection: &mut Connection,
    checks: &mut Checks,
    choices: &Choices,
) -> Result<(), StoreError> {
    if let Some(ids) = listed(checks, "profiles", choices.profiles.as_ref()) {
        for (index, id) in ids.iter().enumerate() {
            if !profiles::keep(connection, *id).await? {
                let path = ["choices", "profiles", "ids", &index.to_string()];
                checks.refuse(RefusalCode::NotFound, &path, no_such_id("profile"));
            }
        }
    }
    if let Some(ids) = listed(checks, "proxies", choices.proxies.as_ref()) {
        let found = proxies::keep(connection, ids).await?;
        each_found(checks, ("proxies", "proxy"), ids, &found);
    }
    if let Some(ids) = listed(checks, "services", choices.services.as_ref()) {
        let found = services::keep(connection, ids).await?;
        each_found(checks, ("services", "service"), ids, &found);
    }
    Ok(())
}

/// The ids of a choice, if it has any and not too many.
fn listed<'a, Id>(checks: &mut Checks, kind: &str, choice: Option<&'a Choice<Id>>) -> Option<&'a [Id]> {
    let Some(Choice::Listed(ids)) = choice else { return None };
    if ids.len() > LIST_MAX {
        let message = format!("must have at most {LIST_MAX} entries, not {}", ids.len());
        checks.refuse(RefusalCode::TooMany, &["choices", kind, "ids"], message);
        return None;
    }
    (!ids.is_empty()).then_some(ids)
}

fn each_found<Id: PartialEq>(checks: &mut Checks, (kind, noun): (&str, &str), ids: &[Id], found: &[Id]) {
    for (index, _) in ids.iter().enumerate().filter(|(_, id)| !found.contains(id)) {
        let path = ["choices", kind, "ids", &index.to_string()];
        checks.refuse(RefusalCode::NotFound, &path, no_such_id(noun));
    }
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
