//! The catalogue against a real PostgreSQL: every change, every refusal, every race.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod api_keys;
mod audit;
mod commands;
mod database;
mod deletes;
mod ingredients;
mod pages;
mod profile_secrets;
mod profiles;
mod proxies;
mod races;
mod schema;
mod services;
