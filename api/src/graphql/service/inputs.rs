//! What mutations of services take.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::{
    catalogue::{ServiceChanges, ServiceCreate, ServiceUpdate, TokenRefresh},
    patch::{LimitsPatch, Patch},
};
use secrecy::SecretString;

use crate::graphql::{
    inputs::{id_of, patch},
    rate_limit::{CapInput, RateLimitInput, limits_given, limits_patch, new_caps},
    scalars::{DateTime, Json, Url},
};

/// A new service.
#[derive(Debug, InputObject)]
pub struct ServiceCreateInput {
    /// Unique among services: a letter, then letters, digits, `_` or `-`, at most 100, because templates
    /// spell it.
    pub name: String,
    /// Where it lives: `http` or `https`, at most 2048 bytes, without user name and password.
    pub base_url: Option<Url>,
    /// Its token, 1 to 65536 bytes without NUL. Sealed at once; no answer, record or log holds it.
    pub token: Option<SecretString>,
    /// An object that commands may use, at most 65536 bytes of JSON, nested at most 64 deep; by default
    /// empty. No place for secrets: it is shown as it is.
    pub settings: Option<Json>,
    /// How often jobs that use it may start, at most 8, each with a name of its own; by default as they come.
    pub rate_limits: Option<Vec<RateLimitInput>>,
    /// How many jobs may use it at once, 1 to 1000000; by default as many as there are.
    pub max_concurrency: Option<i32>,
    /// How many attempts that use it may start: at most one cap for a day and one for a month; by default as many as there are.
    pub caps: Option<Vec<CapInput>>,
}

impl From<ServiceCreateInput> for ServiceCreate {
    fn from(input: ServiceCreateInput) -> Self {
        Self {
            name: input.name,
            base_url: input.base_url.map(|url| url.0.into()),
            token: input.token,
            settings: input.settings.map(|json| json.0),
            limits: LimitsPatch {
                caps: Patch::set_or_clear(input.caps.map(new_caps)),
                ..limits_given(input.max_concurrency, input.rate_limits)
            },
        }
    }
}

/// Changes of a service. Absent fields stay as they are. For its token see serviceTokenRefresh.
#[derive(Debug, InputObject)]
pub struct ServiceUpdateInput {
    /// Which.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null changes whatever is
    /// there.
    pub version: Option<i32>,
    /// As in ServiceCreateInput. Cannot be null. Templates that spell the old name no longer compose.
    pub name: MaybeUndefined<String>,
    /// As in ServiceCreateInput; null for none.
    pub base_url: MaybeUndefined<Url>,
    /// Replaces all settings, as in ServiceCreateInput; null for an empty object.
    pub settings: MaybeUndefined<Json>,
    /// Replaces all of them, as in ServiceCreateInput; null for none. Jobs that wait go by the new ones.
    pub rate_limits: MaybeUndefined<Vec<RateLimitInput>>,
    /// As in ServiceCreateInput; null for no limit. A bound below what runs at that moment is refused.
    pub max_concurrency: MaybeUndefined<i32>,
    /// Replaces all caps; null for none. Jobs that wait go by the new ones.
    pub caps: MaybeUndefined<Vec<CapInput>>,
}

impl From<ServiceUpdateInput> for ServiceUpdate {
    fn from(input: ServiceUpdateInput) -> Self {
        let changes = ServiceChanges {
            name: patch(input.name),
            base_url: patch(input.base_url.map_value(|url| url.0.into())),
            settings: patch(input.settings.map_value(|json| json.0)),
            limits: LimitsPatch {
                caps: patch(input.caps.map_value(new_caps)),
                ..limits_patch(input.max_concurrency, input.rate_limits)
            },
        };
        Self { id: id_of(&input.id), version: input.version, changes }
    }
}

/// A new token for a service.
#[derive(Debug, InputObject)]
pub struct ServiceTokenRefreshInput {
    /// Which service.
    pub id: ID,
    /// The new token, 1 to 65536 bytes without NUL. Sealed at once; no answer, record or log holds it.
    pub token: SecretString,
    /// When it ceases to be of use, in the future; absent or null for never. For people: nothing happens then
    /// by itself.
    pub expires_at: Option<DateTime>,
}

impl From<ServiceTokenRefreshInput> for TokenRefresh {
    fn from(input: ServiceTokenRefreshInput) -> Self {
        Self { id: id_of(&input.id), token: input.token, expires_at: input.expires_at.map(|at| at.0) }
    }
}

/// Which service to ask again.
#[derive(Debug, InputObject)]
pub struct ServiceResumeInput {
    /// Which.
    pub id: ID,
}

/// Which service to delete. Its token goes with it.
#[derive(Debug, InputObject)]
pub struct ServiceDeleteInput {
    /// Which. IN_USE while a profile, a command or a job that has not ended needs it.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null deletes whatever is
    /// there.
    pub version: Option<i32>,
}
