//! Rules for names, labels and queue names. Pure.

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization as _;

use crate::refusal::Refusal;

/// Longest name, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 60;
/// Most labels of one object.
pub const LABELS_MAX: usize = 20;
/// Longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 2000;

/// Text in the one form in which names are stored, compared and searched: NFC, every blank as a
/// space, and without the variation selectors that choose between two drawings of one character.
/// For searches and look-ups. [`check_name`] does the same for what is stored.
pub fn normal_form(text: &str) -> String {
    let is_selector = |c: &char| matches!(c, '\u{fe0e}' | '\u{fe0f}');
    let blank = |c| if get_general_category(c) == GeneralCategory::SpaceSeparator { ' ' } else { c };
    text.chars().filter(|c| !is_selector(c)).map(blank).nfc().collect()
}

/// Whether a reader cannot see this character: controls, formats (zero width, direction), line
/// separators, and what has no shape, because it is unassigned, private or ignorable.
fn is_unseen(c: char) -> bool {
    use GeneralCategory as G;
    let is_of_unseen_category = matches!(
        get_general_category(c),
        G::Control
            | G::Format
            | G::LineSeparator
            | G::ParagraphSeparator
            | G::PrivateUse
            | G::Surrogate
            | G::Unassigned
    );
    // Default_Ignorable_Code_Point of other categories, and characters that are drawn as nothing:
    // the blank pattern of Braille, the place of an object, a filler, and a note without a head.
    let is_ignorable = matches!(
        c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fffc}' | '\u{16fe4}' | '\u{1d159}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    is_of_unseen_category || is_ignorable
}

/// The normal form of a text that names something. Refuses a character that cannot be seen, because
/// two names would look the same.
fn visible(path: &str, text: &str) -> Result<String, Refusal> {
    let text = normal_form(text);
    match text.chars().position(is_unseen) {
        None => Ok(text),
        Some(at) => {
            let unseen = text.chars().nth(at).map_or(0, u32::from);
            let message = format!(
                "holds the character U+{unseen:04X}, which cannot be seen, at place {}. Remove it",
                at + 1
            );
            Err(Refusal::invalid(path, message))
        }
    }
}

/// A name for people: 1 to [`NAME_CHARS_MAX`] characters that can be seen, no blanks at the ends.
/// Returns its [`normal_form`].
pub fn check_name(path: &str, name: &str) -> Result<String, Refusal> {
    let name = visible(path, name)?;
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARS_MAX || name.trim() != name {
        let message = format!("must be 1 to {NAME_CHARS_MAX} characters, without blanks at the ends");
        return Err(Refusal::invalid(path, message));
    }
    Ok(name)
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

/// At most [`LABELS_MAX`] labels, each 1 to [`LABEL_CHARS_MAX`] characters that can be seen, no
/// blanks at the ends. Returns their [`normal_form`]s, sorted and without repetitions.
pub fn check_labels(path: &str, labels: Vec<String>) -> Result<Vec<String>, Refusal> {
    if labels.len() > LABELS_MAX {
        return Err(Refusal::invalid(path, format!("must be at most {LABELS_MAX} labels")));
    }
    let check = |(index, label): (usize, String)| {
        let path = format!("{path}.{index}");
        let label = visible(&path, &label)?;
        let length = label.chars().count();
        if length == 0 || length > LABEL_CHARS_MAX || label.trim() != label {
            let message = format!("must be 1 to {LABEL_CHARS_MAX} characters, without blanks at the ends");
            return Err(Refusal::invalid(&path, message));
        }
        Ok(label)
    };
    let mut labels = labels.into_iter().enumerate().map(check).collect::<Result<Vec<_>, _>>()?;
    labels.sort();
    labels.dedup();
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_look_alike_are_one() {
        for (one, other) in [
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("\u{212b}", "\u{c5}"),
            ("a b", "a\u{a0}b"),
            ("a b", "a\u{3000}b"),
            ("\u{2764}", "\u{2764}\u{fe0f}"),
        ] {
            assert_eq!(check_name("name", one), check_name("name", other));
            assert_eq!(check_labels("labels", vec![one.into(), other.into()]).unwrap().len(), 1);
        }
        for fine in ["a", "Ünïcödé", "日本語", "עברית", "हिन्दी", "👍🏽", "x-y_z.1 (2)"]
        {
            assert_eq!(check_name("name", fine).as_deref(), Ok(fine));
        }
    }

    #[test]
    fn what_cannot_be_seen_is_refused_wherever_it_stands() {
        for unseen in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{2800}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe01}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffc}',
            '\u{1d159}',
            '\u{ffff}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{f0000}',
            '\u{10ffff}',
            '\u{378}',
        ] {
            for name in [format!("a{unseen}b"), format!("{unseen}a"), format!("a{unseen}"), unseen.into()] {
                let refusal = check_name("name", &name).unwrap_err();
                assert!(refusal.message.contains(&format!("U+{:04X}", u32::from(unseen))), "{refusal:?}");
                let labels = check_labels("labels", vec!["fine".into(), name]).unwrap_err();
                assert_eq!(labels.path, ["labels", "1"]);
            }
        }
        for blank in [" a", "a ", "\u{a0}a", "a\u{3000}", "", " "] {
            assert!(check_name("name", blank).is_err(), "{blank:?}");
            assert!(check_labels("labels", vec![blank.into()]).is_err(), "{blank:?}");
        }
    }

    proptest! {
        #[test]
        fn a_checked_name_is_checked_again_without_a_change(text in "\\PC{0,40}") {
            if let Ok(name) = check_name("name", &text) {
                prop_assert_eq!(check_name("name", &name), Ok(name.clone()));
                prop_assert_eq!(normal_form(&name), name.clone());
                prop_assert_eq!(check_name("name", &name.nfd().collect::<String>()), Ok(name));
            }
        }
    }
}
