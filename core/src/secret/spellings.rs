//! All spellings of the secrets of an attempt, as many as the memory for them allows. Pure, and
//! never shows its input.

use std::collections::BTreeSet;

use super::{
    encodings::{add_encoded, add_plain},
    redactor::REDACTED_CHARS_MIN,
};

/// Values longer than this, in bytes, are searched for only as they are, with or without escapes.
/// Programs do not print documents in base64.
pub const ENCODED_BYTES_MAX: usize = 8 * 1024;

/// Most bytes of all encoded spellings of an attempt's secrets. The search needs about 300 bytes of
/// memory for each, and a caller chooses how many values and lines a secret input has. Secrets
/// beyond them are searched for only as they are, with or without escapes. 150 secrets of 40
/// characters have less.
pub const ALL_ENCODED_BYTES_MAX: usize = 256 * 1024;

/// The spellings of these secrets. The first ones are encoded, up to [`ALL_ENCODED_BYTES_MAX`].
pub(super) fn spellings<'a>(secrets: impl IntoIterator<Item = &'a str>) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    let mut room = ALL_ENCODED_BYTES_MAX;
    for value in secrets {
        let may_encode = value.len() <= ENCODED_BYTES_MAX;
        for form in forms(value, may_encode) {
            add_plain(&form, &mut all);
            if !may_encode || room == 0 {
                continue;
            }
            let mut encoded = BTreeSet::new();
            add_encoded(&form, &mut encoded);
            let bytes: usize = encoded.iter().map(Vec::len).sum();
            if bytes <= room {
                room -= bytes;
                all.append(&mut encoded);
            } else {
                room = 0;
            }
        }
    }
    all
}

/// The value, its lines, and each of them as a program may trim it and as a shell shows what it
/// expands without quotes, with single blanks.
fn forms(value: &str, is_short: bool) -> BTreeSet<String> {
    let lines = value.split(['\n', '\r']);
    let whole = Some(value).filter(|value| is_short && value.contains(['\n', '\r']));
    let mut forms = BTreeSet::new();
    for text in lines.chain(whole) {
        forms.insert(text.to_owned());
        forms.insert(text.trim().to_owned());
        if is_short {
            forms.insert(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    forms.retain(|form| form.chars().count() >= REDACTED_CHARS_MIN);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_chooses_does_not_decide_how_much_memory_the_search_needs() {
        let line = |number: usize| format!(" abcXé{number:04}  klmOÜ abcde");
        let values: Vec<String> = (0..30)
            .map(|value| (0..320).map(|number| line(value * 320 + number)).collect::<Vec<_>>().join("\n"))
            .collect();
        let given: usize = values.iter().map(String::len).sum();
        let all = spellings(values.iter().map(String::as_str));
        let bytes: usize = all.iter().map(Vec::len).sum();
        assert!(bytes <= 4 * given + ALL_ENCODED_BYTES_MAX, "{bytes} of {given}");
        // Each is found as it is, and the first ones encoded.
        let last = line(30 * 320 - 1);
        assert!(all.contains(last.as_bytes()) && all.contains(last.trim().as_bytes()));
        assert!(spellings(["first secret", &last]).len() > 40);
    }
}
