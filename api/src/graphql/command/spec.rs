//! The GraphQL union `CommandSpec` and its members, for reading.

use async_graphql::{Enum, SimpleObject, Union};
use callboard::command;
use serde_json::json;

use crate::graphql::scalars::Json;

/// The kinds of commands. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "callboard::command_kind::Kind")]
pub enum CommandKind {
    /// A Playwright script in a real Chromium.
    Playwright,
    /// One HTTP request.
    Http,
    /// An allow-listed program with arguments.
    Program,
}

/// What a command runs. New types may be added.
#[derive(Debug, Clone, PartialEq, Union)]
pub enum CommandSpec {
    /// A Playwright script.
    Playwright(PlaywrightSpec),
    /// An HTTP request.
    Http(HttpSpec),
    /// A program.
    Program(ProgramSpec),
}

/// A Playwright script (the source of an ES module), run in a real Chromium on the job's profile
/// through its proxy.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct PlaywrightSpec {
    /// Source of the module. Not a template, because the job's input, services and profile are
    /// passed to it as values.
    pub script: String,
    /// Size of the page in CSS pixels, by default `{"width": 1280, "height": 720}`. Null lets the
    /// page fill the browser's window.
    pub viewport: Option<Json>,
    /// When Playwright's trace is kept. A trace may contain what the browser sent, including
    /// tokens.
    pub trace: ArtifactMode,
    /// When a video of the page is kept.
    pub video: ArtifactMode,
    /// When a screenshot taken at the end is kept.
    pub screenshot: ArtifactMode,
    /// Whether the browser runs without a window.
    pub headless: bool,
    /// Names of services whose tokens the script gets, `*` for all of the job's services and
    /// `service_token` for the first that has one, beside those whose name stands in the script.
    pub tokens: Vec<String>,
}

/// When a recording of the browser is kept as an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "command::ArtifactMode")]
pub enum ArtifactMode {
    /// Never.
    Off,
    /// When the attempt fails.
    OnFailure,
    /// After every attempt.
    Always,
}

/// One HTTP request, sent through the job's proxy. The URL, headers and body are templates.
///
/// The job's result is `{"status": 200, "headers": {..}, "body": .., "isTruncated": false}`. Header
/// names are in lower case; repeated headers are joined with `, `, and set-cookie with a line
/// break. The body is JSON if the response's Content-Type is (`application/json`, `text/json`,
/// `application/...+json`), and else text, decompressed (gzip, deflate, br, zstd) and decoded by
/// its byte order mark or charset. It is cut to 524288 bytes, and isTruncated says so.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct HttpSpec {
    /// The method, in upper case.
    pub method: String,
    /// Template of the URL.
    pub url: String,
    /// Templates of the header values by header name, as an object with string values. Secrets are
    /// allowed.
    pub headers: Json,
    /// Template of the body. Null when there is none.
    pub body: Option<String>,
    /// Statuses that count as success. Empty means 200 to 299.
    pub expect_status: Vec<i32>,
    /// What a redirect does.
    pub redirects: Redirects,
}

/// What a redirect (301, 302, 303, 307 or 308 with a Location) of an HTTP command does. An origin
/// is a scheme, a host and a port. Whatever is chosen, nothing that may hold a secret crosses to
/// another origin: no header but Accept, Accept-Encoding, Accept-Language and User-Agent (and those
/// only without a secret), no cookie, no body and no Referer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "command::Redirects")]
pub enum Redirects {
    /// It is followed, to any origin, at most ten times. One that would carry the body to another
    /// origin (307 and 308) is not followed and is the response.
    Follow,
    /// It is followed within the origin. One to another origin is the response.
    SameOrigin,
    /// It is the response, so that expectStatus can name it.
    None,
}

/// An allow-listed program with arguments. Never a shell line. The arguments, environment and stdin
/// are templates.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ProgramSpec {
    /// Absolute path of the program. Not a template.
    pub program: String,
    /// Templates of the arguments. Each renders to exactly one argument.
    pub arguments: Vec<String>,
    /// Templates of environment variables by name, as an object with string values. Secrets are
    /// allowed.
    pub environment: Json,
    /// Template of the standard input. Secrets are allowed. Null for empty input.
    pub stdin: Option<String>,
    /// Names of services whose tokens the program gets in its environment, `*` for all of the job's
    /// services and `service_token` for the first that has one, beside those that its texts name.
    pub tokens: Vec<String>,
}

impl From<command::CommandSpec> for CommandSpec {
    fn from(spec: command::CommandSpec) -> Self {
        match spec {
            command::CommandSpec::Playwright(spec) => Self::Playwright(PlaywrightSpec {
                script: spec.script,
                viewport: spec
                    .viewport
                    .viewport()
                    .map(|size| Json(json!({ "width": size.width, "height": size.height }))),
                trace: spec.trace.into(),
                video: spec.video.into(),
                screenshot: spec.screenshot.into(),
                headless: spec.headless,
                tokens: spec.tokens,
            }),
            command::CommandSpec::Http(spec) => Self::Http(HttpSpec {
                method: spec.method,
                url: spec.url,
                headers: Json(json!(spec.headers)),
                body: spec.body,
                expect_status: spec.expect_status.into_iter().map(i32::from).collect(),
                redirects: spec.redirects.into(),
            }),
            command::CommandSpec::Program(spec) => Self::Program(ProgramSpec {
                program: spec.program,
                arguments: spec.arguments,
                environment: Json(json!(spec.environment)),
                stdin: spec.stdin,
                tokens: spec.tokens,
            }),
        }
    }
}
