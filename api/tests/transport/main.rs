//! The transports with a test schema and without a database, on a loopback port.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test that cannot go on has failed")]
#![expect(clippy::unused_async, reason = "a resolver is async, whether it waits or not")]
#![expect(unreachable_pub, reason = "the library's macros make public types, here in modules of a test")]

mod artifacts;
mod attacks;
mod demo;
mod errors;
mod execution;
mod fuzz;
mod headers;
mod key_shares;
mod keys;
mod pages;
mod rules;
mod shutdown;
mod sockets;
mod stall;
mod strangers;
mod streams;
mod test_server;
