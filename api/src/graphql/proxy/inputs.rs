//! The inputs of proxy mutations.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::catalogue::{ProxyChanges, ProxyCreate, ProxyImport, ProxyUpdate};
use secrecy::SecretString;

use super::ProxyProtocol;
use crate::graphql::{
    inputs::{id_of, patch},
    rate_limit::{RateLimitInput, limits_given, limits_patch},
};

/// Input of proxyCreate.
#[derive(Debug, InputObject)]
pub struct ProxyCreateInput {
    /// The name, 1 to 100 visible characters, stored in Unicode NFC, unique among proxies.
    pub name: String,
    /// The protocol, which cannot be changed later.
    pub protocol: ProxyProtocol,
    /// `host:port`, where the host is a name, an IPv4 address, or an IPv6 address in brackets.
    pub address: String,
    /// The user name, 1 to 255 bytes without control characters, and without `:` for HTTP and
    /// HTTPS. Encrypted at rest and never shown.
    pub username: Option<SecretString>,
    /// The password, 1 to 255 bytes without control characters. Only allowed with a user name.
    /// Encrypted at rest and never shown.
    pub password: Option<SecretString>,
    /// Limits on how often jobs that use the proxy may start, at most 8 with unique names. Default
    /// none.
    pub rate_limits: Option<Vec<RateLimitInput>>,
    /// Maximum number of jobs that use the proxy and run at once, 1 to 1000000. Default no limit.
    pub max_concurrency: Option<i32>,
}

impl From<ProxyCreateInput> for ProxyCreate {
    fn from(input: ProxyCreateInput) -> Self {
        let ProxyCreateInput { name, protocol, address, username, password, rate_limits, max_concurrency } =
            input;
        let limits = limits_given(max_concurrency, rate_limits);
        Self { name, protocol: protocol.into(), address, username, password, limits }
    }
}

/// Input of proxyImport.
#[derive(Debug, InputObject)]
pub struct ProxyImportInput {
    /// The name, 1 to 100 visible characters, stored in Unicode NFC, unique among proxies. Default
    /// is the part after `#` in the link, otherwise the address.
    pub name: Option<String>,
    /// The share link: `http://`, `https://` or `socks5://`, then `user:password@host:port#name`,
    /// with special characters percent-encoded, at most 4096 bytes. The whole link is a secret. It
    /// never appears in a response, record or log.
    pub link: SecretString,
}

impl From<ProxyImportInput> for ProxyImport {
    fn from(input: ProxyImportInput) -> Self {
        Self { name: input.name, link: input.link }
    }
}

/// Input of proxyUpdate. Absent fields stay unchanged. A change of address or credentials resets
/// the health to UNKNOWN.
#[derive(Debug, InputObject)]
pub struct ProxyUpdateInput {
    /// The id of the proxy.
    pub id: ID,
    /// The version that was read. If another version is stored, the update is refused with
    /// STALE_VERSION. Absent or null updates any version.
    pub version: Option<i32>,
    /// The name, 1 to 100 visible characters, stored in Unicode NFC, unique among proxies. Cannot
    /// be null.
    pub name: MaybeUndefined<String>,
    /// `host:port`, as in ProxyCreateInput. Cannot be null.
    pub address: MaybeUndefined<String>,
    /// As in ProxyCreateInput. Null removes it, and then the password must be null too.
    pub username: MaybeUndefined<SecretString>,
    /// As in ProxyCreateInput. Null removes it.
    pub password: MaybeUndefined<SecretString>,
    /// Replaces all rate limits, as in ProxyCreateInput. Null removes all. Waiting jobs follow the
    /// new ones.
    pub rate_limits: MaybeUndefined<Vec<RateLimitInput>>,
    /// As in ProxyCreateInput. Null for no limit. A limit below the number of jobs running at that
    /// moment is refused.
    pub max_concurrency: MaybeUndefined<i32>,
}

impl From<ProxyUpdateInput> for ProxyUpdate {
    fn from(input: ProxyUpdateInput) -> Self {
        let changes = ProxyChanges {
            name: patch(input.name),
            address: patch(input.address),
            username: patch(input.username),
            password: patch(input.password),
            limits: limits_patch(input.max_concurrency, input.rate_limits),
        };
        Self { id: id_of(&input.id), version: input.version, changes }
    }
}

/// Input of proxyDelete. The proxy's credentials are deleted with it.
#[derive(Debug, InputObject)]
pub struct ProxyDeleteInput {
    /// The id of the proxy.
    pub id: ID,
    /// The version that was read. If another version is stored, the deletion is refused with
    /// STALE_VERSION. Absent or null deletes any version.
    pub version: Option<i32>,
}

/// Input of proxyCheck.
#[derive(Debug, InputObject)]
pub struct ProxyCheckInput {
    /// The id of the proxy.
    pub id: ID,
}
