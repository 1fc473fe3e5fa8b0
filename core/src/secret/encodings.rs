//! The spellings in which a secret may appear in a log: as it is, base64, URL-encoded and
//! JSON-escaped.
//!
//! [`super::Redactor`] searches for all of them. Pure, and never shows its input.

use std::{collections::BTreeSet, fmt::Write as _};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};

/// Longest piece that is searched for as a whole, in bytes. A longer value is searched for in
/// windows of this length, to limit what a stream must hold back.
const WINDOW_BYTES: usize = 256;
/// Overlap of two neighbouring windows, in bytes. It is more than base64 loses at an edge, so that
/// their matches touch.
const OVERLAP_BYTES: usize = 8;
/// Longest spelling of a window: every byte as a JSON escape of six characters.
pub(super) const SPELLING_BYTES_MAX: usize = 6 * WINDOW_BYTES;

/// The characters that an encoder leaves unchanged, besides letters and digits, and its encoding of
/// a blank. In order: RFC 3986, the same with `+`, browsers' encodeURIComponent, forms, path
/// quoting, encodeURI, and an encoder of every character.
const URL_ENCODERS: [(&str, &str); 7] = [
    ("-_.~", "%20"),
    ("-_.~", "+"),
    ("-_.~!*'()", "%20"),
    ("*-._", "+"),
    ("-_.~/", "%20"),
    ("-_.~!*'();/?:@&=+$,#", "%20"),
    ("", "%20"),
];

/// Adds every spelling of `piece`. Without `in_full`, only the text itself and its JSON-escaped
/// form.
pub(super) fn add_spellings(piece: &str, in_full: bool, into: &mut BTreeSet<Vec<u8>>) {
    for window in windows(piece) {
        into.insert(window.as_bytes().to_vec());
        into.insert(json_escaped(window, |c| c.is_ascii()));
        if in_full {
            add_base64(window.as_bytes(), into);
            for (kept, blank) in URL_ENCODERS {
                into.insert(url_encoded(window, kept, blank, false));
                into.insert(url_encoded(window, kept, blank, true));
            }
            into.insert(json_escaped(window, |_| true));
        }
    }
}

/// Splits the piece into overlapping windows, cut between characters. A short piece is one window.
fn windows(piece: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut from = 0;
    loop {
        let to = piece.floor_char_boundary(from + WINDOW_BYTES);
        out.push(&piece[from..to]);
        if to == piece.len() {
            return out;
        }
        from = piece.floor_char_boundary(to - OVERLAP_BYTES);
    }
}

/// Adds the base64 of the bytes alone, and the part of a longer base64 text that depends only on
/// them, for each of the three positions in a group of three bytes at which they may begin. At most
/// four bits at each edge are lost.
fn add_base64(bytes: &[u8], into: &mut BTreeSet<Vec<u8>>) {
    for engine in [&STANDARD, &URL_SAFE] {
        let alone = engine.encode(bytes);
        into.insert(alone.trim_end_matches('=').as_bytes().to_vec());
        into.insert(alone.into_bytes());
        for before in 0..3 {
            let mut shifted = vec![0; before];
            shifted.extend_from_slice(bytes);
            let text = engine.encode(&shifted);
            let (from, to) = ((8 * before).div_ceil(6), 8 * shifted.len() / 6);
            into.insert(text.as_bytes()[from..to].to_vec());
        }
    }
}

fn url_encoded(text: &str, kept: &str, blank: &str, lower_case: bool) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || kept.contains(c) {
            out.push(c);
        } else if c == ' ' {
            out.push_str(blank);
        } else {
            let written = if lower_case { write!(out, "%{byte:02x}") } else { write!(out, "%{byte:02X}") };
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
    }
    out.into_bytes()
}

/// Returns the inside of a JSON string. Characters that are not `is_kept` become `\uXXXX`.
fn json_escaped(text: &str, is_kept: impl Fn(char) -> bool) -> Vec<u8> {
    let quoted = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for c in quoted[1..quoted.len() - 1].chars() {
        if is_kept(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let written = write!(out, "\\u{unit:04x}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        add_spellings(text, true, &mut found);
        found.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn every_encoder_in_use_is_covered() {
        let found = spellings("p@ss w/ö\"d~!");
        for expected in [
            "p@ss w/ö\"d~!",
            "p%40ss%20w%2F%C3%B6%22d~%21",
            "p%40ss+w%2f%c3%b6%22d~%21",
            "p%40ss%20w%2F%C3%B6%22d~!",
            "p%40ss+w%2F%C3%B6%22d%7E%21",
            "p%40ss%20w/%C3%B6%22d~%21",
            "p@ss%20w/%C3%B6%22d~!",
            "p@ss w/ö\\\"d~!",
            "p@ss w/\\u00f6\\\"d~!",
            "cEBzcyB3L8O2ImR+IQ==",
            "cEBzcyB3L8O2ImR-IQ",
        ] {
            assert!(found.contains(expected), "{expected} is not in {found:?}");
        }
        assert!(found.iter().all(|spelling| spelling.len() <= SPELLING_BYTES_MAX));
    }

    #[test]
    fn a_plain_token_has_few_spellings_and_all_alignments_of_base64() {
        let found = spellings("abcdefgh");
        assert_eq!(found.len(), 6, "{found:?}");
        for around in ["", "x", "xy", "xyz"] {
            let inside = STANDARD.encode(format!("{around}abcdefgh{around}"));
            assert!(found.iter().any(|spelling| inside.contains(spelling)), "{inside}");
        }
    }

    #[test]
    fn a_long_value_is_cut_into_windows_that_overlap() {
        let long = "ä1".repeat(400);
        let windows = windows(&long);
        assert!(windows.len() > 4 && windows.iter().all(|window| window.len() <= WINDOW_BYTES));
        assert!(windows.iter().all(|window| long.contains(window)));
        assert_eq!(windows.last().map(|last| long.ends_with(last)), Some(true));
    }
}
