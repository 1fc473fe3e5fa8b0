//! The API server: GraphQL over HTTP, WebSocket and server-sent events, the embedded web pages, and what goes with
//! them.
//!
//! * [`serve`] makes the parts; [`server`] puts them on one address and shuts it down again; [`settings`] says where.
//! * [`http`] and [`socket`] are the transports; [`operation`] runs what they bring; [`auth`] says who asks.
//! * [`graphql`] is the schema, by noun; [`enqueuer`] takes its new jobs, [`feed`] tells what changes.
//!
//! Nobody imports this crate but its own binary and tests.

// The schema's futures nest deeper than the compiler looks by default, when it optimises.
#![recursion_limit = "256"]

pub mod artifacts;
pub mod auth;
mod command_line;
pub mod cursor;
pub mod demo;
pub mod endpoint;
pub mod enqueuer;
pub mod error;
pub mod feed;
pub mod graphql;
pub mod health;
mod hex;
pub mod http;
pub mod operation;
pub mod origin;
pub mod prometheus;
pub mod serve;
pub mod server;
pub mod settings;
pub mod socket;
pub mod web;

pub use command_line::main;
