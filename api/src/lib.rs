//! The API server: GraphQL over HTTP, WebSocket and server-sent events, the embedded web pages, and what goes with
//! them.
//!
//! * [`serve`] makes the parts; [`server`] puts them on one address and shuts it down again; [`settings`] says where.
//! * [`http`] and [`socket`] are the transports; [`operation`] runs what they bring; [`auth`] says who asks.
//! * [`graphql`] is the schema, by noun; [`enqueuer`] takes its new jobs, [`feed`] tells what changes.
//!
//! Nobody imports this crate but its own binary and tests.

pub mod artifacts;
pub mod auth;
pub mod demo;
pub mod enqueuer;
pub mod feed;
pub mod graphql;
pub mod health;
mod hex;
pub mod http;
pub mod operation;
pub mod prometheus;
pub mod serve;
pub mod server;
pub mod settings;
pub mod socket;
pub mod web;
