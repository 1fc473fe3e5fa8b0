//! The catalogue through GraphQL over HTTP, on a database of each test's own: every verb of profiles,
//! services, proxies, commands and schedules, every reason why one is refused, lists, batching, previews, and that no
//! secret ever comes out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod api;
mod batching;
mod checks;
mod commands;
mod jobs;
mod pages;
mod preview;
mod profiles;
mod proxies;
mod schedules;
mod services;
mod statements;
