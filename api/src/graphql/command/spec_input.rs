//! What a command is to run, as written: field by field, or as one line.
//!
//! Here only the form of the loosely typed parts is read (objects of texts, the viewport); bounds, templates
//! and the allow-list are checked by the core when the command is saved or previewed.

use std::collections::BTreeMap;

use async_graphql::{InputObject, OneofObject};
use callboard::{
    command::{self, LineSpec, SpecInput, Viewport},
    refusal::Refusal,
};
use serde_json::Value;

use super::ArtifactMode;
use crate::graphql::scalars::Json;

/// What to run: exactly one of these.
#[derive(Debug, Clone, PartialEq, OneofObject)]
pub enum CommandSpecInput {
    /// A script in a browser.
    Playwright(PlaywrightSpecInput),
    /// One request.
    Http(HttpSpecInput),
    /// A program.
    Program(ProgramSpecInput),
    /// One of the others, written as a command line and parsed once, before anything is rendered, so that no
    /// value can add an argument.
    Line(LineSpecInput),
}

/// A command written as one line. `playwright --profile {{ chrome_profile }} --proxy {{ proxy_address }}
/// --service {{ service_token }}` is PLAYWRIGHT with the script given beside it, any other program is
/// PROGRAM. A secret in a line becomes an environment variable of the child; the line that is stored and
/// shown names the variable.
#[derive(Debug, Clone, PartialEq, Eq, InputObject)]
pub struct LineSpecInput {
    /// The line, at most 65536 bytes: words with quotes as in a shell, but no pipes, variables or globs. A
    /// program without a slash is looked for in the allowed directories.
    pub line: String,
    /// Source of the ES module, where the line begins with `playwright`; else it must be absent.
    pub script: Option<String>,
}

/// A Playwright script and the options of its browser. A trace may hold what the browser sent, tokens
/// included: off unless asked for.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct PlaywrightSpecInput {
    /// Source of an ES module, 1 to 262144 bytes. Not a template: the job's input, services and profile are
    /// given to it as values.
    pub script: String,
    /// Size of the page in CSS pixels, at most `{"width": 7680, "height": 4320}`; absent or null leaves it to
    /// the browser.
    pub viewport: Option<Json>,
    /// When Playwright's trace is kept.
    #[graphql(default_with = "Some(ArtifactMode::Off)")]
    pub trace: Option<ArtifactMode>,
    /// When a video of the page is kept.
    #[graphql(default_with = "Some(ArtifactMode::Off)")]
    pub video: Option<ArtifactMode>,
    /// When a screenshot at the end is kept.
    #[graphql(default_with = "Some(ArtifactMode::OnFailure)")]
    pub screenshot: Option<ArtifactMode>,
    /// Whether the browser runs without a window.
    #[graphql(default_with = "Some(true)")]
    pub headless: Option<bool>,
}

/// One HTTP request. Templates in url, headers and body; secrets may stand in headers alone.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct HttpSpecInput {
    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    #[graphql(default_with = "Some(\"GET\".to_owned())")]
    pub method: Option<String>,
    /// Template of an absolute `http` or `https` URL without user name and password, at most 8192 bytes.
    pub url: String,
    /// Templates of values by the names of headers: an object of at most 100 texts of at most 8192 bytes. By
    /// default none.
    pub headers: Option<Json>,
    /// Template of the body, at most 262144 bytes. By default none.
    pub body: Option<String>,
    /// Statuses that count as success, 100 to 599, at most 100 of them; absent, null or empty means any from
    /// 200 to 299.
    pub expect_status: Option<Vec<i32>>,
}

/// An allow-listed program with arguments. Templates in arguments, environment and stdin; secrets may stand
/// in environment and stdin.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct ProgramSpecInput {
    /// Absolute path of a program that the configuration allows. Not a template.
    pub program: String,
    /// Templates, each of exactly one argument; at most 256 of at most 8192 bytes. By default none.
    pub arguments: Option<Vec<String>>,
    /// Templates by variable: an object of at most 100 texts of at most 32768 bytes, without CALLBOARD_*. By
    /// default none.
    pub environment: Option<Json>,
    /// Template of the standard input, at most 262144 bytes. By default empty.
    pub stdin: Option<String>,
}

impl CommandSpecInput {
    /// For the core, or everything that has the wrong form, with paths that begin with `spec`.
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
        let viewport = self.viewport.map(|json| {
            viewport(&json.0).ok_or_else(|| {
                let message =
                    r#"must be an object of two positive integers, such as {"width": 1280, "height": 720}"#;
                vec![refused(&["playwright", "viewport"], message)]
            })
        });
        Ok(command::PlaywrightSpec {
            script: self.script,
            viewport: viewport.transpose()?,
            trace: self.trace.unwrap_or(ArtifactMode::Off).into(),
            video: self.video.unwrap_or(ArtifactMode::Off).into(),
            screenshot: self.screenshot.unwrap_or(ArtifactMode::OnFailure).into(),
            headless: self.headless.unwrap_or(true),
        })
    }
}

impl HttpSpecInput {
    fn read(self) -> Result<command::HttpSpec, Vec<Refusal>> {
        // What is no status at all becomes one that the core refuses, at its place in the list.
        let status = |status: i32| u16::try_from(status).unwrap_or(0);
        Ok(command::HttpSpec {
            method: self.method.unwrap_or_else(|| command::METHODS[0].to_owned()),
            url: self.url,
            headers: texts(&["http", "headers"], self.headers)?,
            body: self.body,
            expect_status: self.expect_status.into_iter().flatten().map(status).collect(),
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
        })
    }
}

/// Exactly a width and a height.
fn viewport(json: &Value) -> Option<Viewport> {
    let object = json.as_object().filter(|object| object.len() == 2)?;
    let side = |name| object.get(name)?.as_u64().and_then(|side| u32::try_from(side).ok());
    Some(Viewport { width: side("width")?, height: side("height")? })
}

/// An object of texts, or every value in it that is none.
fn texts(path: &[&str], json: Option<Json>) -> Result<BTreeMap<String, String>, Vec<Refusal>> {
    let object = match json {
        None => return Ok(BTreeMap::new()),
        Some(Json(Value::Object(object))) => object,
        Some(Json(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))) => {
            return Err(vec![refused(path, "must be a JSON object of names and texts")]);
        }
    };
    let (mut texts, mut refusals) = (BTreeMap::new(), Vec::new());
    for (name, value) in object {
        match value {
            Value::String(text) => {
                texts.insert(name, text);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let message = "must be a text: write numbers and booleans in quotes";
                refusals.push(refused(&[path, &[&name]].concat(), message));
            }
        }
    }
    if refusals.is_empty() { Ok(texts) } else { Err(refusals) }
}

fn refused(path: &[&str], message: &str) -> Refusal {
    Refusal::invalid("", message).below(path).below(&["spec"])
}
