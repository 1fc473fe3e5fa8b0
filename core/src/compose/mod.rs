//! What a composition is made of: templates, input, ingredients, secrets, and what runs in the end. `command` puts it together.
//!
//! Pure: no clock, no files, no processes; randomness is the caller's [`Nonce`]. Values of secrets never enter the template
//! engine, and no value can become an argument, a line or an option of its own.

mod applicable;
pub(crate) mod environment;
mod filters;
mod ingredients;
mod input;
mod masked;
mod run;
mod schema_rules;
pub(crate) mod scope;
mod secret_inputs;
mod template;
mod text;
mod worker_paths;

use std::fmt;

pub use ingredients::{Ingredients, JobFacts, ProfileFacts, ProxyFacts, ServiceFacts};
pub use input::{
    INPUT_BYTES_MAX, INPUT_DEPTH_MAX, InputSchema, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, check_input,
    check_schema,
};
pub use masked::{ComposedCommand, ComposedHttp, ComposedParts, DISPLAY_CHARS_MAX};
pub use run::{OutputProtocol, ProcessPlan, Program, RevealError, Run, SecretValues};
pub use secret_inputs::{BadSecretInputs, Input, SecretInputs};
pub use template::TemplateAt;
pub(crate) use template::{Templates, has_template, refused};
pub use text::{Encoding, Piece, Place, SecretRef, Text, URL_BYTES_MAX};
pub use worker_paths::{Sandbox, WorkerPaths};

use crate::clock;

/// A number that nobody can guess, drawn anew for each composition (see `compose::scope`). It does not change the outcome.
#[derive(Clone, Copy)]
pub struct Nonce(u64);

impl Nonce {
    /// From the system's secure generator.
    pub fn draw() -> Self {
        Self(u64::from_ne_bytes(clock::random_bytes()))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// What one kind of command has composed; made by [`crate::command::CommandKind::compose`].
pub trait Task: fmt::Debug + Send + Sync {
    /// The secrets that it needs, those of the environment aside.
    fn secrets(&self) -> Vec<SecretRef>;

    /// Variables of its own, which win over those that every command gets.
    fn environment(&self) -> &[(&str, Text)] {
        &[]
    }

    /// Bytes of its arguments, as passed to a program.
    fn arguments_size(&self) -> usize {
        0
    }

    /// For people and records.
    fn masked(&self) -> ComposedParts;

    /// What to run; the environment is added by [`Composition::reveal`].
    fn reveal(&self, values: &SecretValues, paths: &WorkerPaths) -> Result<Run, RevealError>;
}
