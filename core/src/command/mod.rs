//! What a command runs: one spec per kind with its bounds, and how it composes for a job.
//!
//! The API checks a spec when it is saved ([`CommandSpec::check`]), and [`compose`] turns it into
//! what a job runs. A kind is one file that implements [`CommandKind`], one variant of [`Kind`] and
//! one of [`CommandSpec`]. The worker changes only if the kind needs a new `Program`. Pure: never
//! runs or reads anything.

mod allow_list;
mod choices;
mod composition;
pub(crate) mod evaluation;
mod http;
mod http_target;
mod line;
mod line_secrets;
mod playwright;
mod program;
mod syntax;
mod token_names;
mod words;

pub use allow_list::{AllowList, BadAllowList, NOOP};
pub use choices::{Choice, Choices};
pub use composition::{ARGUMENTS_AND_ENVIRONMENT_BYTES_MAX, CompiledSpec, Composition, ReadySpec, compose};
pub use http::{HEADERS_MAX, HttpBuilder, HttpSpec, METHODS, Redirects, STATUSES_MAX};
pub use line::{LINE_BYTES_MAX, LineSpec, SpecInput};
pub use playwright::{
    ArtifactMode, PageSize, PlaywrightBuilder, PlaywrightSpec, SCRIPT_BYTES_MAX, VIEWPORT_DEFAULT,
    VIEWPORT_HEIGHT_MAX, VIEWPORT_WIDTH_MAX, Viewport,
};
pub use program::{
    ARGUMENT_BYTES_MAX, ARGUMENTS_MAX, ENVIRONMENT_MAX, ProgramBuilder, ProgramSpec, VARIABLE_BYTES_MAX,
};
use serde::{Deserialize, Serialize};

use crate::{
    command_kind::Kind,
    compose::{Ingredients, Task, TemplateAt, Text, misused_secrets, refused, unknown_names},
    refusal::{Refusal, RefusalCode},
};

/// Longest request body or standard input as written in the spec, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// What a command runs. Stored as JSON with `kind` beside the kind's own fields. Missing fields
/// take their defaults, and unknown fields of newer versions are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum CommandSpec {
    /// See [`PlaywrightSpec`].
    Playwright(PlaywrightSpec),
    /// See [`HttpSpec`].
    Http(HttpSpec),
    /// See [`ProgramSpec`].
    Program(ProgramSpec),
}

impl CommandSpec {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.as_kind().kind()
    }

    /// The rules of its kind.
    pub fn as_kind(&self) -> &dyn CommandKind {
        match self {
            Self::Playwright(spec) => spec,
            Self::Http(spec) => spec,
            Self::Program(spec) => spec,
        }
    }

    /// Checks everything that does not depend on a job: bounds, forms, the allow-list and the
    /// syntax of every template. Returns all refusals, each with its path (`["spec", "http",
    /// "headers", "Authorization"]`).
    pub fn check(&self, allowed: &AllowList) -> Result<(), Vec<Refusal>> {
        let mut refusals = self.as_kind().check(allowed);
        refusals.extend(unknown_names(&self.as_kind().templates()));
        if let Err(more) = CompiledSpec::compile(self.clone()) {
            refusals.extend(more);
        }
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    /// A refusal for each template that does more with a secret than place it, as far as that can
    /// be known before there is a job. `input_schema` marks the secrets of the input.
    pub fn misused_secrets(&self, input_schema: &serde_json::Value) -> Vec<Refusal> {
        misused_secrets(&self.as_kind().templates(), input_schema)
    }
}

/// The rules of one kind of command.
pub trait CommandKind {
    /// The kind.
    fn kind(&self) -> Kind;

    /// Checks bounds and forms. Compiling checks the syntax of templates.
    fn check(&self, allowed: &AllowList) -> Vec<Refusal>;

    /// Every template of the spec, in the order in which [`compose`](Self::compose) takes the
    /// rendered texts.
    fn templates(&self) -> Vec<TemplateAt<'_>>;

    /// Whether what it runs gets the token of this service of its job. `is_first` is the first one
    /// that has a token.
    fn names_token(&self, service: &str, is_first: bool) -> bool;

    /// Builds what to run from the rendered `texts`, one per template in the same order.
    fn compose<'a>(
        &'a self,
        texts: Vec<Text>,
        ingredients: &'a Ingredients<'a>,
    ) -> Result<Box<dyn Task + 'a>, Vec<Refusal>>;
}

fn invalid(path: &[&str], message: impl Into<String>) -> Refusal {
    refused(RefusalCode::Invalid, path, message)
}

/// A refusal if `text` is longer than `max` bytes or contains NUL.
fn text_fault(path: &[&str], text: &str, max: usize) -> Option<Refusal> {
    if text.len() > max {
        return Some(invalid(path, format!("must be at most {max} bytes, not {}", text.len())));
    }
    text.contains('\0')
        .then(|| invalid(path, "must not contain a NUL character, which can neither be stored nor passed on"))
}

/// A refusal if there are more than `max` entries.
fn too_many(path: &[&str], count: usize, max: usize) -> Option<Refusal> {
    let message = || format!("must have at most {max} entries, not {count}");
    (count > max).then(|| refused(RefusalCode::TooMany, path, message()))
}
