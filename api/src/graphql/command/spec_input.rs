//! The GraphQL inputs that describe what a command runs, field by field or as one line.
//!
//! Only the shape of loosely typed parts (objects with string values, the viewport) is checked
//! here. The core checks bounds, templates and the allow-list when the command is saved or
//! previewed.

use std::collections::BTreeMap;

use async_graphql::{InputObject, MaybeUndefined, OneofObject};
use callboard::{
    command::{self, LineSpec, PageSize, SpecInput, Viewport},
    refusal::Refusal,
};
use serde_json::Value;

use super::{ArtifactMode, Redirects};
use crate::graphql::scalars::Json;

/// What to run. Give exactly one field.
#[derive(Debug, Clone, PartialEq, OneofObject)]
pub enum CommandSpecInput {
    /// A Playwright script.
    Playwright(PlaywrightSpecInput),
    /// An HTTP request.
    Http(HttpSpecInput),
    /// A program.
    Program(ProgramSpecInput),
    /// A Playwright script or a program, written as one command line. It is parsed once, before
    /// anything is rendered, so that no value can add an argument.
    Line(LineSpecInput),
}

/// A command written as one line. `playwright --profile {{ chrome_profile }} --proxy {{
/// proxy_address }} --service {{ service_token }}` is a PLAYWRIGHT command with the script given
/// beside it. Any other program is a PROGRAM command. A secret in the line becomes an environment
/// variable of the child process, and the stored and shown line names that variable.
#[derive(Debug, Clone, PartialEq, Eq, InputObject)]
pub struct LineSpecInput {
    /// The line, at most 65536 bytes: words with quotes as in a shell, but no pipes, variables or
    /// globs. A program without a slash is searched for in the allowed directories.
    pub line: String,
    /// Source of the ES module if the line starts with `playwright`. Must be absent otherwise.
    pub script: Option<String>,
}

/// A Playwright script and its browser options. A trace may contain what the browser sent,
/// including tokens, so it is off by default.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct PlaywrightSpecInput {
    /// Source of an ES module, 1 to 262144 bytes. Not a template, because the job's input, services
    /// and profile are passed to it as values.
    pub script: String,
    /// Size of the page in CSS pixels, at most `{"width": 7680, "height": 4320}`. Absent is
    /// `{"width": 1280, "height": 720}`, and null lets the page fill the browser's window, as in
    /// Playwright.
    pub viewport: MaybeUndefined<Json>,
    /// When Playwright's trace is kept.
    #[graphql(default_with = "Some(ArtifactMode::Off)")]
    pub trace: Option<ArtifactMode>,
    /// When a video of the page is kept.
    #[graphql(default_with = "Some(ArtifactMode::Off)")]
    pub video: Option<ArtifactMode>,
    /// When a screenshot taken at the end is kept.
    #[graphql(default_with = "Some(ArtifactMode::OnFailure)")]
    pub screenshot: Option<ArtifactMode>,
    /// Whether the browser runs without a window.
    #[graphql(default_with = "Some(true)")]
    pub headless: Option<bool>,
    /// Names of services whose tokens the script gets, at most 100, `*` for all of the job's
    /// services and `service_token` for the first that has one. Those whose name stands in the
    /// script it gets anyway. Reading another service's token throws. Default none.
    pub tokens: Option<Vec<String>>,
}

/// One HTTP request. The URL, headers and body are templates. Secrets are allowed only in headers.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct HttpSpecInput {
    /// The method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    #[graphql(default_with = "Some(\"GET\".to_owned())")]
    pub method: Option<String>,
    /// Template of an absolute `http` or `https` URL without user name and password, at most 8192
    /// bytes.
    pub url: String,
    /// Templates of the header values by header name: an object with at most 100 string values of
    /// at most 8192 bytes each. Default none.
    pub headers: Option<Json>,
    /// Template of the body, at most 262144 bytes. Default none.
    pub body: Option<String>,
    /// Statuses that count as success, each 100 to 599, at most 100. Absent, null or empty means
    /// 200 to 299.
    pub expect_status: Option<Vec<i32>>,
    /// What a redirect does. Null means FOLLOW, which is safe because nothing that may hold a
    /// secret goes along to another origin.
    #[graphql(default_with = "Some(Redirects::Follow)")]
    pub redirects: Option<Redirects>,
}

/// An allow-listed program with arguments. The arguments, environment and stdin are templates.
/// Secrets are allowed only in environment and stdin.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct ProgramSpecInput {
    /// Absolute path of a program that the configuration allows. Not a template.
    pub program: String,
    /// Templates of the arguments, at most 256 of at most 8192 bytes each. Each renders to exactly
    /// one argument. Default none.
    pub arguments: Option<Vec<String>>,
    /// Templates of environment variables by name: an object with at most 100 string values of at
    /// most 32768 bytes each. Names must not start with CALLBOARD_. Default none.
    pub environment: Option<Json>,
    /// Template of the standard input, at most 262144 bytes. Default empty.
    pub stdin: Option<String>,
    /// Names of services whose tokens the program gets in its environment, at most 100, `*` for all
    /// of the job's services and `service_token` for the first. Those that the arguments,
    /// environment or stdin name (by a template or as a variable) it gets anyway. Default none.
    pub tokens: Option<Vec<String>>,
}

impl CommandSpecInput {
    /// Converts the input for the core, or returns everything that is malformed, with paths that
    /// start with `spec`.
    pub fn read(self) -> Result<SpecInput, Vec<Refusal>> {
        let spec = match self {
            Self::Playwright(input) => command::CommandSpec::Playwright(input.read()?),
            Self::Http(input) => command::CommandSpec::Http(input.read()?),
            Self::Program(input) => command::CommandSpec::Program(input.read()?),
            Self::Line(LineSpecInput { line, script }) => {
                return Ok(SpecInput::Line(LineSpec { line, script }));
            }
        };
        Ok(SpecInput::Spec(spec))
    }
}

impl PlaywrightSpecInput {
    fn read(self) -> Result<command::PlaywrightSpec, Vec<Refusal>> {
        let viewport = match self.viewport {
            MaybeUndefined::Undefined => PageSize::Default,
            MaybeUndefined::Null | MaybeUndefined::Value(Json(Value::Null)) => PageSize::Window,
            MaybeUndefined::Value(Json(json)) => {
                let message = r#"must be an object of two positive integers, such as {"width": 1280, "height": 720}, or null"#;
                let size = viewport(&json).ok_or_else(|| vec![refused(&["playwright", "viewport"], message)]);
                PageSize::Fixed(size?)
            }
        };
        Ok(command::PlaywrightSpec {
            script: self.script,
            viewport,
            trace: self.trace.unwrap_or(ArtifactMode::Off).into(),
            video: self.video.unwrap_or(ArtifactMode::Off).into(),
            screenshot: self.screenshot.unwrap_or(ArtifactMode::OnFailure).into(),
            headless: self.headless.unwrap_or(true),
            tokens: self.tokens.unwrap_or_default(),
        })
    }
}

impl HttpSpecInput {
    fn read(self) -> Result<command::HttpSpec, Vec<Refusal>> {
        // A status out of range becomes 0, which the core refuses at its place in the list.
        let status = |status: i32| u16::try_from(status).unwrap_or(0);
        Ok(command::HttpSpec {
            method: self.method.unwrap_or_else(|| command::METHODS[0].to_owned()),
            url: self.url,
            headers: texts(&["http", "headers"], self.headers)?,
            body: self.body,
            expect_status: self.expect_status.into_iter().flatten().map(status).collect(),
            redirects: self.redirects.unwrap_or(Redirects::Follow).into(),
        })
    }
}

impl ProgramSpecInput {
    fn read(self) -> Result<command::ProgramSpec, Vec<Refusal>> {
        Ok(command::ProgramSpec {
            program: self.program,
            arguments: self.arguments.unwrap_or_default(),
            environment: texts(&["program", "environment"], self.environment)?,
            stdin: self.stdin,
            tokens: self.tokens.unwrap_or_default(),
        })
    }
}

/// Reads an object of exactly a width and a height.
fn viewport(json: &Value) -> Option<Viewport> {
    let object = json.as_object().filter(|object| object.len() == 2)?;
    let side = |name| object.get(name)?.as_u64().and_then(|side| u32::try_from(side).ok());
    Some(Viewport { width: side("width")?, height: side("height")? })
}

/// Reads an object with string values, or refuses every value that is not a string.
fn texts(path: &[&str], json: Option<Json>) -> Result<BTreeMap<String, String>, Vec<Refusal>> {
    let object = match json {
        None => return Ok(BTreeMap::new()),
        Some(Json(Value::Object(object))) => object,
        Some(Json(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))) => {
            return Err(vec![refused(path, "must be a JSON object with string values")]);
        }
    };
    let (mut texts, mut refusals) = (BTreeMap::new(), Vec::new());
    for (name, value) in object {
        match value {
            Value::String(text) => {
                texts.insert(name, text);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let message = "must be a string (put numbers and booleans in quotes)";
                refusals.push(refused(&[path, &[&name]].concat(), message));
            }
        }
    }
    if refusals.is_empty() { Ok(texts) } else { Err(refusals) }
}

fn refused(path: &[&str], message: &str) -> Refusal {
    Refusal::invalid("", message).below(path).below(&["spec"])
}
