//! Callboard's core: everything that the API and the workers share, in three rings.
//!
//! * Ring 0 is pure (no async, no SQL, no Redis): what a job is and what may happen to it. [`ids`],
//!   [`api_key`], [`audit`], [`bounds`], [`clock`], [`duration`], [`secret`], [`name`],
//!   [`refusal`], [`policy`], [`patch`], [`limit`], [`schedule`], [`profile`], [`service`],
//!   [`proxy`], [`command_kind`], [`compose`], [`command`], [`job`], [`mutant`], [`text`].
//! * Ring 1 is the world: [`settings`], [`startup`], [`hardening`], [`telemetry`], [`store`] (the
//!   only place with SQL), [`transport`] (Redis and apalis) and [`evaluator`] (children for what
//!   callers bring).
//! * Ring 2 holds the verbs, each in one transaction: [`steps`] of a job's life, and [`catalogue`]
//!   changes. [`recipes`] prepares what they compose from.
//!
//! Imports point inwards only, which `tests/house_rules` checks.

pub mod api_key;
pub mod audit;
pub mod bounds;
pub mod cache;
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
pub(crate) mod percent;
pub mod policy;
pub mod profile;
pub mod proxy;
pub mod refusal;
pub mod schedule;
pub mod secret;
pub mod service;
pub mod text;

pub mod catalogue;
pub mod evaluator;
pub mod hardening;
pub mod recipes;
pub mod settings;
pub mod startup;
pub mod store;
pub mod telemetry;
pub mod transport;

pub mod steps;
