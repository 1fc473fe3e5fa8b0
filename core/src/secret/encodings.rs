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
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization as _;

use super::redactor::REDACTED_CHARS_MIN;

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

/// Adds the piece as it is.
pub(super) fn add_plain(piece: &str, into: &mut BTreeSet<Vec<u8>>) {
    into.extend(windows(piece).into_iter().map(|window| window.as_bytes().to_vec()));
}

/// Adds every other spelling of `piece`.
pub(super) fn add_encoded(piece: &str, into: &mut BTreeSet<Vec<u8>>) {
    for window in windows(piece) {
        add_base64(window.as_bytes(), into);
        for upper in [false, true] {
            into.insert(hexadecimal(window, upper));
        }
        into.insert(with_blanks(&hexadecimal(window, false)));
    }
    for escaped in escaped(piece) {
        for window in windows(&escaped) {
            add_base64(window.as_bytes(), into);
        }
    }
    for changed in rewritten(piece) {
        add_plain(&changed, into);
    }
    if piece.chars().count() >= CASED_CHARS_MIN {
        let cased = [piece.to_lowercase(), piece.to_uppercase()];
        let of_ascii = [piece.to_ascii_lowercase(), piece.to_ascii_uppercase()];
        cased.into_iter().chain(of_ascii).for_each(|cased| add_plain(&cased, into));
    }
    if !piece.is_ascii() {
        for normal in [piece.nfc().collect::<String>(), piece.nfd().collect()] {
            add_plain(&normal, into);
        }
        add_charsets(piece, into);
    }
}

/// The piece as programs escape it before they encode it in base64: in a URL, and in JSON.
fn escaped(piece: &str) -> BTreeSet<String> {
    const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'!')
        .remove(b'~')
        .remove(b'*')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')');
    const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let in_url = [COMPONENT, QUERY].map(|set| utf8_percent_encode(piece, set).to_string());
    let in_form: String = url::form_urlencoded::byte_serialize(piece.as_bytes()).collect();
    let json = serde_json::Value::from(piece).to_string();
    let in_json = json[1..json.len() - 1].to_owned();
    let mut all = BTreeSet::from([in_form, in_json]);
    all.extend(in_url);
    all.remove(piece);
    all
}

/// The piece as programs write it that take it for something else: a form, whose `+` is a blank, a
/// text in the other alphabet of base64, and a number.
fn rewritten(piece: &str) -> Vec<String> {
    let mut all = Vec::new();
    if piece.contains('+') {
        all.push(piece.replace('+', " "));
    }
    let is_base64 =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    if piece.bytes().all(is_base64) {
        all.push(piece.replace('+', "-").replace('/', "_"));
        all.push(piece.replace('-', "+").replace('_', "/"));
    }
    let is_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
    if piece.bytes().all(is_number)
        && let Ok(number) = piece.parse::<f64>()
        && number.is_finite()
    {
        all.extend(spelled_numbers(number));
    }
    all.retain(|text| text.chars().count() >= REDACTED_CHARS_MIN);
    all
}

/// How Rust, JavaScript and Python write a number.
fn spelled_numbers(number: f64) -> Vec<String> {
    // The shortest digits that are this number.
    let short = format!("{number:e}");
    let (digits, exponent) = short.split_once('e').unwrap_or((&short, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mut all = vec![number.to_string(), format!("{number:?}"), short.clone()];
    // JavaScript fills up with zeros, and Rust with the digits of the binary number.
    let whole = digits.replace('.', "");
    let length = whole.trim_start_matches('-').len();
    if let Ok(zeros) = usize::try_from(exponent + 1 - length as i32) {
        all.push(format!("{whole}{}", "0".repeat(zeros.min(32))));
    }
    // Python and JavaScript write a sign, and Python two digits.
    let sign = if exponent < 0 { '-' } else { '+' };
    all.push(format!("{digits}e{sign}{}", exponent.abs()));
    all.push(format!("{digits}e{sign}{:02}", exponent.abs()));
    all
}

/// The piece in Latin-1 and Windows-1252, and read in another charset than it is in.
fn add_charsets(piece: &str, into: &mut BTreeSet<Vec<u8>>) {
    // Each byte of UTF-8 read as a character.
    let misread = |read: fn(u8) -> char| piece.bytes().map(read).collect::<String>();
    let mut texts = vec![misread(char::from), misread(of_windows_1252)];
    if piece.chars().count() >= CASED_CHARS_MIN {
        // What a charset does not have, and what is not of the charset that it is said to be in.
        texts.extend(['?', '\u{FFFD}'].map(|mark| piece.replace(|c: char| !c.is_ascii(), &mark.to_string())));
    }
    for text in &texts {
        add_plain(text, into);
    }
    let in_one_byte = |c: char| {
        u8::try_from(u32::from(c)).ok().or_else(|| (0x80..=0x9F).find(|byte| of_windows_1252(*byte) == c))
    };
    if let Some(bytes) = piece.chars().map(in_one_byte).collect::<Option<Vec<u8>>>() {
        for window in bytes.chunks(WINDOW_BYTES) {
            into.insert(window.to_vec());
            add_base64(window, into);
        }
    }
}

/// The character of a byte in Windows-1252, which is what most programs mean by Latin-1.
const fn of_windows_1252(byte: u8) -> char {
    /// Of the bytes 80 to 9F. Those that it leaves out are control characters.
    const C1: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => C1[(byte - 0x80) as usize],
        _ => byte as char,
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
        add_plain(text, &mut found);
        add_encoded(text, &mut found);
        found.into_iter().filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
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
    fn what_programs_make_of_a_value_is_covered() {
        let base64 = |text: &str| STANDARD.encode(text);
        for (secret, expected) in [
            ("h7Gk/2+Lm9Qz/RtX+w==", "h7Gk/2 Lm9Qz/RtX w=="),
            ("h7Gk/2+Lm9Qz/RtX+w==", "h7Gk_2-Lm9Qz_RtX-w=="),
            ("h7Gk_2-Lm9Qz_RtX-w==", "h7Gk/2+Lm9Qz/RtX+w=="),
            ("h7Gk/2+Lm9Qz", &base64("h7Gk%2F2%2BLm9Qz")),
            ("two words!", &base64("two+words%21")),
            ("two words!", &base64("two%20words!")),
            ("Tr0ub4dor\"3&x9", &base64("Tr0ub4dor\\\"3&x9")),
            ("PÄSSwört-Ü9", "pÄsswört-Ü9"),
            ("pässwört-Ü9", "pÃ¤sswÃ¶rt-Ãœ9"),
            ("pässwört-Ü9", "pÃ¤sswÃ¶rt-Ã\u{9c}9"),
            ("pässwört-€9", "p?ssw?rt-?9"),
            ("pässwört-€9", "p\u{FFFD}ssw\u{FFFD}rt-\u{FFFD}9"),
            ("4711081512345.0", "4711081512345"),
            ("12345678901234567890", "12345678901234567000"),
            ("0.00000123456", "1.23456e-06"),
            ("0.00000123456", "1.23456e-6"),
            ("1e21", "1e+21"),
        ] {
            assert!(spellings(secret).contains(expected), "{secret} as {expected}: {:?}", spellings(secret));
        }
        let mut found = BTreeSet::new();
        add_encoded("pässwört-€9", &mut found);
        assert!(found.contains(b"p\xE4ssw\xF6rt-\x809".as_slice()));
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
