//! The GraphQL schema, by noun; what all nouns share lies directly in this folder.
//!
//! Executed by `operation`, whatever the transport. Knows nothing of HTTP or sockets.

pub mod error;
pub mod limits;
pub mod node;
pub mod page;
pub mod roots;
pub mod scalars;
pub mod user_error;
pub mod viewer;
