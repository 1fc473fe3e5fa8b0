//! Authentication and roles: reads keys from requests and sockets, looks them up and caches the
//! result.
//!
//! Transports call the [`Authenticator`] once per operation, resolvers call [`Caller::require`].
//! The text of a key is read, hashed and forgotten in `credentials`. Only the hash is kept.

mod authenticator;
mod caller;
mod client;
mod credentials;

pub use authenticator::{Authenticate, Authenticator, FixedKey};
pub(crate) use caller::unauthenticated;
pub use caller::{Access, Caller, Credential, Role};
pub use client::{Client, Transport};
pub use credentials::{KeyHash, Presented};
