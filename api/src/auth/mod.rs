//! Authentication, sessions and roles: reads keys and cookies from requests and sockets, looks them
//! up, caches the result, and says which role each field needs.
//!
//! Transports call the [`Authenticator`] once per operation, what outlives it is watched, and the
//! [`rules`] are applied before an operation runs. The text of a key is read, hashed and forgotten
//! in `credentials`. Only the hash is kept.

mod authenticator;
mod caller;
mod client;
pub mod cookie;
mod credential_watch;
mod credentials;
mod failures;
mod look_up;
mod messages;
mod own_end;
mod remembered;
pub mod rules;
mod session_cookies;
mod sign_ins;
mod source;
mod stored;

pub use authenticator::Authenticator;
pub use callboard::store::catalogue::api_keys::Role;
pub use caller::{Access, Caller, Credential};
pub(crate) use client::is_forwarded_from_https;
pub use client::{Client, Transport};
pub use credential_watch::CredentialWatch;
pub use credentials::{KEY_BYTES_MAX, KeyHash, Presented, Proof, is_presentable};
pub use failures::{FAILURES_MAX, REGAINED_EVERY};
pub use own_end::OwnEnd;
pub use source::{Authenticate, FixedKey, Verdict};
pub use stored::StoredKeys;
