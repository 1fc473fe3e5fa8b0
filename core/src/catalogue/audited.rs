//! Writes the audit of a change in its transaction, and says what of an object is shown there.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};

use super::Catalogue;
use crate::{
    audit::{Actor, Change, Object},
    command::{Choice, Choices},
    ids::{ProxyId, ServiceId},
    limit::{Cap, Limits},
    secret::MASK,
    store::{
        Connection, StoreError, Transaction,
        catalogue::{
            command_versions::VersionDraft, commands::CommandDraft, profiles::ProfileDraft,
            proxies::ProxyDraft, schedules::Plan, services::ServiceDraft,
        },
        commit,
    },
};

impl Catalogue {
    /// The same catalogue for the operations of this actor.
    #[must_use]
    pub fn acting_for(&self, actor: Arc<Actor>) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Adds the entry of a change to its transaction: without it, the change does not happen.
    pub(super) async fn note(
        &self,
        transaction: &mut Connection,
        mutation: &str,
        object: Object,
        change: Change,
    ) -> Result<(), StoreError> {
        self.keys().note(transaction, mutation, object, change).await
    }

    /// Commits an update that changed nothing, with its entry.
    pub(super) async fn note_unchanged(
        &self,
        mut transaction: Transaction,
        mutation: &str,
        object: Object,
    ) -> Result<(), StoreError> {
        self.note(&mut transaction, mutation, object, Change::default()).await?;
        commit(transaction).await
    }
}

/// What stands for a secret.
pub(super) fn masked() -> Value {
    MASK.into()
}

/// What stands for a secret that replaces one of the same name.
pub(super) const REPLACED: &str = "*** (new)";

/// What a profile has beside its draft.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProfileLists {
    /// In order.
    pub(super) services: Vec<ServiceId>,
    /// In order of preference.
    pub(super) proxies: Vec<ProxyId>,
    /// What stands for each secret, by its name.
    pub(super) secrets: BTreeMap<String, &'static str>,
}

fn with_limits(mut shown: Value, limits: &Limits) -> Value {
    shown["maxConcurrency"] = json!(limits.max_concurrency);
    shown["rateLimits"] = json!(limits.rate_limits);
    shown["caps"] = of_caps(&limits.caps);
    shown
}

/// A stored name of a value as the API writes it.
pub(super) fn value_of(stored: &str) -> Value {
    stored.to_uppercase().into()
}

fn of_caps(caps: &[Cap]) -> Value {
    let mut shown = json!(caps);
    for cap in shown.as_array_mut().into_iter().flatten() {
        for field in ["per", "whenReached"] {
            if let Some(stored) = cap[field].as_str() {
                cap[field] = value_of(stored);
            }
        }
    }
    shown
}

fn of_choices(choices: &Choices) -> Value {
    fn of<Id: Serialize>(choice: Option<&Choice<Id>>) -> Value {
        let none: &[Id] = &[];
        let (rule, ids) = match choice {
            None => ("DEFAULT", none),
            Some(Choice::Any) => ("ANY", none),
            Some(Choice::Listed(ids)) => ("LISTED", ids.as_slice()),
        };
        json!({ "rule": rule, "ids": ids })
    }
    json!({
        "profiles": of(choices.profiles.as_ref()),
        "proxies": of(choices.proxies.as_ref()),
        "services": of(choices.services.as_ref()),
    })
}

pub(super) fn of_service(draft: &ServiceDraft) -> Value {
    let hosts: Vec<String> = draft.token_hosts.iter().map(ToString::to_string).collect();
    let shown = json!({
        "name": draft.name,
        "baseUrl": draft.base_url.as_deref(),
        "tokenHosts": hosts,
        "settings": draft.settings,
    });
    with_limits(shown, &draft.limits)
}

pub(super) fn of_profile(draft: &ProfileDraft, lists: &ProfileLists) -> Value {
    json!({
        "serviceIds": lists.services,
        "proxyIds": lists.proxies,
        "secrets": lists.secrets,
        "name": draft.name,
        "chromeProfilePath": draft.chrome_profile_path,
        "description": draft.description,
        "labels": draft.labels,
        "environment": draft.environment,
        "proxySelection": value_of(draft.proxy_selection.as_str()),
        "caps": of_caps(&draft.caps),
    })
}

pub(super) fn of_proxy(draft: &ProxyDraft) -> Value {
    let shown = json!({
        "name": draft.name,
        "address": draft.address,
        "username": draft.credentials.username.as_ref().map(|_| MASK),
        "password": draft.credentials.password.as_ref().map(|_| MASK),
    });
    with_limits(shown, &draft.limits)
}

pub(super) fn of_command(draft: &CommandDraft, runs: &VersionDraft) -> Value {
    json!({
        "name": draft.name,
        "description": draft.description,
        "profileId": draft.profile_id,
        "proxyId": draft.proxy_id,
        "serviceIds": draft.service_ids,
        "queue": draft.queue,
        "choices": of_choices(&draft.choices),
        "spec": runs.spec,
        "inputSchema": runs.input_schema,
        "policy": runs.policy,
        "isPrivate": runs.is_private,
    })
}

/// `secrets` stands for the secrets of the input.
pub(super) fn of_schedule(plan: &Plan, secrets: Option<&str>) -> Value {
    let request = &plan.template.request;
    json!({
        "name": plan.name,
        "cron": plan.timing.cron.text(),
        "timezone": plan.timing.zone.name(),
        "overlap": value_of(plan.timing.overlap.as_str()),
        "catchUp": plan.timing.catch_up.to_string(),
        "isPaused": plan.is_paused,
        "job": {
            "commandId": request.command,
            "profileId": request.profile,
            "proxyId": request.proxy,
            "serviceIds": request.services,
            "input": request.input,
            "inputSecrets": secrets,
            "queue": request.queue,
            "priority": request.priority,
            "policy": plan.template.policy,
            "labels": request.labels,
            "fairnessKey": request.fairness_key,
        },
    })
}
