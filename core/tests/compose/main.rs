//! How commands compose: templates, secrets, lines, environment, input, and what the worker runs.

#![expect(clippy::panic, clippy::unwrap_used, reason = "these are tests, helpers included")]

mod arguments;
mod environment;
mod fixture;
mod input;
mod line;
mod reveal;
mod saved_secrets;
mod secrets;
mod spec;
mod targets;
mod templates;
mod variables;
mod write_only;
