//! The API server: GraphQL over HTTP, WebSocket and server-sent events, the embedded web pages, and what goes with
//! them.
//!
//! * [`server`] puts everything on one address and shuts it down again; [`settings`] says where.
//! * [`http`] and [`socket`] are the transports; [`operation`] runs what they bring; [`auth`] says who asks.
//! * [`graphql`] is the schema, by noun.
//!
//! Nobody imports this crate but its own binary and tests.

pub mod auth;
pub mod graphql;
pub mod http;
pub mod operation;
pub mod socket;
