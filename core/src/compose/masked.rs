//! A composed command as it is shown and stored, with every secret as `***`.
//!
//! Made by [`crate::command::Composition::masked`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command_kind::Kind;

/// Longest one-line form, in characters. A longer one is cut and ends in `…`.
pub const DISPLAY_CHARS_MAX: usize = 4096;

/// The API's `ComposedCommand`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComposedCommand {
    /// The kind.
    pub kind: Kind,
    /// `None` for HTTP.
    #[serde(default)]
    pub program: Option<String>,
    /// The arguments after the program.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The command's environment variables, without those that the worker adds for the machine.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The request, for HTTP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<ComposedHttp>,
    /// The command as one readable line of at most [`DISPLAY_CHARS_MAX`] characters.
    pub display: String,
}

/// A composed request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComposedHttp {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Header values by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: Option<String>,
}

/// The parts of a [`ComposedCommand`] that depend on its kind.
#[derive(Debug)]
pub struct ComposedParts {
    /// `None` for HTTP.
    pub program: Option<String>,
    /// The arguments after the program.
    pub arguments: Vec<String>,
    /// The request, for HTTP only.
    pub http: Option<ComposedHttp>,
}

impl ComposedCommand {
    pub(crate) fn new(kind: Kind, parts: ComposedParts, environment: BTreeMap<String, String>) -> Self {
        let ComposedParts { program, arguments, http } = parts;
        let display = match &http {
            Some(request) => display(http_words(request)),
            None => display(program.iter().chain(&arguments).map(String::as_str)),
        };
        Self { kind, program, arguments, environment, http, display }
    }
}

fn http_words(request: &ComposedHttp) -> impl Iterator<Item = String> {
    let headers =
        request.headers.iter().flat_map(|(name, value)| ["-H".to_owned(), format!("{name}: {value}")]);
    let body = request.body.iter().flat_map(|body| ["-d".to_owned(), body.clone()]);
    [request.method.clone(), request.url.clone()].into_iter().chain(headers).chain(body)
}

/// The words in one line, quoted where a shell would read them differently. A `$` stays unquoted,
/// so that `$SERVICE_TOKEN` reads as the name of a variable.
fn display(words: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        push_quoted(&mut line, word.as_ref());
        if line.len() > 4 * DISPLAY_CHARS_MAX {
            break;
        }
    }
    match line.char_indices().nth(DISPLAY_CHARS_MAX) {
        Some(_) => line.chars().take(DISPLAY_CHARS_MAX - 1).chain(['…']).collect(),
        None => line,
    }
}

fn push_quoted(line: &mut String, word: &str) {
    let is_plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-$".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        line.push_str(word);
    } else if word.contains(char::is_control) {
        line.push_str("$'");
        word.chars().for_each(|c| match c {
            '\'' | '\\' => line.extend(['\\', c]),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        });
        line.push('\'');
    } else {
        line.push('\'');
        line.push_str(&word.replace('\'', r"'\''"));
        line.push('\'');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let words = ["/bin/x", "", "a b", "it's", "$SERVICE_TOKEN", "--n=1", "two\nlines'\\", "é", "a;b"];
        let expected = r"/bin/x '' 'a b' 'it'\''s' $SERVICE_TOKEN --n=1 $'two\nlines\'\\' é 'a;b'";
        assert_eq!(display(words.iter()), expected);
    }

    #[test]
    fn a_long_line_is_cut() {
        let long = display(["x".repeat(100_000), "y".repeat(10)].iter());
        assert_eq!(long.chars().count(), DISPLAY_CHARS_MAX);
        assert!(long.ends_with("x…"));
        assert_eq!(display(["x".repeat(DISPLAY_CHARS_MAX)].iter()).chars().last(), Some('x'));
    }
}
