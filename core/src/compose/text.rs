//! Composed texts: plain parts, and placeholders that the worker fills in.
//!
//! Templates render into [`Text`]. `masked` shows it, and `reveal`, which only the worker calls,
//! fills it in. A `Text` holds names of secrets, never their values.

use std::fmt;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{RevealError, SecretValues, WorkerPaths};
use crate::{percent::encoded, secret::MASK};

/// Longest URL in bytes, both as a template and rendered.
pub const URL_BYTES_MAX: usize = 8 * 1024;

/// The name of one of a job's secrets. Its value is looked up in a [`SecretValues`] at the very
/// end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SecretRef {
    /// A service's token, by the service's name. Empty for that of the first service that has one,
    /// as long as there is no job.
    ServiceToken(String),
    /// A secret of the job's profile, by its name.
    ProfileSecret(String),
    /// The user name for the job's proxy.
    ProxyUsername,
    /// The password for the job's proxy.
    ProxyPassword,
    /// A part of the input that its schema marks `writeOnly`, by its JSON pointer.
    Input(String),
}

impl SecretRef {
    /// The environment variable that carries the secret for a command written as a line. For a
    /// service token also the variable that every command gets: `SERVICE_GITHUB_TOKEN`.
    pub fn variable_name(&self) -> String {
        match self {
            Self::ServiceToken(service) => format!("SERVICE_{}_TOKEN", variable_part(service)),
            Self::ProfileSecret(name) => format!("PROFILE_SECRET_{}", variable_part(name)),
            Self::ProxyUsername => "PROXY_USERNAME".to_owned(),
            Self::ProxyPassword => "PROXY_PASSWORD".to_owned(),
            Self::Input(pointer) => format!("INPUT{}", variable_part(pointer)),
        }
    }
}

/// Spells a name as part of a variable: `my-api` becomes `MY_API`.
pub(super) fn variable_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

impl fmt::Display for SecretRef {
    /// Writes it as a template spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceToken(service) if service.is_empty() => f.write_str("service_token"),
            Self::ServiceToken(service) => write!(f, "services.{service}.token"),
            Self::ProfileSecret(name) => write!(f, "profile.secrets.{name}"),
            Self::ProxyUsername => f.write_str("proxy.username"),
            Self::ProxyPassword => f.write_str("proxy.password"),
            Self::Input(pointer) => write!(f, "input{}", pointer.replace('/', ".")),
        }
    }
}

/// Where a rendered text is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TextSink {
    /// An argument of a program, which every user of the machine can read.
    Argument,
    /// The value of an environment variable.
    Variable,
    /// The standard input of a program.
    Stdin,
    /// A request's URL, which proxies and servers log.
    HttpUrl,
    /// The value of a header.
    HttpHeader,
    /// A request's body, which the receiving server may store.
    HttpBody,
}

impl TextSink {
    /// Whether secrets are allowed there.
    pub const fn may_hold_secrets(self) -> bool {
        match self {
            Self::Variable | Self::Stdin | Self::HttpHeader => true,
            Self::Argument | Self::HttpUrl | Self::HttpBody => false,
        }
    }

    /// Longest rendered text, in bytes. For arguments and variables this is what Linux passes to a
    /// program as one string, less some room for the variable's name.
    pub const fn rendered_bytes_max(self) -> usize {
        match self {
            Self::Argument | Self::Variable => 127 * 1024,
            Self::Stdin | Self::HttpBody => 1024 * 1024,
            Self::HttpUrl => URL_BYTES_MAX,
            Self::HttpHeader => 16 * 1024,
        }
    }

    /// Whether the character would end it early or cannot be passed on.
    pub(crate) const fn forbids(self, c: char) -> bool {
        match self {
            Self::Argument | Self::Variable => c == '\0',
            Self::HttpHeader => c.is_ascii_control() && c != '\t',
            // Parsers of URLs drop line breaks and tabs without a word.
            Self::HttpUrl => c.is_ascii_control(),
            Self::Stdin | Self::HttpBody => false,
        }
    }

    /// What [`forbids`](Self::forbids) refuses, for messages.
    pub(crate) const fn forbidden(self) -> &'static str {
        match self {
            Self::Argument | Self::Variable | Self::Stdin | Self::HttpBody => "a NUL character",
            Self::HttpHeader | Self::HttpUrl => "a line break or another control character",
        }
    }

    /// The noun with its article, for messages.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Argument => "an argument",
            Self::Variable => "an environment variable",
            Self::Stdin => "standard input",
            Self::HttpUrl => "a URL",
            Self::HttpHeader => "a header",
            Self::HttpBody => "a body",
        }
    }

    /// Where to put a secret instead, for messages.
    pub(super) const fn instead(self) -> &'static str {
        match self {
            Self::Argument | Self::Variable | Self::Stdin => "an environment variable or standard input",
            Self::HttpUrl | Self::HttpHeader | Self::HttpBody => "a header",
        }
    }
}

/// How a secret is encoded in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// Unchanged.
    Plain,
    /// Percent-encoded, as the user name or password of a URL.
    Url,
}

/// A part of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// Public text.
    Plain(String),
    /// A secret.
    Secret(SecretRef, Encoding),
    /// The profile's directory: masked as its path below the profile root, revealed as an absolute
    /// path.
    ProfileDirectory(String),
    /// The attempt's directory for artifacts, masked as the name of its variable.
    ArtifactsDirectory,
}

/// A composed text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Text(Vec<Piece>);

impl Text {
    /// A text without placeholders.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(vec![Piece::Plain(text.into())])
    }

    /// A text that is one secret, unchanged.
    pub fn secret(secret: SecretRef) -> Self {
        Self(vec![Piece::Secret(secret, Encoding::Plain)])
    }

    /// Builds a text from its pieces.
    pub fn from_pieces(pieces: Vec<Piece>) -> Self {
        Self(pieces)
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The secrets in it, in order.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret(secret, _) => Some(secret),
            Piece::Plain(_) | Piece::ProfileDirectory(_) | Piece::ArtifactsDirectory => None,
        })
    }

    /// Whether any plain part has such a character.
    pub(super) fn contains(&self, is_wanted: impl Fn(char) -> bool + Copy) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Plain(text) if text.contains(is_wanted)))
    }

    /// Length of [`masked`](Self::masked) in bytes. The artifacts directory counts as a mask.
    pub(crate) fn masked_len(&self) -> usize {
        let length = |piece: &Piece| match piece {
            Piece::Plain(text) | Piece::ProfileDirectory(text) => text.len(),
            Piece::Secret(..) | Piece::ArtifactsDirectory => MASK.len(),
        };
        self.0.iter().map(length).sum()
    }

    /// The text to show and store, with secrets as `***`.
    pub fn masked(&self) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => out.push_str(text),
                Piece::Secret(..) => out.push_str(MASK),
                Piece::ProfileDirectory(path) => out.push_str(path),
                Piece::ArtifactsDirectory => out.push_str("$CALLBOARD_ARTIFACTS"),
            }
        }
        out
    }

    /// Fills in every placeholder. Only the worker calls it, through
    /// [`crate::command::Composition::reveal`].
    pub(crate) fn reveal(&self, values: &SecretValues, paths: &WorkerPaths) -> Result<String, RevealError> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => out.push_str(text),
                Piece::Secret(secret, Encoding::Plain) => out.push_str(values.text(secret)?.expose_secret()),
                Piece::Secret(secret, Encoding::Url) => {
                    out.extend(encoded(values.text(secret)?.expose_secret()));
                }
                Piece::ProfileDirectory(path) => out.push_str(&paths.profile_directory(path)),
                Piece::ArtifactsDirectory => out.push_str(&paths.artifacts_directory),
            }
        }
        Ok(out)
    }
}
