//! What mutations of proxies take.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::catalogue::{ProxyChanges, ProxyCreate, ProxyImport, ProxyUpdate};
use secrecy::SecretString;

use super::ProxyProtocol;
use crate::graphql::{
    inputs::{id_of, patch},
    rate_limit::{RateLimitInput, limits_given, limits_patch},
};

/// A new proxy.
#[derive(Debug, InputObject)]
pub struct ProxyCreateInput {
    /// 1 to 100 characters, unique among proxies.
    pub name: String,
    /// What it speaks; cannot be changed later.
    pub protocol: ProxyProtocol,
    /// `host:port`: a host name, an IPv4 address or an IPv6 address in brackets.
    pub address: String,
    /// 1 to 255 bytes without control characters; without `:` for HTTP and HTTPS. Sealed at once and never
    /// shown.
    pub username: Option<SecretString>,
    /// 1 to 255 bytes without control characters; only beside a user name. Sealed at once and never shown.
    pub password: Option<SecretString>,
    /// How often jobs that name it may start, at most 8, each with a name of its own; by default as they come.
    pub rate_limits: Option<Vec<RateLimitInput>>,
    /// How many jobs that name it may run at once, 1 to 1000000; by default as many as there are.
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

/// A new proxy, from a share link.
#[derive(Debug, InputObject)]
pub struct ProxyImportInput {
    /// 1 to 100 characters, unique among proxies. By default what stands behind `#` in the link, or else its
    /// address.
    pub name: Option<String>,
    /// `http://`, `https://` or `socks5://`, then `user:password@host:port#name`; special characters as %XX,
    /// at most 4096 bytes. A secret as a whole: no answer, record or log holds it.
    pub link: SecretString,
}

impl From<ProxyImportInput> for ProxyImport {
    fn from(input: ProxyImportInput) -> Self {
        Self { name: input.name, link: input.link }
    }
}

/// Changes of a proxy. Absent fields stay as they are. With another address or other credentials its health
/// is UNKNOWN.
#[derive(Debug, InputObject)]
pub struct ProxyUpdateInput {
    /// Which.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null changes whatever is
    /// there.
    pub version: Option<i32>,
    /// 1 to 100 characters, unique among proxies. Cannot be null.
    pub name: MaybeUndefined<String>,
    /// `host:port`. Cannot be null.
    pub address: MaybeUndefined<String>,
    /// As in ProxyCreateInput; null for none, and then the password must be null too.
    pub username: MaybeUndefined<SecretString>,
    /// As in ProxyCreateInput; null for none.
    pub password: MaybeUndefined<SecretString>,
    /// Replaces all of them, as in ProxyCreateInput; null for none. Jobs that wait go by the new ones.
    pub rate_limits: MaybeUndefined<Vec<RateLimitInput>>,
    /// As in ProxyCreateInput; null for no limit. A bound below what runs at that moment is refused.
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

/// Which proxy to delete. Its credentials go with it.
#[derive(Debug, InputObject)]
pub struct ProxyDeleteInput {
    /// Which. IN_USE while a profile, a command or a job that has not ended needs it.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null deletes whatever is
    /// there.
    pub version: Option<i32>,
}

/// Which proxy to check.
#[derive(Debug, InputObject)]
pub struct ProxyCheckInput {
    /// Which.
    pub id: ID,
}
