//! Templates, input and ingredients, from which `command` composes what a job runs.
//!
//! Pure: no clock, no files, no processes. Randomness comes from the caller as a [`Nonce`]. Secret
//! values never enter the template engine, and no value can add an argument, a line or an option.

mod applicable;
mod comparisons;
pub(crate) mod environment;
mod extent;
mod filters;
mod ingredients;
mod input;
mod light;
mod masked;
mod misuse;
mod names;
mod received;
mod run;
mod schema_rules;
pub(crate) mod scope;
mod secret_inputs;
mod secret_marks;
mod tags;
mod template;
mod text;
mod variables;
mod worker_paths;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use ingredients::{Ingredients, JobFacts, ProfileFacts, ProxyFacts, ServiceFacts};
pub use input::{
    INPUT_BYTES_MAX, INPUT_DEPTH_MAX, InputSchema, ReadySchema, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX,
    check_input, check_schema,
};
pub use masked::{ComposedCommand, ComposedHttp, ComposedParts, DISPLAY_CHARS_MAX};
pub(crate) use misuse::{misplaced_secrets, misused_secrets};
pub(crate) use received::Received;
pub use run::{OutputProtocol, ProcessPlan, Program, RevealError, Run, SecretValues};
pub use secret_inputs::{BadSecretInputs, Input, SecretInputs};
pub(crate) use secret_inputs::{find_secrets, split};
pub use template::TemplateAt;
pub(crate) use template::{LightWeight, Templates, has_template, literal_has, refused, unknown_names};
pub use text::{Encoding, Piece, SecretRef, Text, TextSink, URL_BYTES_MAX};
pub use worker_paths::{Sandbox, WorkerPaths};

use crate::clock;

/// An unguessable number, drawn anew for each composition (see `compose::scope`). It does not
/// change the result.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Nonce(u64);

impl Nonce {
    /// Draws one from the system's secure generator.
    pub fn draw() -> Self {
        Self(u64::from_ne_bytes(clock::random_bytes()))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// The composed part of one kind of command, made by [`crate::command::CommandKind::compose`].
pub trait Task: fmt::Debug + Send + Sync {
    /// The secrets that it needs, except those of the environment.
    fn secrets(&self) -> Vec<SecretRef>;

    /// Its own environment variables. They override the variables that every command gets.
    fn environment(&self) -> &[(&str, Text)] {
        &[]
    }

    /// Size of its arguments in bytes, as passed to a program.
    fn arguments_size(&self) -> usize {
        0
    }

    /// The parts to show and store, with secrets as `***`.
    fn masked(&self) -> ComposedParts;

    /// What to run, without the environment, which [`crate::command::Composition::reveal`] adds.
    fn reveal(&self, values: &SecretValues, paths: &WorkerPaths) -> Result<Run, RevealError>;
}
