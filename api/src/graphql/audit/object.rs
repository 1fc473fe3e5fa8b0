//! The GraphQL type `AuditEvent`.

use async_graphql::{Enum, ID, Object};
use callboard::{
    audit,
    store::{audit as stored, catalogue::api_keys},
};

use crate::graphql::{
    api_key::Role,
    scalars::{DateTime, Json},
};

/// What became of what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "audit::Outcome")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused, and nothing was changed.
    Refused,
}

/// The GraphQL object `AuditEvent`.
#[derive(Debug, Clone)]
pub struct AuditEvent(pub(super) stored::AuditEvent);

crate::connection!(
    /// A page of the audit, newest first.
    AuditEventConnection,
    /// An entry of the audit with its cursor.
    AuditEventEdge,
    AuditEvent
);

/// An entry of the audit: who did what, when and from where, to what, and what was changed by it. A
/// change and its entry are one transaction. Entries are never changed, and are removed after
/// CALLBOARD_KEEP_AUDIT days.
#[Object]
impl AuditEvent {
    /// The id, `audit_...`.
    async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// When it was.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// The name of the key. Null if nobody is known, as for a sign-in with an unknown key.
    async fn actor(&self) -> Option<&str> {
        self.0.actor.as_deref()
    }

    /// The role of the key at that time.
    async fn role(&self) -> Option<Role> {
        self.0.role.as_deref().and_then(api_keys::Role::parse).map(Role::from)
    }

    /// The id of the key, also if it has been revoked since. Null for the configured key.
    async fn key_id(&self) -> Option<ID> {
        self.0.key.map(|key| ID(key.to_string()))
    }

    /// The address of the client.
    async fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// How the request came in: `http`, `sse` or `socket`. Null for `callboard-api keys`.
    async fn transport(&self) -> Option<&str> {
        self.0.transport.as_deref()
    }

    /// The mutation, such as `serviceUpdate`, or `signIn` for the first use of a key from an
    /// address, or `keys rotate-master` for each start of it. Of a refusal also another field that
    /// was asked for.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// What became of it.
    async fn outcome(&self) -> AuditOutcome {
        self.0.outcome.into()
    }

    /// The kind of object that it was done to, as ids begin: `service`, `job`.
    async fn object_kind(&self) -> Option<&str> {
        self.0.object_kind.as_deref()
    }

    /// The ids of the objects that it was done to. One entry of jobsCancel or jobsRetry has the
    /// jobs of one batch, at most 500.
    async fn object_ids(&self) -> Vec<ID> {
        self.0.object_ids.iter().cloned().map(ID).collect()
    }

    /// The name of the object at that time.
    async fn object_name(&self) -> Option<&str> {
        self.0.object_name.as_deref()
    }

    /// Number of objects, for example of jobs that were enqueued together by one key, or of equal
    /// sign-ins and refusals within a second.
    async fn count(&self) -> i32 {
        self.0.count
    }

    /// The changed fields as they were, without secrets. Null for a new object.
    async fn before(&self) -> Option<Json> {
        self.0.before.clone().map(Json)
    }

    /// The changed fields as they are since, without secrets: of a secret it says `***`, and
    /// `*** (new)` if it replaces one of the same name. Null for a deleted object.
    async fn after(&self) -> Option<Json> {
        self.0.after.clone().map(Json)
    }

    /// The reason: of a refusal its codes and places, of a cancellation what was given.
    async fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }
}
