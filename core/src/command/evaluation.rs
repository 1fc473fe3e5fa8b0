//! Evaluations: work of which only its time and memory can be bounded, because callers bring it.
//!
//! An [`Evaluation`] is written by one process and done by [`Evaluations::run`] in another, which
//! ends when it takes too long (`crate::evaluator`). Pure. Holds no secret, except the values of an
//! input that is checked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AllowList, CommandSpec, LineSpec, SpecInput, composition::render};
use crate::{
    cache::{self, Cache},
    compose::{
        Ingredients, InputSchema, Nonce, Received, TemplateAt, Templates, Text, TextSink, check_schema,
        find_secrets,
    },
    refusal::{Refusal, RefusalCode},
};

/// Most refusals of one evaluation. A spec may have thousands of faults.
const REFUSALS_MAX: usize = 100;
/// Most commands whose compiled templates are kept.
const COMPILED_MAX: usize = 32;

/// What is to be evaluated.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) enum Evaluation<'a> {
    /// Whether a command can be saved. The result is [`Checked`].
    Save { spec: &'a SpecInput, allowed: &'a AllowList, schema: &'a Value },
    /// Whether a saved command can get another schema. The result is a list of refusals.
    Schema { schema: &'a Value, spec: &'a CommandSpec },
    /// What templates render to. The result is [`Rendered`].
    Render { templates: &'a [TemplateAt<'a>], given: &'a Ingredients<'a>, nonce: Nonce },
    /// Whether an input that has its defaults matches its schema. The result is [`Matched`].
    Input { schema: &'a Value, input: &'a Value, has_secrets: bool },
    /// Which parts of an input are secret. The result is their JSON pointers.
    Secrets { schema: &'a Value, input: &'a Value },
}

/// The spec and a refusal for each template that misuses a secret, or everything that is wrong with
/// spec and schema.
pub(crate) type Checked = Result<(CommandSpec, Vec<Refusal>), Vec<Refusal>>;
/// One text per template, or a refusal for each that does not render.
pub(crate) type Rendered = Result<Vec<Text>, Vec<Refusal>>;
/// JSON pointers of the input's secrets, or what does not match.
pub(crate) type Matched = Result<BTreeSet<String>, Vec<Refusal>>;

impl Evaluation<'_> {
    /// Whether the process that did it is not used again: because it has parsed a script, with a
    /// parser written in C, or has seen secrets.
    pub(crate) fn is_last(&self) -> bool {
        match self {
            Self::Save { spec, .. } => match spec {
                SpecInput::Spec(CommandSpec::Playwright(_)) => true,
                SpecInput::Spec(CommandSpec::Http(_) | CommandSpec::Program(_)) => false,
                SpecInput::Line(LineSpec { script, .. }) => script.is_some(),
            },
            Self::Schema { .. } | Self::Render { .. } => false,
            Self::Input { has_secrets, .. } => *has_secrets,
            Self::Secrets { .. } => true,
        }
    }
}

/// An [`Evaluation`] as it is read.
#[derive(Deserialize)]
enum Order {
    Save { spec: SpecInput, allowed: AllowList, schema: Value },
    Schema { schema: Value, spec: CommandSpec },
    Render { templates: Vec<Template>, given: Box<Received>, nonce: Nonce },
    Input { schema: Value, input: Value },
    Secrets { schema: Value, input: Value },
}

#[derive(PartialEq, Eq, Hash, Deserialize)]
struct Template {
    place: TextSink,
    path: Vec<String>,
    source: String,
}

impl Template {
    fn at(&self) -> TemplateAt<'_> {
        TemplateAt { place: self.place, path: self.path.clone(), source: &self.source }
    }
}

/// Does evaluations, and keeps the templates that it compiled last.
#[derive(Debug)]
pub(crate) struct Evaluations {
    compiled: Cache<Vec<Template>, Templates>,
}

impl Default for Evaluations {
    fn default() -> Self {
        Self { compiled: cache::bounded(COMPILED_MAX) }
    }
}

impl Evaluations {
    /// Does one evaluation. Takes and returns JSON.
    pub(crate) fn run(&mut self, order: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        match serde_json::from_slice(order)? {
            Order::Save { spec, allowed, schema } => serde_json::to_vec(&save(spec, &allowed, &schema)),
            Order::Schema { schema, spec } => {
                let refusals = check_schema(&schema).err().unwrap_or_else(|| spec.misused_secrets(&schema));
                serde_json::to_vec(&cut(refusals))
            }
            Order::Render { templates, given, nonce } => {
                serde_json::to_vec(&self.render(templates, &given, nonce).map_err(cut))
            }
            Order::Input { schema, input } => {
                let found: Matched =
                    InputSchema::compile(&schema).and_then(|schema| schema.secrets_of(&input));
                serde_json::to_vec(&found)
            }
            Order::Secrets { schema, input } => serde_json::to_vec(&find_secrets(&schema, &input)),
        }
    }

    fn render(&mut self, templates: Vec<Template>, given: &Received, nonce: Nonce) -> Rendered {
        let compile = |templates: &Vec<Template>| {
            // They compiled when they were saved, perhaps by an older version with wider bounds.
            Templates::compile(templates.iter().map(Template::at).collect()).map_err(not_composable)
        };
        let templates = self.compiled.try_get_or_insert_with_key(templates, compile)?;
        let services = given.services();
        render(templates, &given.ingredients(&services), nonce)
    }
}

fn not_composable(refusals: Vec<Refusal>) -> Vec<Refusal> {
    refusals.into_iter().map(|refusal| Refusal { code: RefusalCode::NotComposable, ..refusal }).collect()
}

fn save(spec: SpecInput, allowed: &AllowList, schema: &Value) -> Checked {
    let (spec, schema) = (spec.check(allowed, schema), check_schema(schema));
    match (spec, schema) {
        (Ok((spec, misused)), Ok(())) => Ok((spec, cut(misused))),
        (spec, schema) => Err(cut([spec.err(), schema.err()].into_iter().flatten().flatten().collect())),
    }
}

fn cut(mut refusals: Vec<Refusal>) -> Vec<Refusal> {
    refusals.truncate(REFUSALS_MAX);
    refusals
}
