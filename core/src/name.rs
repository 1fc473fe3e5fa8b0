//! Rules for names, labels and queue names. Pure.

mod alike;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{ExtendedPictographic, JoiningType},
};
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::{UnicodeNormalization as _, char::canonical_combining_class};

pub use alike::are_alike;

use crate::refusal::Refusal;

/// Keeps two letters apart that would be joined.
const NON_JOINER: char = '\u{200c}';
/// Joins letters or emoji that would stand apart.
const JOINER: char = '\u{200d}';
/// The combining class of the signs that take a consonant's vowel away. A joiner beside one chooses
/// between a conjunct, a half form and the sign itself.
const VIRAMA: u8 = 9;

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

/// What a search looks for: the [`normal_form`] of the text without blanks at its ends. `None` if
/// nothing of it can be seen, because every name contains that.
pub fn search_form(text: &str) -> Option<String> {
    let text = normal_form(text);
    let text = text.trim();
    text.chars().any(|c| !c.is_whitespace() && !is_unseen(c)).then(|| text.to_owned())
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

/// Whether a joiner changes what a reader sees between these: letters of a cursive script
/// (Persian), consonants around a virama (Hindi, Bengali, Sinhala), or the parts of an emoji. The
/// rules are those of RFC 5892, appendix A, for host names, and UAX #29, GB11, for emoji.
fn joins(before: &[char], joiner: char, after: &[char]) -> bool {
    let (Some((&last, earlier)), Some((&next, later))) = (before.split_last(), after.split_first()) else {
        return false;
    };
    let is_virama = |c: char| canonical_combining_class(c) == VIRAMA;
    if is_virama(last) {
        return ends_with_letter(earlier) && is_letter(next);
    }
    if joiner == JOINER {
        let is_modifier = |c: &&char| matches!(**c, '\u{1f3fb}'..='\u{1f3ff}');
        let base = before.iter().rev().find(|c| !is_modifier(c)).copied();
        return base.is_some_and(is_emoji) && is_emoji(next)
            || ends_with_letter(before) && is_virama(next) && later.first().is_some_and(|c| is_letter(*c));
    }
    let joining = |c: &char| CodePointMapData::<JoiningType>::new().get(*c);
    let joined = |joining: &JoiningType| *joining != JoiningType::Transparent;
    let is_joined_before = before.iter().rev().map(joining).find(joined);
    let is_joined_after = after.iter().map(joining).find(joined);
    matches!(is_joined_before, Some(JoiningType::DualJoining | JoiningType::LeftJoining))
        && matches!(is_joined_after, Some(JoiningType::DualJoining | JoiningType::RightJoining))
}

fn is_letter(c: char) -> bool {
    use GeneralCategory as G;
    matches!(
        get_general_category(c),
        G::UppercaseLetter | G::LowercaseLetter | G::TitlecaseLetter | G::ModifierLetter | G::OtherLetter
    )
}

/// Whether the last of these is a letter, with or without marks.
fn ends_with_letter(chars: &[char]) -> bool {
    use GeneralCategory as G;
    let is_mark = |c: char| matches!(get_general_category(c), G::NonspacingMark | G::SpacingMark);
    chars.iter().rev().find(|c| !is_mark(**c)).is_some_and(|c| is_letter(*c))
}

/// Whether this may be a part of a joined emoji. The first pictographs, such as `©`, never are.
fn is_emoji(c: char) -> bool {
    c >= '\u{2194}' && CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

/// The normal form of a text that names something. Refuses a character that cannot be seen, because
/// two names would look the same. A joiner is kept where it changes what is seen.
fn visible(path: &str, text: &str) -> Result<String, Refusal> {
    let text = normal_form(text);
    let chars: Vec<char> = text.chars().collect();
    let is_refused = |(at, c): &(usize, char)| {
        let is_joiner = matches!(*c, JOINER | NON_JOINER);
        is_unseen(*c) && !(is_joiner && joins(&chars[..*at], *c, &chars[at + 1..]))
    };
    match chars.iter().copied().enumerate().find(is_refused) {
        None => Ok(text),
        Some((at, unseen)) => {
            let message = format!(
                "holds the character U+{:04X}, which cannot be seen there, at place {}. Remove it",
                u32::from(unseen),
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
    fn a_search_of_which_nothing_can_be_seen_looks_for_nothing() {
        for blank in [
            "",
            " ",
            "\t\n",
            "\u{a0}\u{3000}",
            "\u{fe0f}",
            "\u{fe0f} \u{fe0e}",
            "\u{200b}",
            "\u{34f} \u{2800}",
        ] {
            assert_eq!(search_form(blank), None, "{blank:?}");
        }
        for (text, form) in [
            (" a b\u{a0}", "a b"),
            ("\u{fe0f} x \u{fe0f}", "x"),
            ("CAFE\u{301}", "CAF\u{c9}"),
            ("\u{2764}\u{fe0f}", "\u{2764}"),
        ] {
            assert_eq!(search_form(text).as_deref(), Some(form));
        }
    }

    #[test]
    fn joiners_are_kept_where_they_change_what_is_seen() {
        for fine in [
            "می\u{200c}خواهم",
            "کتاب\u{200c}ها ۲",
            "بُ\u{200c}ه",
            "क्\u{200d}ष",
            "क्\u{200c}ष",
            "क़्\u{200d}ष",
            "ශ්\u{200d}රී ලංකා",
            "র\u{200d}্যাব",
            "👨\u{200d}👩\u{200d}👧 family",
            "👩🏽\u{200d}💻",
            "\u{2764}\u{200d}🔥",
            "🏴\u{200d}\u{2620}",
            "🙂\u{200d}\u{2194}",
        ] {
            let fine: String = fine.nfc().collect();
            assert_eq!(check_name("name", &fine).as_deref(), Ok(&*fine));
            assert_eq!(check_labels("labels", vec![fine.clone()]).as_deref(), Ok(&[fine][..]));
        }
        assert_eq!(check_name("name", "🏳\u{fe0f}\u{200d}🌈").as_deref(), Ok("🏳\u{200d}🌈"));
        for joiner in [JOINER, NON_JOINER] {
            for parts in [
                "a|b",
                "я|в",
                "1|2",
                "日|本",
                "א|ב",
                "|سلام",
                "سلام|",
                "سلام| علیکم",
                "د|ر",
                "क|ष",
                "क्|",
                "क्| ष",
                "क्|1",
                "्|ष",
                "|क",
                "👨|",
                "|👨",
                "👨| 👩",
                "👨|a",
                "a|👨",
                "©|®",
                "🏽|👩",
            ] {
                let name = parts.replace('|', &joiner.to_string());
                let refusal = check_name("name", &name).unwrap_err();
                assert!(refusal.message.contains("cannot be seen there"), "{name:?} {refusal:?}");
            }
            for twice in ["क्||ष", "می||خ", "👨||👩"] {
                assert!(check_name("name", &twice.replace('|', &joiner.to_string())).is_err(), "{twice}");
            }
        }
        assert!(check_name("name", "می\u{200d}خ").is_err(), "they are joined without it");
        assert!(check_name("name", "👨\u{200c}👩").is_err(), "they stand apart without it");
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
