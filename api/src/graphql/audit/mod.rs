//! The GraphQL type `AuditEvent` and its list, for admins.

mod action;
mod list;
mod object;

pub use list::{AuditFilter, AuditQuery};
pub use object::{AuditEvent, AuditEventConnection, AuditEventEdge, AuditOutcome};
