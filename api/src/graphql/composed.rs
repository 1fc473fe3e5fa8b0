//! The GraphQL type `ComposedCommand`, shared by previews, jobs and attempts. Secrets are masked as
//! `***`.

use async_graphql::SimpleObject;
use callboard::compose;
use serde_json::json;

use super::{command::CommandKind, scalars::Json};

/// The command line or HTTP request that a command composes to for one job. Secrets are masked as
/// `***`.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ComposedCommand {
    /// The kind of command.
    pub kind: CommandKind,
    /// The program: a path, or `playwright` for scripts. Null for HTTP.
    pub program: Option<String>,
    /// The program's arguments, without the program itself. Empty for HTTP.
    pub arguments: Vec<String>,
    /// Environment variables that the command gets in addition to the machine's own, as an object
    /// with string values.
    pub environment: Json,
    /// The request. Null unless the kind is HTTP.
    pub http: Option<ComposedHttp>,
    /// The command as one readable line of at most 4096 characters. Longer lines are cut and end in
    /// `…`.
    pub display: String,
}

/// A composed HTTP request. Secrets are masked as `***`.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ComposedHttp {
    /// The method, in upper case.
    pub method: String,
    /// The full URL.
    pub url: String,
    /// Header values by header name, as an object with string values.
    pub headers: Json,
    /// The body. Null when there is none.
    pub body: Option<String>,
}

impl From<compose::ComposedCommand> for ComposedCommand {
    fn from(composed: compose::ComposedCommand) -> Self {
        Self {
            kind: composed.kind.into(),
            program: composed.program,
            arguments: composed.arguments,
            environment: Json(json!(composed.environment)),
            http: composed.http.map(ComposedHttp::from),
            display: composed.display,
        }
    }
}

impl From<compose::ComposedHttp> for ComposedHttp {
    fn from(http: compose::ComposedHttp) -> Self {
        Self { method: http.method, url: http.url, headers: Json(json!(http.headers)), body: http.body }
    }
}
