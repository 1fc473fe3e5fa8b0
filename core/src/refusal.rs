//! Refusals: the reasons for which a request was refused and that its caller can fix.
//!
//! Pure checks and steps collect [`Refusal`]s, and the API returns them as `userErrors`. Bugs and
//! outages are errors of the store instead.

use serde::{Deserialize, Serialize};

/// One reason, with the path of the input that it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind of reason.
    pub code: RefusalCode,
    /// What is wrong and what to write instead, in a sentence or two.
    pub message: String,
    /// Path below the mutation's `input`, for example `["proxyIds", "0"]`. Empty for the whole
    /// input.
    pub path: Vec<String>,
    /// The input that a job lacks, if that is what is wrong with what is at `path`: a path as
    /// `["profileId"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

/// The same codes as the API's `UserErrorCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// A named object does not exist.
    NotFound,
    /// Out of bounds, or malformed.
    Invalid,
    /// The name or path is already in use.
    Taken,
    /// Another object still needs it.
    InUse,
    /// It changed since the caller read it.
    StaleVersion,
    /// The idempotency key was used for a different request.
    IdempotencyConflict,
    /// The template does not compose.
    NotComposable,
    /// The state does not allow it.
    NotAllowedInState,
    /// Over a limit.
    TooMany,
}

impl Refusal {
    /// A refusal about `path`, a dot-separated path below the input (`"spec.http.url"`), or `""`
    /// for the whole input.
    pub fn new(code: RefusalCode, path: &str, message: impl Into<String>) -> Self {
        let path = path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self::at(code, path, message)
    }

    /// A refusal about a path in parts, which may contain dots.
    pub fn at(code: RefusalCode, path: Vec<String>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path, lacks: Vec::new() }
    }

    /// No object of this noun (`profile`, `job`, ...) has the id at `path`.
    pub fn not_found(path: &str, noun: &str) -> Self {
        Self::new(RefusalCode::NotFound, path, no_such_id(noun))
    }

    /// A refusal with the most common code.
    pub fn invalid(path: &str, message: impl Into<String>) -> Self {
        Self::new(RefusalCode::Invalid, path, message)
    }

    /// The same refusal as seen from an outer input, for example with `["jobs", "3"]` in front.
    #[must_use]
    pub fn below(mut self, outer: &[&str]) -> Self {
        self.path.splice(0..0, outer.iter().map(|part| (*part).to_owned()));
        self
    }
}

/// The message for an id that does not exist, perhaps because it is the id of another kind of
/// object.
pub fn no_such_id(noun: &str) -> String {
    format!("No {noun} has this id. The ids of that kind begin with `{noun}_`.")
}
