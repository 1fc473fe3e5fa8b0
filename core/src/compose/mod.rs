//! From a saved command and the facts of a job to what runs, or why not.
//!
//! One function, [`compose`], is used by the preview, by the enqueue and by the worker, so that what was shown is what runs.
//! What it answers can be [masked](Composition::masked) for people and records, and [revealed](Composition::reveal) by the
//! worker alone, with the values of the secrets in hand.
//!
//! Pure: no clock, no files, no processes; randomness is the caller's [`Nonce`]. Values of secrets never enter the template
//! engine, and no value can become an argument, a line or an option of its own.

mod applicable;
mod environment;
mod filters;
mod ingredients;
mod input;
mod masked;
mod run;
mod schema_rules;
mod scope;
mod secret_inputs;
mod site;
mod template;
mod text;

use std::{collections::BTreeSet, fmt};

pub use ingredients::{Ingredients, JobFacts, ProfileFacts, ProxyFacts, ServiceFacts};
pub use input::{
    INPUT_BYTES_MAX, INPUT_DEPTH_MAX, InputSchema, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, check_input,
    check_schema,
};
pub use masked::{ComposedCommand, ComposedHttp, ComposedParts, DISPLAY_CHARS_MAX};
pub use run::{ProcessPlan, Program, RevealError, Run, SecretBook, Speech};
pub use secret_inputs::{BadSecretInputs, Input, SecretInputs};
pub use site::{Sandbox, Site};
pub use text::{Encoding, Piece, Place, SecretRef, Text};

use crate::{
    clock,
    command::{CommandSpec, Kind, refused},
    refusal::{Refusal, RefusalCode},
};

/// Most bytes of all arguments and environment variables of one command; Linux refuses more than 2 MiB.
pub const ARGUMENTS_AND_ENVIRONMENT_BYTES_MAX: usize = 1024 * 1024;

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

/// A command's spec with its templates compiled. Callers may keep it by the id of the command's version.
#[derive(Debug)]
pub struct CompiledSpec {
    spec: CommandSpec,
    templates: template::Templates,
}

impl CompiledSpec {
    /// Compiles every template, or answers all that are malformed, each with its path, line and column. Bounds are checked
    /// by [`CommandSpec::check`].
    pub fn compile(spec: CommandSpec) -> Result<Self, Vec<Refusal>> {
        let templates = template::Templates::compile(spec.as_kind().templates())?;
        Ok(Self { spec, templates })
    }

    /// What it was compiled from.
    pub const fn spec(&self) -> &CommandSpec {
        &self.spec
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
    fn reveal(&self, book: &SecretBook, site: &Site) -> Result<Run, RevealError>;
}

/// A command that composes: everything decided, no secret filled in.
#[derive(Debug)]
pub struct Composition<'a> {
    kind: Kind,
    task: Box<dyn Task + 'a>,
    environment: environment::Environment,
}

/// Composes a command for a job, or answers everything that prevents it. Paths begin with `spec`, as in the preview's
/// input; of a saved command the caller may put its own in front.
pub fn compose<'a>(
    compiled: &'a CompiledSpec,
    ingredients: &'a Ingredients<'a>,
    nonce: Nonce,
) -> Result<Composition<'a>, Vec<Refusal>> {
    let (scope, marks) = scope::scope(ingredients, compiled.templates.roots(), nonce);
    let texts = compiled.templates.render(&scope, &marks, ingredients)?;
    let task = compiled.spec.as_kind().compose(texts, ingredients)?;
    let environment =
        environment::environment(ingredients, task.environment()).map_err(|refusal| vec![refusal])?;
    let composition = Composition { kind: compiled.spec.kind(), task, environment };
    let size = composition.size();
    if size > ARGUMENTS_AND_ENVIRONMENT_BYTES_MAX {
        let message = format!(
            "arguments and environment are {size} bytes together; {ARGUMENTS_AND_ENVIRONMENT_BYTES_MAX} are allowed"
        );
        return Err(vec![refused(RefusalCode::NotComposable, &[], message)]);
    }
    Ok(composition)
}

impl Composition<'_> {
    /// Every secret that it needs, for the worker to decrypt.
    pub fn secrets(&self) -> BTreeSet<SecretRef> {
        let of_environment = self.environment.values().flat_map(Text::secrets).cloned();
        self.task.secrets().into_iter().chain(of_environment).collect()
    }

    /// For people and records: every secret as `***`.
    pub fn masked(&self) -> ComposedCommand {
        let environment =
            self.environment.iter().map(|(name, value)| (name.clone(), value.masked())).collect();
        ComposedCommand::new(self.kind, self.task.masked(), environment)
    }

    /// What to run, with every secret of `book` filled in. For the worker alone.
    pub fn reveal(&self, book: &SecretBook, site: &Site) -> Result<Run, RevealError> {
        let mut run = self.task.reveal(book, site)?;
        if let Run::Process(plan) = &mut run {
            for (name, value) in &self.environment {
                let value = value.reveal(book, site)?;
                if value.contains('\0') {
                    return Err(RevealError::NotText { place: format!("environment variable {name}") });
                }
                plan.environment.push((name.clone(), value.into()));
            }
        }
        Ok(run)
    }

    fn size(&self) -> usize {
        let of_environment = self.environment.iter().map(|(name, value)| name.len() + value.masked_len() + 2);
        self.task.arguments_size() + of_environment.sum::<usize>()
    }
}
