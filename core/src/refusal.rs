//! What a caller can mend: the reasons why a request was refused.
//!
//! Pure checks and steps collect [`Refusal`]s; the API shows them as `userErrors`. Never used for bugs or outages,
//! which are errors of the store.

/// One reason, with the path of the input that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason.
    pub code: RefusalCode,
    /// One sentence that says what is wrong and what to write instead.
    pub message: String,
    /// Path below the mutation's `input`, e.g. `["proxyIds", "0"]`; empty for the whole input.
    pub path: Vec<String>,
}

/// The same codes as the API's `UserErrorCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// Something named does not exist.
    NotFound,
    /// Out of bounds or of the wrong form.
    Invalid,
    /// The name or path is used already.
    Taken,
    /// Something else still needs it.
    InUse,
    /// It changed since the caller read it.
    StaleVersion,
    /// Same idempotency key, other input.
    IdempotencyConflict,
    /// The template does not compose.
    NotComposable,
    /// The state does not allow it.
    NotAllowedInState,
    /// More than the bound.
    TooMany,
}

impl Refusal {
    /// A refusal about `path`, a dot-separated path below the input (`"spec.http.url"`), or `""` for all of it.
    pub fn new(code: RefusalCode, path: &str, message: impl Into<String>) -> Self {
        let path = path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self { code, message: message.into(), path }
    }

    /// No object of this noun (`profile`, `job`, ...) has the id that stands at `path`.
    pub fn not_found(path: &str, noun: &str) -> Self {
        Self::new(RefusalCode::NotFound, path, no_such_id(noun))
    }

    /// Shorthand for the commonest code.
    pub fn invalid(path: &str, message: impl Into<String>) -> Self {
        Self::new(RefusalCode::Invalid, path, message)
    }

    /// The same refusal, seen from an outer input: `["jobs", "3"]` goes in front.
    #[must_use]
    pub fn below(mut self, outer: &[&str]) -> Self {
        self.path.splice(0..0, outer.iter().map(|part| (*part).to_owned()));
        self
    }
}

/// For whoever gave an id that nobody has, perhaps because it is one of something else.
pub fn no_such_id(noun: &str) -> String {
    format!("no {noun} has this id; ids of that kind begin with `{noun}_`")
}
