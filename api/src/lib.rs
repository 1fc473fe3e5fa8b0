//! The API server: GraphQL over HTTP, WebSocket and server-sent events, and the embedded web pages.
//!
//! * [`serve`] creates the parts, [`server`] serves them on one address until shutdown,
//!   [`settings`] configures them.
//! * [`http`] and [`socket`] are the transports, [`operation`] runs their operations, [`auth`]
//!   authenticates callers, [`audit`] records refusals and sign-ins.
//! * [`graphql`] is the schema, by noun. [`enqueuer`] stores new jobs, [`feed`] is the source of
//!   subscriptions.

// The schema's futures nest deeper than the compiler's default limit in optimised builds.
#![recursion_limit = "256"]

pub mod allowance;
pub mod artifacts;
pub mod audit;
pub mod auth;
pub mod client_address;
pub mod client_connection;
mod command_line;
pub mod cursor;
pub mod demo;
pub mod endpoint;
pub mod enqueuer;
mod entity_tag;
pub mod error;
pub mod feed;
pub mod graphql;
pub mod health;
pub mod http;
pub mod inbox;
mod keys;
pub mod operation;
pub mod origin;
pub mod prometheus;
mod recent;
mod repeat;
pub mod serve;
pub mod server;
pub mod settings;
pub mod shares;
pub mod socket;
pub mod web;

pub use command_line::main;
