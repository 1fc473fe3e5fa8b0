//! The inputs of service mutations.

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

/// Input of serviceCreate.
#[derive(Debug, InputObject)]
pub struct ServiceCreateInput {
    /// The name, unique among services. Templates use it: a letter, then letters, digits, `_` or
    /// `-`, at most 100 characters.
    pub name: String,
    /// Base URL of the service: `http` or `https`, at most 2048 bytes, without user name and
    /// password.
    pub base_url: Option<Url>,
    /// Hosts to which HTTP commands may send the token, beside the host and port of baseUrl: at
    /// most 50, each a `host` (any port) or `host:port`. If baseUrl is https, the token is only
    /// sent over https. With neither of them, an HTTP command cannot send the token. Default none.
    pub token_hosts: Option<Vec<String>>,
    /// The token, 1 to 65536 bytes without NUL. Encrypted at rest. It never appears in a response,
    /// record or log.
    pub token: Option<SecretString>,
    /// Settings that commands may use: an object of at most 65536 bytes of JSON, at most 64 levels
    /// deep. Default `{}`. Settings are shown in plain text, so keep secrets out of them.
    pub settings: Option<Json>,
    /// Limits on how often jobs that use the service may start, at most 8 with unique names.
    /// Default none.
    pub rate_limits: Option<Vec<RateLimitInput>>,
    /// Maximum number of jobs that use the service and run at once, 1 to 1000000. Default no limit.
    pub max_concurrency: Option<i32>,
    /// Limits on how many attempts that use the service may start, at most one per day and one per
    /// month. Default none.
    pub caps: Option<Vec<CapInput>>,
}

impl From<ServiceCreateInput> for ServiceCreate {
    fn from(input: ServiceCreateInput) -> Self {
        Self {
            name: input.name,
            base_url: input.base_url.map(|url| url.0),
            token_hosts: input.token_hosts.unwrap_or_default(),
            token: input.token,
            settings: input.settings.map(|json| json.0),
            limits: LimitsPatch {
                caps: Patch::set_or_clear(input.caps.map(new_caps)),
                ..limits_given(input.max_concurrency, input.rate_limits)
            },
        }
    }
}

/// Input of serviceUpdate. Absent fields stay unchanged. Use serviceTokenRefresh to change the
/// token.
#[derive(Debug, InputObject)]
pub struct ServiceUpdateInput {
    /// The id of the service.
    pub id: ID,
    /// The version that was read. If another version is stored, the update is refused with
    /// STALE_VERSION. Absent or null updates any version.
    pub version: Option<i32>,
    /// As in ServiceCreateInput. Cannot be null. Templates that use the old name no longer compose.
    pub name: MaybeUndefined<String>,
    /// As in ServiceCreateInput. Null removes it.
    pub base_url: MaybeUndefined<Url>,
    /// Replaces the whole list, as in ServiceCreateInput. Null empties it.
    pub token_hosts: MaybeUndefined<Vec<String>>,
    /// Replaces all settings, as in ServiceCreateInput. Null means `{}`.
    pub settings: MaybeUndefined<Json>,
    /// Replaces all rate limits, as in ServiceCreateInput. Null removes all. Waiting jobs follow
    /// the new ones.
    pub rate_limits: MaybeUndefined<Vec<RateLimitInput>>,
    /// As in ServiceCreateInput. Null for no limit. A limit below the number of jobs running at
    /// that moment is refused.
    pub max_concurrency: MaybeUndefined<i32>,
    /// Replaces all caps, as in ServiceCreateInput. Null removes all. Waiting jobs follow the new
    /// ones.
    pub caps: MaybeUndefined<Vec<CapInput>>,
}

impl From<ServiceUpdateInput> for ServiceUpdate {
    fn from(input: ServiceUpdateInput) -> Self {
        let changes = ServiceChanges {
            name: patch(input.name),
            base_url: patch(input.base_url.map_value(|url| url.0)),
            token_hosts: patch(input.token_hosts),
            settings: patch(input.settings.map_value(|json| json.0)),
            limits: LimitsPatch {
                caps: patch(input.caps.map_value(new_caps)),
                ..limits_patch(input.max_concurrency, input.rate_limits)
            },
        };
        Self { id: id_of(&input.id), version: input.version, changes }
    }
}

/// Input of serviceTokenRefresh.
#[derive(Debug, InputObject)]
pub struct ServiceTokenRefreshInput {
    /// The id of the service.
    pub id: ID,
    /// The new token, 1 to 65536 bytes without NUL. Encrypted at rest. It never appears in a
    /// response, record or log.
    pub token: SecretString,
    /// When the token expires, in the future. Absent or null means never. For information only.
    pub expires_at: Option<DateTime>,
}

impl From<ServiceTokenRefreshInput> for TokenRefresh {
    fn from(input: ServiceTokenRefreshInput) -> Self {
        Self { id: id_of(&input.id), token: input.token, expires_at: input.expires_at.map(|at| at.0) }
    }
}

/// Input of serviceResume.
#[derive(Debug, InputObject)]
pub struct ServiceResumeInput {
    /// The id of the service.
    pub id: ID,
}

/// Input of serviceDelete. The service's token is deleted with it.
#[derive(Debug, InputObject)]
pub struct ServiceDeleteInput {
    /// The id of the service.
    pub id: ID,
    /// The version that was read. If another version is stored, the deletion is refused with
    /// STALE_VERSION. Absent or null deletes any version.
    pub version: Option<i32>,
}
