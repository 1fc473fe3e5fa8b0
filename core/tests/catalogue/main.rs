//! The catalogue against a real Postgres. `DATABASE_URL` names any database of a server on which the tests may create
//! and drop databases: each test has one of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod api_keys;
mod commands;
mod database;
mod deletes;
mod ingredients;
mod pages;
mod profile_secrets;
mod profiles;
mod proxies;
mod races;
mod services;
