//! PROGRAM: an allow-listed executable with arguments. Never a shell line.
//!
//! Each argument is a template of its own and renders into exactly one argument, so no value can
//! add another. Secrets are allowed in environment variables and standard input. Arguments can be
//! read by every user of the machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    AllowList, BODY_BYTES_MAX, CommandKind, allow_list::NOOP, invalid, text_fault, token_names, too_many,
};
use crate::{
    command_kind::Kind,
    compose::{
        ComposedParts, Ingredients, OutputProtocol, ProcessPlan, Program, RevealError, Run, SecretRef,
        SecretValues, Task, TemplateAt, Text, TextSink, WorkerPaths, has_template,
    },
    name::is_variable_name,
    refusal::Refusal,
};

/// Most arguments of a program.
pub const ARGUMENTS_MAX: usize = 256;
/// Longest argument, as a template, in bytes.
pub const ARGUMENT_BYTES_MAX: usize = 8 * 1024;
/// Most environment variables of a spec.
pub const ENVIRONMENT_MAX: usize = 100;
/// Longest value of an environment variable, as a template, in bytes.
pub const VARIABLE_BYTES_MAX: usize = 32 * 1024;
/// Prefix of the variables that only the worker sets.
const OWN_PREFIX: &str = "CALLBOARD_";

/// A program with its arguments, environment and standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramSpec {
    /// Absolute path of an allowed program, or [`NOOP`]. Not a template.
    pub program: String,
    /// One template per argument, at most [`ARGUMENTS_MAX`] of [`ARGUMENT_BYTES_MAX`] bytes each.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Templates by variable name, at most [`ENVIRONMENT_MAX`] of [`VARIABLE_BYTES_MAX`] bytes
    /// each. They override the variables that every command gets (see `compose::environment`).
    /// Names that begin with `CALLBOARD_` are refused.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Template of the standard input, at most [`BODY_BYTES_MAX`] bytes. `None` means empty input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Names of services whose tokens the program gets in its environment, beside those that its
    /// texts name: `*` for all of the job's services, `service_token` for the first that has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
}

/// Builds a [`ProgramSpec`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ProgramBuilder(ProgramSpec);

impl ProgramSpec {
    /// A spec for this program without arguments.
    pub fn builder(program: impl Into<String>) -> ProgramBuilder {
        let (arguments, environment, stdin) = (Vec::new(), BTreeMap::new(), None);
        ProgramBuilder(Self { program: program.into(), arguments, environment, stdin, tokens: Vec::new() })
    }
}

impl ProgramBuilder {
    /// Adds an argument, a template.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.0.arguments.push(argument.into());
        self
    }

    /// Adds an environment variable. Its value is a template.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.environment.insert(name.into(), value.into());
        self
    }

    /// Sets the standard input, a template.
    pub fn stdin(mut self, stdin: impl Into<String>) -> Self {
        self.0.stdin = Some(stdin.into());
        self
    }

    /// Adds a service whose token the program gets, or `*` for all.
    pub fn token(mut self, service: impl Into<String>) -> Self {
        self.0.tokens.push(service.into());
        self
    }

    /// Returns the spec, or everything that is wrong with it.
    pub fn build(self, allowed: &AllowList) -> Result<ProgramSpec, Vec<Refusal>> {
        super::CommandSpec::Program(self.0.clone()).check(allowed).map(|()| self.0)
    }
}

impl CommandKind for ProgramSpec {
    fn kind(&self) -> Kind {
        Kind::Program
    }

    fn check(&self, allowed: &AllowList) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if has_template(&self.program) {
            let message = "must not be a template, because the program is fixed when the command is saved";
            refusals.push(invalid(&["program", "program"], message));
        } else if !allowed.allows(&self.program) {
            let program: String = self.program.chars().take(200).collect();
            let message = format!(
                "`{program}` is not on the allow-list ({allowed}). Write the absolute path of \
                 an allowed program"
            );
            refusals.push(invalid(&["program", "program"], message));
        }
        refusals.extend(too_many(&["program", "arguments"], self.arguments.len(), ARGUMENTS_MAX));
        for (index, argument) in self.arguments.iter().enumerate() {
            let path = ["program", "arguments", &index.to_string()];
            refusals.extend(text_fault(&path, argument, ARGUMENT_BYTES_MAX));
        }
        refusals.extend(too_many(&["program", "environment"], self.environment.len(), ENVIRONMENT_MAX));
        for (name, value) in &self.environment {
            let path = ["program", "environment", name];
            if !is_variable_name(name) {
                refusals.push(invalid(
                    &path,
                    "is not a variable name. Write a letter or `_`, then letters, digits or `_`",
                ));
            } else if name.to_ascii_uppercase().starts_with(OWN_PREFIX) {
                refusals.push(invalid(
                    &path,
                    "must not begin with CALLBOARD_, because the worker sets those variables",
                ));
            }
            refusals.extend(text_fault(&path, value, VARIABLE_BYTES_MAX));
        }
        if let Some(stdin) = &self.stdin {
            refusals.extend(text_fault(&["program", "stdin"], stdin, BODY_BYTES_MAX));
        }
        refusals.extend(token_names::faults("program", &self.tokens));
        refusals
    }

    fn templates(&self) -> Vec<TemplateAt<'_>> {
        let mut templates = Vec::with_capacity(self.arguments.len() + self.environment.len() + 1);
        for (index, argument) in self.arguments.iter().enumerate() {
            let path = ["program", "arguments", &index.to_string()];
            templates.push(TemplateAt::new(TextSink::Argument, &path, argument));
        }
        for (name, value) in &self.environment {
            templates.push(TemplateAt::new(TextSink::Variable, &["program", "environment", name], value));
        }
        if let Some(stdin) = &self.stdin {
            templates.push(TemplateAt::new(TextSink::Stdin, &["program", "stdin"], stdin));
        }
        templates
    }

    fn names_token(&self, service: &str, is_first: bool) -> bool {
        let texts = self.arguments.iter().chain(self.environment.values()).chain(&self.stdin);
        token_names::in_list(&self.tokens, service, is_first)
            || token_names::in_texts(texts.map(String::as_str), service, is_first)
    }

    fn compose<'a>(
        &'a self,
        texts: Vec<Text>,
        _ingredients: &'a Ingredients<'a>,
    ) -> Result<Box<dyn Task + 'a>, Vec<Refusal>> {
        let mut texts = texts.into_iter();
        let arguments = texts.by_ref().take(self.arguments.len()).collect();
        let environment = self.environment.keys().map(String::as_str).zip(texts.by_ref()).collect();
        let stdin = self.stdin.as_ref().and(texts.next());
        Ok(Box::new(ProgramTask { spec: self, arguments, environment, stdin }))
    }
}

/// A composed program.
#[derive(Debug)]
struct ProgramTask<'a> {
    spec: &'a ProgramSpec,
    arguments: Vec<Text>,
    environment: Vec<(&'a str, Text)>,
    stdin: Option<Text>,
}

impl Task for ProgramTask<'_> {
    fn secrets(&self) -> Vec<SecretRef> {
        self.stdin.iter().flat_map(Text::secrets).cloned().collect()
    }

    fn environment(&self) -> &[(&str, Text)] {
        &self.environment
    }

    fn arguments_size(&self) -> usize {
        self.spec.program.len()
            + self.arguments.iter().map(|argument| argument.masked_len() + 1).sum::<usize>()
    }

    fn masked(&self) -> ComposedParts {
        ComposedParts {
            program: Some(self.spec.program.clone()),
            arguments: self.arguments.iter().map(Text::masked).collect(),
            http: None,
        }
    }

    fn reveal(&self, values: &SecretValues, paths: &WorkerPaths) -> Result<Run, RevealError> {
        if self.spec.program == NOOP {
            return Ok(Run::Noop);
        }
        Ok(Run::Process(ProcessPlan {
            program: Program::File(self.spec.program.clone()),
            arguments: self
                .arguments
                .iter()
                .map(|text| text.reveal(values, paths))
                .collect::<Result<_, _>>()?,
            environment: Vec::new(),
            stdin: self.stdin.as_ref().map(|text| text.reveal(values, paths)).transpose()?.map(Into::into),
            protocol: OutputProtocol::Lines,
        }))
    }
}
