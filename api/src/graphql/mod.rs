//! The GraphQL schema, with one folder per noun and the shared parts directly in this folder.
//!
//! `operation` executes it for every transport. Nothing here depends on HTTP or WebSockets.

pub mod api_key;
pub mod artifact;
pub mod attempt;
pub mod audit;
pub mod catalogue;
pub mod command;
pub mod composed;
pub mod consumption;
pub mod cost;
pub mod input_scalars;
pub mod inputs;
pub mod introspection;
pub mod job;
pub mod job_loaders;
pub mod loaders;
pub mod log;
pub mod name_lists;
pub mod node;
pub mod page;
pub mod payload;
pub mod payloads;
pub mod policy;
pub mod profile;
pub mod proxy;
pub mod query_limits;
pub mod queue;
pub mod rate_limit;
pub mod reads;
pub mod roots;
pub mod scalars;
pub mod schedule;
pub mod secret;
pub mod service;
pub mod session;
pub mod shapes;
pub mod user_error;
pub mod viewer;
pub mod weigh;
pub mod worker;
