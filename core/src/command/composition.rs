//! From a saved command and the facts of a job to what runs, or why not.
//!
//! One function, [`compose`], is used by the preview, by the enqueue and by the worker, so that what was shown is what runs.
//! What it answers can be [masked](Composition::masked) for people and records, and [revealed](Composition::reveal) by the
//! worker alone, with the values of the secrets in hand.

use std::collections::BTreeSet;

use super::CommandSpec;
use crate::{
    command_kind::Kind,
    compose::{
        ComposedCommand, Ingredients, Nonce, RevealError, Run, SecretRef, SecretValues, Task, Templates,
        Text, WorkerPaths, environment, refused, scope,
    },
    refusal::{Refusal, RefusalCode},
};

/// Most bytes of all arguments and environment variables of one command; Linux refuses more than 2 MiB.
pub const ARGUMENTS_AND_ENVIRONMENT_BYTES_MAX: usize = 1024 * 1024;

/// A command's spec with its templates compiled. Callers may keep it by the id of the command's version.
#[derive(Debug)]
pub struct CompiledSpec {
    spec: CommandSpec,
    templates: Templates,
}

impl CompiledSpec {
    /// Compiles every template, or answers all that are malformed, each with its path, line and column. Bounds are checked
    /// by [`CommandSpec::check`].
    pub fn compile(spec: CommandSpec) -> Result<Self, Vec<Refusal>> {
        let templates = Templates::compile(spec.as_kind().templates())?;
        Ok(Self { spec, templates })
    }

    /// What it was compiled from.
    pub const fn spec(&self) -> &CommandSpec {
        &self.spec
    }
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
    pub fn reveal(&self, values: &SecretValues, paths: &WorkerPaths) -> Result<Run, RevealError> {
        let mut run = self.task.reveal(values, paths)?;
        if let Run::Process(plan) = &mut run {
            for (name, value) in &self.environment {
                let value = value.reveal(values, paths)?;
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
