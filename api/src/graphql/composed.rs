//! A composed command as people see it: in previews, with jobs and with attempts. Secrets are `***`
//! throughout.

use async_graphql::SimpleObject;
use callboard::compose;
use serde_json::json;

use super::{command::CommandKind, scalars::Json};

/// What a command comes to for one job. Secrets masked as `***` throughout.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ComposedCommand {
    /// What kind of command it is.
    pub kind: CommandKind,
    /// What is executed: a path, or `playwright` for scripts. Null for HTTP.
    pub program: Option<String>,
    /// The program's arguments, one by one, without the program itself. Empty for HTTP.
    pub arguments: Vec<String>,
    /// Every environment variable that the command gets beside the machine's own: an object of texts.
    pub environment: Json,
    /// The request. HTTP only.
    pub http: Option<ComposedHttp>,
    /// The command as one line that a person can read, at most 4096 characters; longer ones end in `…`.
    pub display: String,
}

/// A composed request. Secrets masked as `***`.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct ComposedHttp {
    /// The method, in capitals.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Values by the names of headers: an object of texts.
    pub headers: Json,
    /// The body; null when there is none.
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
