//! Rules for names, labels and queue names. Pure.

use crate::refusal::Refusal;

/// Longest name, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 60;
/// Most labels of one object.
pub const LABELS_MAX: usize = 20;
/// Longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 2000;

/// A name for people: 1 to [`NAME_CHARS_MAX`] characters, no control characters, no blanks at the
/// ends.
pub fn check_name(path: &str, name: &str) -> Result<(), Refusal> {
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARS_MAX || name.trim() != name || name.chars().any(char::is_control) {
        return Err(Refusal::invalid(
            path,
            format!(
                "must be 1 to {NAME_CHARS_MAX} characters, without control characters or blanks at the ends"
            ),
        ));
    }
    Ok(())
}

/// A name that templates can use (`services.github.token`): a letter, then letters, digits, `_` or
/// `-`.
pub fn check_identifier(path: &str, name: &str) -> Result<(), Refusal> {
    let mut chars = name.chars();
    let is_well_formed = chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !is_well_formed || name.len() > NAME_CHARS_MAX {
        return Err(Refusal::invalid(
            path,
            format!(
                "must be a letter, then letters, digits, `_` or `-`, at most {NAME_CHARS_MAX} characters, because templates use it"
            ),
        ));
    }
    Ok(())
}

/// Whether this is the name of an environment variable: a letter or `_`, then letters, digits or
/// `_`.
pub fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= NAME_CHARS_MAX
}

/// A queue's name: 1 to 60 lower-case letters, digits, `_`, `-` or `.`.
pub fn check_queue(path: &str, queue: &str) -> Result<(), Refusal> {
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    if queue.is_empty() || queue.len() > 60 || !queue.chars().all(is_fine) {
        return Err(Refusal::invalid(path, "must be 1 to 60 lower-case letters, digits, `_`, `-` or `.`"));
    }
    Ok(())
}

/// At most [`LABELS_MAX`] labels, each 1 to [`LABEL_CHARS_MAX`] characters. Returns them sorted and
/// without repetitions.
pub fn check_labels(path: &str, mut labels: Vec<String>) -> Result<Vec<String>, Refusal> {
    if labels.len() > LABELS_MAX {
        return Err(Refusal::invalid(path, format!("must be at most {LABELS_MAX} labels")));
    }
    for (index, label) in labels.iter().enumerate() {
        let length = label.chars().count();
        if length == 0 || length > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
            let message = format!("must be 1 to {LABEL_CHARS_MAX} characters, without control characters");
            return Err(Refusal::invalid(&format!("{path}.{index}"), message));
        }
    }
    labels.sort();
    labels.dedup();
    Ok(labels)
}
