//! Reads the escapes in which programs write single characters, escaped up to three times more.
//!
//! What one level may be stands in [`super::escape_kinds`]. Each escape may be escaped again, also
//! in another way (`%2541`, `\\u0041`, `&amp;#65;`).

use super::escape_kinds::{self, escape};

/// Longest escape that is read, in bytes. An emoji whose escape is escaped three times takes less.
pub(super) const ESCAPE_BYTES_MAX: usize = 80;
/// How often a character may be escaped.
const LEVELS_MAX: usize = 4;
/// Bytes of a text that are unescaped to find an escape in it. The longest has 18.
const VIEW_BYTES: usize = 24;

/// Whether an escape may begin with this byte.
pub(super) const fn begins(byte: u8) -> bool {
    matches!(
        byte,
        b'\\' | b'%' | b'&' | b'\'' | b'"' | b'`' | b'+' | b'=' | b'\n' | b'\r' | escape_kinds::ESC
    )
}

/// Whether an escape may begin here that stands for a byte of a spelling, by the first bytes. Most
/// quotes, equals signs and percent signs begin none.
pub(super) fn may_begin(text: &[u8], is_spelled: &[bool; 256]) -> bool {
    match *text {
        [b'\'' | b'"' | b'`', b' ', next, ..] => !next.is_ascii_alphanumeric(),
        [b'\'' | b'"' | b'`', next, ..] => {
            matches!(next, b'\'' | b'"' | b' ' | b'+' | b'.' | b'\\' | b'&' | b'%' | b'$' | b'\n' | b'\r')
        }
        [b'=', b'\n' | b'\r' | b'\\', ..] | [b'%', b'u', ..] => true,
        [b'=' | b'%', high, low, ..] => hexadecimal(high, low).is_some_and(|byte| {
            let in_latin_1 = 0x80 | byte & 0x3F;
            let is_other = !byte.is_ascii() && is_spelled[usize::from(in_latin_1)];
            begins(byte) || is_spelled[usize::from(byte)] || is_other
        }),
        [b'&', ref rest @ ..] => {
            let mut name = rest.iter().take(escape_kinds::ENTITY_BYTES_MAX + 1);
            let end = name.find(|byte| !byte.is_ascii_alphanumeric());
            end.is_none_or(|end| matches!(end, b'#' | b';'))
        }
        _ => true,
    }
}

/// Calls `each` with the bytes that the escape at the start of `text` may stand for, and its
/// length. There may be several. Returns whether the text ends before the escape does.
pub(super) fn read(text: &[u8], mut each: impl FnMut(&[u8], usize)) -> bool {
    let text = &text[..text.len().min(ESCAPE_BYTES_MAX)];
    if read_frequent(text, &mut each) {
        return false;
    }
    match read_level(text, |length| length, &mut each) {
        (is_open, None) => is_open,
        (is_open, Some(lead)) => {
            // An escape may stand behind what was escaped, or be what the text says.
            let is_other = |byte: &u8| *byte != text[0] && is_kind(*byte);
            let has_others = text.iter().take(VIEW_BYTES).any(is_other);
            let is_open = read_deeper(text, lead, has_others, &mut each) || is_open;
            has_others && read_deeper(text, lead, false, &mut each) || is_open
        }
    }
}

/// Reads the most frequent escapes, if they are no part of another. Returns whether this is one.
fn read_frequent(text: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    match *text {
        [b'\\', b'"', ref rest @ ..] if !may_end_line(rest) => each(b"\"", 2),
        [b'\\', b'\\', kind, ..] if kind.is_ascii_alphabetic() => match escape_kinds::control(kind) {
            _ if begins_number(kind) => return false,
            Some(byte) if begins(byte) => return false,
            Some(byte) => {
                each(b"\\", 2);
                each(&[byte], 3);
            }
            None => each(b"\\", 2),
        },
        [b'%', high, low, ..] => {
            let Some(byte) = hexadecimal(high, low).filter(|byte| !begins(*byte)) else { return false };
            escape_kinds::byte(byte, 3, each);
        }
        [b'\n', next, after, ..] if escape_kinds::is_text(next, after) => {
            for meaning in escape_kinds::BREAKS {
                each(meaning, 1);
            }
        }
        _ => return false,
    }
    true
}

/// Whether a number follows this letter behind a backslash.
const fn begins_number(letter: u8) -> bool {
    matches!(letter, b'u' | b'U' | b'x')
}

/// The byte of two hexadecimal digits.
const fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Some(high << 4 | low),
        _ => None,
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Whether escapes of these kinds are undone together.
const fn is_kind(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&')
}

/// The first byte of an escape that is escaped itself, and the length of that escape.
type Lead = (u8, usize);

fn read_deeper(text: &[u8], lead: Lead, is_mixed: bool, each: &mut impl FnMut(&[u8], usize)) -> bool {
    let mut view = View::of(text, |length| length as u8, lead, is_mixed);
    let mut is_open = false;
    for _ in 2..LEVELS_MAX {
        let (is_view_open, lead) = read_level(view.bytes(), |length| view.ends[length - 1].into(), each);
        is_open |= is_view_open;
        let Some(lead) = lead else { return is_open };
        view = View::of(view.bytes(), |length| view.ends[length - 1], lead, is_mixed);
    }
    read_level(view.bytes(), |length| view.ends[length - 1].into(), each).0 || is_open
}

/// Reads the escape at the start of one level. Also returns how one that is escaped may begin
/// there.
fn read_level(
    text: &[u8],
    length_of: impl Fn(usize) -> usize,
    each: &mut impl FnMut(&[u8], usize),
) -> (bool, Option<Lead>) {
    let mut lead = None;
    let is_break = matches!(text.first(), Some(b'\n' | b'\r'));
    let is_open = escape(text, &mut |bytes: &[u8], length: usize| {
        each(bytes, length_of(length));
        if let [byte] = bytes
            && begins(*byte)
            && !is_break
            && lead.is_none()
            && (*byte != b'"' || may_end_line(&text[length..]))
        {
            lead = Some((*byte, length));
        }
    });
    // HTML escapes the quote of `\"`, and JSON the quotes of `'"'"'` and the line break behind one.
    let inside = || match text {
        [b'\'', b'\\' | b'&' | b'%', ..] => Some((b'\'', 1)),
        [b'\\', b'&' | b'%', ..] => Some((b'\\', 1)),
        [b'=', b'\\', b'n' | b'r', ..] => Some((b'=', 1)),
        [quote @ (b'\'' | b'"' | b'`'), rest @ ..] => {
            let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'+')).count();
            matches!(rest[blanks..], [b'\\', b'n' | b'r' | b'\\', ..]).then_some((*quote, 1))
        }
        _ => None,
    };
    (is_open, lead.or_else(inside))
}

/// Whether an escaped line break may follow, behind what joins two texts.
fn may_end_line(text: &[u8]) -> bool {
    let next = text.iter().find(|byte| !matches!(byte, b' ' | b'+' | b'.'));
    next.is_none_or(|next| is_kind(*next) || matches!(next, b'\n' | b'\r'))
}

/// The beginning of a text, unescaped.
struct View {
    bytes: [u8; VIEW_BYTES],
    /// Where each byte ends in the text as it is.
    ends: [u8; VIEW_BYTES],
    length: usize,
}

impl View {
    /// The text with its first escape replaced by its lead, and with the others undone: those of
    /// the same kind, or of all kinds if they are mixed. `end_of` says where so many bytes of the
    /// text end.
    fn of(text: &[u8], end_of: impl Fn(usize) -> u8, (lead, length): Lead, is_mixed: bool) -> Self {
        let mut view = Self { bytes: [0; VIEW_BYTES], ends: [0; VIEW_BYTES], length: 0 };
        view.push(&[lead], end_of(length));
        // A shell's quoting of a quote escapes nothing but quotes. Inside of one is any kind.
        let is_quoted = length > 1 && text[0] == b'\'';
        let is_mixed = is_mixed || length == 1;
        let is_undone = |byte: u8| {
            if is_quoted { byte == b'\'' } else { is_kind(byte) && (is_mixed || byte == text[0]) }
        };
        // Behind a backslash, a letter that begins no number or line break is all of the escape.
        let is_short =
            |byte: &u8| byte.is_ascii_alphabetic() && !begins_number(*byte) && !matches!(byte, b'n' | b'r');
        let most = if lead == b'\\' && text.get(length).is_some_and(is_short) { 2 } else { VIEW_BYTES };
        let mut at = length;
        while view.length < most
            && let Some(byte) = text.get(at)
        {
            let mut found = None;
            if is_undone(*byte) {
                escape(&text[at..], &mut |bytes: &[u8], length: usize| {
                    if found.is_none() && !bytes.is_empty() {
                        view.push(bytes, end_of(at + length));
                        found = Some(length);
                    }
                });
            }
            if found.is_none() {
                view.push(&[*byte], end_of(at + 1));
            }
            at += found.unwrap_or(1);
        }
        view
    }

    fn push(&mut self, bytes: &[u8], end: u8) {
        for byte in bytes.iter().take(VIEW_BYTES - self.length) {
            self.bytes[self.length] = *byte;
            self.ends[self.length] = end;
            self.length += 1;
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<(String, usize)> {
        let mut all = Vec::new();
        read(text.as_bytes(), |bytes, length| {
            all.push((String::from_utf8_lossy(bytes).into_owned(), length));
        });
        all
    }

    /// Checks that all of the text but its last byte is an escape of `expected`.
    #[track_caller]
    fn assert_read(text: &str, expected: &str) {
        let all = readings(text);
        assert!(all.contains(&(expected.to_owned(), text.len() - 1)), "{text}: {all:?}");
    }

    #[test]
    fn every_escape_is_read_with_its_length() {
        for (text, expected) in [
            (r"\/x", "/"),
            (r"\u0041x", "A"),
            (r"\u00E9x", "é"),
            (r"\uD83D\ude00x", "😀"),
            (r"\u{1f600}x", "😀"),
            (r"\U0001F600x", "😀"),
            (r"\x41x", "A"),
            (r"\101x", "A"),
            (r"\0x", "\0"),
            (r"\ x", " "),
            (r"\'x", "'"),
            (r"'\''x", "'"),
            (r#"'"'"'x"#, "'"),
            ("''x", "'"),
            (r#"""x"#, "\""),
            ("%2fx", "/"),
            ("%u00e9x", "é"),
            ("+x", " "),
            ("&amp;x", "&"),
            ("&#65;x", "A"),
            ("&#x00041;x", "A"),
            ("&auml;x", "ä"),
            ("&yuml;x", "ÿ"),
            ("&rcub;x", "}"),
            ("\r\n\t x", ""),
            // Escaped again.
            ("%2541x", "A"),
            ("%252541x", "A"),
            (r"\\u0041x", "A"),
            (r"\\\/x", "/"),
            (r"\u005cu0041x", "A"),
            ("&amp;#65;x", "A"),
            (r"\&quot;x", "\""),
            (r#"'\"'\"'x"#, "'"),
            (r"%5C%22x", "\""),
            (r"\\n   x", ""),
            (r"\\\\\/x", "/"),
        ] {
            assert_read(text, expected);
        }
        assert!(readings(r"\xe9").contains(&("é".to_owned(), 4)), "Python's text");
        assert!(readings("%C3").iter().any(|(_, length)| *length == 3), "a byte of UTF-8");
    }

    #[test]
    fn escapes_of_other_languages_and_what_stands_for_nothing_are_read() {
        for (text, expected) in [
            (r"\x{2f}x", "/"),
            (r"\0057x", "/"),
            (r"\047x", "/"),
            (r"\092x", "\\"),
            ("&#47x", "/"),
            ("&#x2Fx", "/"),
            ("=2Fx", "/"),
            ("=\r\nx", ""),
            ("\\\n    x", ""),
            ("\n  x", " "),
            ("\n  'x", ""),
            ("\n b'x", ""),
            ("\n  + 'x", ""),
            ("\x1b[01;31mx", ""),
            ("\x1b[Kx", ""),
            ("\x1b(Bx", ""),
            (r"\u001b[0mx", ""),
            (r"\033[0mx", ""),
            (r"=\r\nx", ""),
            (r#"'"'"'"'"'"'"'"'"'x"#, "'"),
            (r"'\''\'\'''\''x", "'"),
            (r"\\\\\\\\\\\\\\\/x", "/"),
        ] {
            assert_read(text, expected);
        }
        // At the end of a line of a text that goes on in the next one.
        for text in ["'\n", "\"\n", "' +\n", "\" \\\n", r"'\n", r#"\"\n"#, "`", "\\", "="] {
            let all = readings(text);
            assert!(all.iter().any(|(bytes, _)| bytes.is_empty()), "{text}: {all:?}");
        }
    }

    #[test]
    fn other_text_is_no_escape() {
        for text in
            ["%4x", "%", r"\q", r"\u00", r"\ud83dx", "&", "& ;", "&nothing;", "'x", "\"x", r"\u{}", "x"]
        {
            assert_eq!(readings(text), [], "{text}");
        }
    }

    #[test]
    fn an_escape_that_the_end_cuts_is_known() {
        for whole in ["%41", r"\u0041", r"\ud83d\ude00", "&amp;", r"'\''", r"\101"] {
            for end in 1..whole.len() {
                assert!(read(&whole.as_bytes()[..end], |_, _| {}), "{whole} {end}");
            }
            assert!(!read(format!("{whole}~").as_bytes(), |_, _| {}), "{whole}");
        }
        assert!(!read(b"%zz", |_, _| {}));
    }
}
