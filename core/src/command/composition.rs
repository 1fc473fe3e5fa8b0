//! Composes a saved command and the facts of a job into what runs.
//!
//! The preview, the enqueue and the worker all compose alike, so that what was shown is what runs.
//! The result can be [masked](Composition::masked) to show and store it. Only the worker
//! [reveals](Composition::reveal) it, with the secret values.

use std::collections::BTreeSet;

use super::CommandSpec;
use crate::{
    command_kind::Kind,
    compose::{
        ComposedCommand, Ingredients, LightWeight, Nonce, RevealError, Run, SecretRef, SecretValues, Task,
        Templates, Text, WorkerPaths, environment, refused, scope,
    },
    refusal::{Refusal, RefusalCode},
};

/// Most bytes of all arguments and environment variables of one command. Linux refuses more than 2
/// MiB.
pub const ARGUMENTS_AND_ENVIRONMENT_BYTES_MAX: usize = 1024 * 1024;

/// A command's spec with its templates compiled. Callers may cache it by the id of the command's
/// version.
#[derive(Debug)]
pub struct CompiledSpec {
    spec: CommandSpec,
    templates: Templates,
}

impl CompiledSpec {
    /// Compiles every template. Returns a refusal for each malformed one, with its path, line and
    /// column. [`CommandSpec::check`] checks the bounds.
    pub fn compile(spec: CommandSpec) -> Result<Self, Vec<Refusal>> {
        let templates = Templates::compile(spec.as_kind().templates())?;
        Ok(Self { spec, templates })
    }

    /// The spec that it was compiled from.
    pub const fn spec(&self) -> &CommandSpec {
        &self.spec
    }
}

/// A checked spec, with its templates compiled if they are all light (`compose::light`). Callers
/// may cache it by the id of the command's version. `Evaluator::compose` composes it, whatever its
/// templates are.
#[derive(Debug)]
pub struct ReadySpec {
    spec: CommandSpec,
    light: Option<(Templates, LightWeight)>,
}

impl ReadySpec {
    /// Compiles the templates if they are light.
    pub fn new(spec: CommandSpec) -> Self {
        let light = Templates::compile_light(spec.as_kind().templates());
        Self { spec, light }
    }

    /// The spec.
    pub const fn spec(&self) -> &CommandSpec {
        &self.spec
    }

    /// Renders the templates in this process. `None` if they must be evaluated in another one.
    pub(crate) fn render_light(
        &self,
        ingredients: &Ingredients<'_>,
        nonce: Nonce,
    ) -> Option<Result<Vec<Text>, Vec<Refusal>>> {
        let (templates, weight) = self.light.as_ref()?;
        let is_light = weight.is_light_with(ingredients, templates);
        is_light.then(|| render(templates, ingredients, nonce))
    }

    /// Composes from the rendered `texts`, one per template of the spec in the same order.
    pub(crate) fn finish<'a>(
        &'a self,
        texts: Vec<Text>,
        ingredients: &'a Ingredients<'a>,
    ) -> Result<Composition<'a>, Vec<Refusal>> {
        finish(&self.spec, texts, ingredients)
    }
}

/// A composed command, complete except for its secret values.
#[derive(Debug)]
pub struct Composition<'a> {
    kind: Kind,
    task: Box<dyn Task + 'a>,
    environment: environment::Environment,
    withheld: Vec<&'a str>,
}

/// Composes a command for a job. Returns everything that prevents it as refusals. Their paths begin
/// with `spec`, as in the preview's input. For a saved command the caller may prefix its own path.
pub fn compose<'a>(
    compiled: &'a CompiledSpec,
    ingredients: &'a Ingredients<'a>,
    nonce: Nonce,
) -> Result<Composition<'a>, Vec<Refusal>> {
    finish(&compiled.spec, render(&compiled.templates, ingredients, nonce)?, ingredients)
}

/// Renders every template.
pub(super) fn render(
    templates: &Templates,
    ingredients: &Ingredients<'_>,
    nonce: Nonce,
) -> Result<Vec<Text>, Vec<Refusal>> {
    let (scope, marks) = scope::scope(ingredients, templates.roots(), nonce);
    templates.render(&scope, &marks, ingredients)
}

fn finish<'a>(
    spec: &'a CommandSpec,
    texts: Vec<Text>,
    ingredients: &'a Ingredients<'a>,
) -> Result<Composition<'a>, Vec<Refusal>> {
    let task = spec.as_kind().compose(texts, ingredients)?;
    let is_named = |service: &str, is_first| spec.as_kind().names_token(service, is_first);
    let environment = environment::environment(ingredients, task.environment(), &is_named)
        .map_err(|refusal| vec![refusal])?;
    let unnamed = ingredients.with_token().filter(|(service, is_first)| !is_named(service.name, *is_first));
    let withheld = unnamed.map(|(service, _)| service.name).collect();
    let composition = Composition { kind: spec.kind(), task, environment, withheld };
    let size = composition.size();
    if size > ARGUMENTS_AND_ENVIRONMENT_BYTES_MAX {
        let message = format!(
            "arguments and environment are {size} bytes together. \
             At most {ARGUMENTS_AND_ENVIRONMENT_BYTES_MAX} are allowed"
        );
        return Err(vec![refused(RefusalCode::NotComposable, &[], message)]);
    }
    Ok(composition)
}

impl Composition<'_> {
    /// Every secret that the worker must decrypt for it.
    pub fn secrets(&self) -> BTreeSet<SecretRef> {
        let of_environment = self.environment.values().flat_map(Text::secrets).cloned();
        self.task.secrets().into_iter().chain(of_environment).collect()
    }

    /// The services of the job whose tokens a program or script does not get, because its command
    /// does not name them.
    pub fn withheld_tokens(&self) -> &[&str] {
        match self.kind {
            Kind::Program | Kind::Playwright => &self.withheld,
            Kind::Http => &[],
        }
    }

    /// The command to show and store, with every secret as `***`.
    pub fn masked(&self) -> ComposedCommand {
        let environment =
            self.environment.iter().map(|(name, value)| (name.clone(), value.masked())).collect();
        ComposedCommand::new(self.kind, self.task.masked(), environment)
    }

    /// What to run, with every secret filled in from `values`. Only the worker calls it.
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
