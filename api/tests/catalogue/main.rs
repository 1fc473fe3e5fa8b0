//! The catalogue through GraphQL over HTTP: every mutation of profiles, services, proxies, commands
//! and schedules with its refusals, lists, batching, previews, and no secret in any response. Each
//! test has its own database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod api;
mod audit;
mod audit_entries;
mod batching;
mod checks;
mod commands;
mod jobs;
mod keys;
mod names;
mod pages;
mod parts;
mod preview;
mod profiles;
mod proxies;
mod readers;
mod schedules;
mod schedules_by_hand;
mod services;
mod statements;
mod unavailable;
