//! Moves secrets in a command line into the environment, before anything is rendered.
//!
//! Every user of the machine can read arguments, so `--token {{ service_token }}` becomes the
//! argument `$SERVICE_TOKEN` and the variable `SERVICE_TOKEN`. Nothing expands the argument. The
//! child reads its environment, and the stored line names the variable. A secret that is only a
//! part of a word is refused, because the program would get the rest of the word with the name of a
//! variable in it. Sees names of secrets, never values.

use std::collections::BTreeMap;

use super::words::{Part, parts};
use crate::{compose::SecretRef, text::string_length};

/// Most characters of a word in a message.
const WORD_CHARS_MAX: usize = 100;

/// Moves the secrets of one word into `environment`. Returns the word without them, or the message
/// of why it cannot.
pub(super) fn moved(word: &str, environment: &mut BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let parts = parts(word);
    let is_alone = parts.len() == 1;
    for part in parts {
        let (whole, variable) = match part {
            Part::Plain(text) => (text, None),
            Part::Expression(whole) => {
                let inside = Part::inside(whole);
                let variable = whole_path(inside).and_then(|path| variable(&path));
                if variable.is_none() {
                    refuse_mention(inside)?;
                }
                (whole, variable.map(|name| (name, format!("{{{{ {inside} }}}}"))))
            }
            Part::Statement(whole) => {
                refuse_mention(Part::inside(whole))?;
                (whole, None)
            }
        };
        let Some((name, template)) = variable else {
            out.push_str(whole);
            continue;
        };
        if !is_alone {
            return Err(inside_word(word, &name, &template));
        }
        out.push('$');
        out.push_str(&name);
        if let Some(other) = environment.insert(name.clone(), template.clone())
            && other != template
        {
            return Err(format!(
                "{other} and {template} would both set the environment variable {name}. Rename one of them"
            ));
        }
    }
    Ok(out)
}

/// The message for a secret that is a part of a word.
fn inside_word(word: &str, variable: &str, template: &str) -> String {
    let word: String = word.chars().take(WORD_CHARS_MAX).collect();
    format!(
        "the secret {template} is only a part of the word `{word}`. Nothing expands a variable in it, so the \
         program would get the text ${variable}. Write an HTTP command instead, or a program spec: its \
         environment and its stdin may hold secrets (for curl, the arguments -K and -, and the stdin \
         `header = \"Authorization: Bearer {template}\"`), and a shell script in its arguments may use a \
         variable of its environment"
    )
}

/// The path (`services["my-api"].token`) in parts, if it is the whole expression.
pub(super) fn whole_path(expression: &str) -> Option<Vec<String>> {
    let (path, length) = path_at(expression)?;
    (length == expression.len()).then_some(path)
}

/// The variable for the secret at this path, or `None` if it is not a secret.
fn variable(path: &[String]) -> Option<String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["service_token"] => Some("SERVICE_TOKEN".to_owned()),
        ["services", service, "token"] => {
            Some(SecretRef::ServiceToken((*service).to_owned()).variable_name())
        }
        ["profile", "secrets", name] => Some(SecretRef::ProfileSecret((*name).to_owned()).variable_name()),
        ["proxy", "url"] => Some("PROXY_URL".to_owned()),
        ["proxy", "username"] => Some(SecretRef::ProxyUsername.variable_name()),
        ["proxy", "password"] => Some(SecretRef::ProxyPassword.variable_name()),
        _ => None,
    }
}

/// Refuses an expression that does more with a secret than place it.
fn refuse_mention(expression: &str) -> Result<(), String> {
    let mut at = 0;
    let mut after_dot = false;
    while let Some(c) = expression[at..].chars().next() {
        let rest = &expression[at..];
        if matches!(c, '"' | '\'') {
            at += string_length(rest).unwrap_or(rest.len());
        } else if let Some((path, length)) = path_at(rest).filter(|_| !after_dot) {
            // No secret is deeper than `services.NAME.token`.
            if (1..=path.len().min(3)).any(|end| variable(&path[..end]).is_some()) {
                let name = path.join(".");
                return Err(format!(
                    "the secret {name} can only be used by itself in a line, as {{{{ {name} }}}}, because it \
                     becomes an environment variable, which no filter or operator can change"
                ));
            }
            at += length;
        } else {
            at += c.len_utf8();
        }
        after_dot = c == '.';
    }
    Ok(())
}

/// The path at the start of the text, with its length in bytes.
pub(super) fn path_at(text: &str) -> Option<(Vec<String>, usize)> {
    let name_length = |text: &str| {
        let first = text.chars().next().filter(|c| c.is_ascii_alphabetic() || *c == '_')?;
        let rest = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        Some(rest.unwrap_or(text.len()).max(first.len_utf8()))
    };
    let mut at = name_length(text)?;
    let mut path = vec![text[..at].to_owned()];
    loop {
        let rest = &text[at..];
        if let Some(length) = rest.strip_prefix('.').and_then(name_length) {
            path.push(rest[1..=length].to_owned());
            at += 1 + length;
        } else if let Some(inner) = rest.strip_prefix('[')
            && let Some(length) = string_length(inner)
            && inner[length..].starts_with(']')
        {
            path.push(inner[1..length - 1].to_owned());
            at += length + 2;
        } else {
            return Some((path, at));
        }
    }
}
