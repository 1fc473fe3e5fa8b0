//! Who is asking, and what they may do: keys out of headers and sockets, looked up, cached, handed to resolvers.
//!
//! The transports ask the [`Gate`] once an operation; resolvers ask [`Caller::require`]. A key is only ever held as
//! its hash: the text of a key is read, hashed and forgotten in `credentials`.

mod caller;
mod credentials;
mod gate;

pub(crate) use caller::unauthenticated;
pub use caller::{Access, Caller, Role};
pub use credentials::{KeyHash, Presented};
pub use gate::{Authenticate, FixedKey, Gate};
