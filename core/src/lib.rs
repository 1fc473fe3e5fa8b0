//! Callboard's core: everything that the API and the workers share, in three rings.
//!
//! * Ring 0, pure (no async, no SQL, no Redis): [`ids`], [`clock`], [`duration`], [`secret`], [`name`], [`refusal`], [`policy`], [`patch`],
//!   [`limit`], [`schedule`],
//!   [`profile`], [`service`], [`proxy`], [`command_kind`], [`compose`], [`command`], [`job`], [`mutant`]. What a job is and what may happen to it.
//! * Ring 1, the world: [`settings`], [`telemetry`], [`store`] (the only place with SQL), [`transport`] (Redis
//!   and apalis).
//! * Ring 2, [`steps`] and [`catalogue`]: the verbs of a job's life, and of the catalogue that it draws on. One verb,
//!   one transaction. [`recipes`] prepares what they compose from.
//!
//! Imports point inwards only; `tests/house_rules.rs` checks it.

pub mod clock;
pub mod command;
pub mod command_kind;
pub mod compose;
pub mod duration;
pub mod ids;
pub mod job;
pub mod limit;
pub mod mutant;
pub mod name;
pub mod patch;
pub mod policy;
pub mod profile;
pub mod proxy;
pub mod refusal;
pub mod schedule;
pub mod secret;
pub mod service;

pub mod catalogue;
pub mod recipes;
pub mod settings;
pub mod startup;
pub mod store;
pub mod telemetry;
pub mod transport;

pub mod steps;
