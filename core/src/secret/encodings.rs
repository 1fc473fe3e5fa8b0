//! The spellings of a secret as a whole: as it is, in base64, in hexadecimal digits, and in other
//! cases and normal forms.
//!
//! [`super::search`] looks for all of them, and reads the escapes of single characters meanwhile
//! ([`super::escapes`]). Pure, and never shows its input.

use std::collections::BTreeSet;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use unicode_normalization::UnicodeNormalization as _;

/// Longest piece that is searched for as a whole, in bytes. A longer value is searched for in
/// windows of this length, to limit what a stream must hold back.
const WINDOW_BYTES: usize = 256;
/// Overlap of two neighbouring windows, in bytes. It is more than base64 loses at an edge, so that
/// their matches touch.
const OVERLAP_BYTES: usize = 8;
/// About the most bytes of text that spell one window: every byte as an escape that is escaped
/// again (`\u005cu0041`). Where a text is cut, what is even longer is masked as a beginning.
pub(super) const SPELLING_BYTES_MAX: usize = 12 * WINDOW_BYTES;
/// Shortest piece that is looked for in upper and lower case too, in characters. Tools change the
/// case of hosts, user names and headers. A shorter one is a word that many lines have.
const CASED_CHARS_MIN: usize = 8;

/// Adds every spelling of `piece`. Without `in_full`, only the text itself.
pub(super) fn add_spellings(piece: &str, in_full: bool, into: &mut BTreeSet<Vec<u8>>) {
    for window in windows(piece) {
        into.insert(window.as_bytes().to_vec());
        if in_full {
            add_base64(window.as_bytes(), into);
            for upper in [false, true] {
                into.insert(hexadecimal(window, upper));
            }
            into.insert(with_blanks(&hexadecimal(window, false)));
        }
    }
    if in_full && piece.chars().count() >= CASED_CHARS_MIN {
        for cased in [piece.to_lowercase(), piece.to_uppercase()] {
            into.extend(windows(&cased).into_iter().map(|window| window.as_bytes().to_vec()));
        }
    }
    if in_full && !piece.is_ascii() {
        for normal in [piece.nfc().collect::<String>(), piece.nfd().collect()] {
            if normal != piece {
                add_spellings(&normal, false, into);
            }
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

fn hexadecimal(text: &str, upper: bool) -> Vec<u8> {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    text.bytes().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]).collect()
}

/// The digits with a blank between two bytes, as Node shows a buffer.
fn with_blanks(digits: &[u8]) -> Vec<u8> {
    digits.chunks(2).collect::<Vec<_>>().join(&b' ')
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
    fn every_spelling_of_the_whole_is_covered() {
        let found = spellings("p@ss w/ö\"d~!");
        for expected in [
            "p@ss w/ö\"d~!",
            "P@SS W/Ö\"D~!",
            "p@ss w/o\u{308}\"d~!",
            "cEBzcyB3L8O2ImR+IQ==",
            "cEBzcyB3L8O2ImR-IQ",
            "7040737320772fc3b622647e21",
            "7040737320772FC3B622647E21",
            "70 40 73 73 20 77 2f c3 b6 22 64 7e 21",
        ] {
            assert!(found.contains(expected), "{expected} is not in {found:?}");
        }
        let short = spellings("Abcd");
        assert!(!short.contains("abcd") && !short.contains("ABCD"), "{short:?}");
    }

    #[test]
    fn a_plain_token_is_found_at_all_alignments_of_base64() {
        let found = spellings("abcdefgh");
        for around in ["", "x", "xy", "xyz"] {
            let inside = STANDARD.encode(format!("{around}abcdefgh{around}"));
            assert!(found.iter().any(|spelling| inside.contains(spelling)), "{inside}");
        }
    }

    #[test]
    fn a_long_value_is_cut_into_windows_that_overlap() {
        let long = "ä1".repeat(400);
        let pieces = windows(&long);
        assert!(pieces.iter().all(|piece| piece.len() <= WINDOW_BYTES));
        assert!(pieces.len() > 4);
        let mut end = 0;
        for piece in pieces {
            let start = piece.as_ptr() as usize - long.as_ptr() as usize;
            assert!(end == 0 || (start < end && end - start <= OVERLAP_BYTES + 1), "{start} {end}");
            end = start + piece.len();
        }
        assert_eq!(end, long.len());
    }
}
