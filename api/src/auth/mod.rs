//! Authentication and roles: reads keys from requests and sockets, looks them up and caches the
//! result.
//!
//! Transports call the [`Gate`] once per operation, resolvers call [`Caller::require`]. The text of
//! a key is read, hashed and forgotten in `credentials`. Only the hash is kept.

mod caller;
mod credentials;
mod gate;

pub(crate) use caller::unauthenticated;
pub use caller::{Access, Caller, Role};
pub use credentials::{KeyHash, Presented};
pub use gate::{Authenticate, FixedKey, Gate};
