//! Reads the escapes in which programs write single characters.
//!
//! JSON and JavaScript (`\/`, `\u00e9`, `\u{e9}`), Python and shells (`\xe9`, `\351`, `\ `,
//! `'\''`), URLs (`%C3%A9`, `+`), HTML (`&eacute;`, `&#233;`, `&#xE9;`) and CSV (`""`). Each of
//! them may be escaped once or twice more, also in another way (`%2541`, `\\u0041`, `&amp;#65;`). A
//! line break, with the indentation after it, may also stand for nothing, because base64 is
//! wrapped.

use super::entities::named;

/// Longest escape that is read, in bytes. An emoji whose escape is escaped twice takes less.
pub(super) const ESCAPE_BYTES_MAX: usize = 80;
/// How often a character may be escaped.
const LEVELS_MAX: usize = 3;
/// Bytes of a text that are unescaped to find an escape in it. The longest has 14.
const VIEW_BYTES: usize = 24;

/// Whether an escape may begin with this byte.
pub(super) const fn begins(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&' | b'\'' | b'"' | b'+' | b'\n' | b'\r')
}

/// Calls `each` with the bytes that the escape at the start of `text` may stand for, and its
/// length. There may be several. Returns whether the text ends before the escape does.
pub(super) fn read(text: &[u8], mut each: impl FnMut(&[u8], usize)) -> bool {
    let text = &text[..text.len().min(ESCAPE_BYTES_MAX)];
    match read_level(text, |length| length, &mut each) {
        (is_open, None) => is_open,
        (is_open, Some(lead)) => read_deeper(text, lead, &mut each) || is_open,
    }
}

/// The first byte of an escape that is escaped itself, and the length of that escape.
type Lead = (u8, usize);

fn read_deeper(text: &[u8], lead: Lead, each: &mut impl FnMut(&[u8], usize)) -> bool {
    let mut view = View::of(text, |length| length as u8, lead);
    let mut is_open = false;
    for _ in 2..LEVELS_MAX {
        let (is_view_open, lead) = read_level(view.bytes(), |length| view.ends[length - 1].into(), each);
        is_open |= is_view_open;
        let Some(lead) = lead else { return is_open };
        view = View::of(view.bytes(), |length| view.ends[length - 1], lead);
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
    let is_open = escape(text, &mut |bytes: &[u8], length: usize| {
        each(bytes, length_of(length));
        if let [byte] = bytes
            && begins(*byte)
            && *byte != b'"'
            && lead.is_none()
        {
            lead = Some((*byte, length));
        }
    });
    // HTML escapes the quote of `\"`, and JSON the quotes of `'"'"'`.
    let inside = || match *text {
        [b'\'', b'\\' | b'&' | b'%', ..] => Some((b'\'', 1)),
        [b'\\', b'&' | b'%', ..] => Some((b'\\', 1)),
        _ => None,
    };
    (is_open, lead.or_else(inside))
}

/// The beginning of a text, unescaped.
struct View {
    bytes: [u8; VIEW_BYTES],
    /// Where each byte ends in the text as it is.
    ends: [u8; VIEW_BYTES],
    length: usize,
}

impl View {
    /// The text with its first escape replaced by its lead, and with all others undone. `end_of`
    /// says where so many bytes of the text end.
    fn of(text: &[u8], end_of: impl Fn(usize) -> u8, (lead, length): Lead) -> Self {
        let mut view = Self { bytes: [0; VIEW_BYTES], ends: [0; VIEW_BYTES], length: 0 };
        view.push(&[lead], end_of(length));
        let mut at = length;
        while view.length < VIEW_BYTES
            && let Some(byte) = text.get(at)
        {
            let mut found = None;
            if matches!(byte, b'\\' | b'%' | b'&') {
                escape(&text[at..], &mut |bytes: &[u8], length: usize| {
                    if found.is_none() {
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

/// The same as [`read`] for one level.
fn escape(text: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    match text {
        [b'%', rest @ ..] => percent(rest, each),
        [b'\\', rest @ ..] => backslash(rest, each),
        [b'&', rest @ ..] => entity(rest, each),
        [b'+', ..] => {
            each(b" ", 1);
            false
        }
        [b'"', rest @ ..] => {
            if rest.first() == Some(&b'"') {
                each(b"\"", 2);
            }
            rest.is_empty()
        }
        [b'\'', ..] => {
            let spellings: [&[u8]; 3] = [b"''", br"'\''", br#"'"'"'"#];
            for spelling in spellings.into_iter().filter(|spelling| text.starts_with(spelling)) {
                each(b"'", spelling.len());
            }
            spellings.iter().any(|spelling| spelling.len() > text.len() && spelling.starts_with(text))
        }
        [b'\n' | b'\r', ..] => {
            let end = text.iter().position(|byte| !matches!(byte, b'\n' | b'\r' | b' ' | b'\t'));
            each(b"", end.unwrap_or(text.len()));
            end.is_none_or(|end| joined(text, end, each))
        }
        _ => false,
    }
}

/// Node and Python show a text of several lines as several texts, one a line: `'a\n' +` and `'b'`.
/// What stands between them counts for nothing. `at` is where the first one ends.
fn joined(text: &[u8], at: usize, each: &mut impl FnMut(&[u8], usize)) -> bool {
    let quote = text[at];
    if !matches!(quote, b'\'' | b'"' | b'`') {
        return false;
    }
    let is_blank = |byte: &u8| matches!(byte, b'\n' | b'\r' | b' ' | b'\t');
    let is_between = |byte: &u8| is_blank(byte) || *byte == b'+';
    let Some(next) = text[at + 1..].iter().position(|byte| !is_between(byte)) else {
        each(b"", text.len());
        return true;
    };
    let between = &text[at + 1..at + 1 + next];
    if text[at + 1 + next] == quote && between.contains(&b'\n') {
        each(b"", at + 2 + next);
    }
    false
}

/// `%41`, and `%u0041` of JavaScript's `escape`.
fn percent(rest: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    if let [b'u', digits @ ..] = rest {
        return unit(digits, b"%u", 2, each);
    }
    code(rest, 2, 16, 1, each)
}

fn backslash(rest: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    let Some((kind, digits)) = rest.split_first() else { return true };
    let byte = match kind {
        b'u' if digits.first() == Some(&b'{') => return braces(&digits[1..], each),
        b'u' => return unit(digits, br"\u", 2, each),
        b'U' => return character(digits, 8, 2, each),
        b'x' => return code(digits, 2, 16, 2, each),
        b'0'..=b'7' => {
            let most = rest.len().min(3);
            let count = rest[..most].iter().take_while(|digit| matches!(digit, b'0'..=b'7')).count();
            code(&rest[..count], count, 8, 1, each);
            return count == rest.len() && count < 3;
        }
        b'b' => 0x08,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 0x0B,
        b'f' => 0x0C,
        b'r' => b'\r',
        b'a' => 0x07,
        b'e' => 0x1B,
        // A line that goes on.
        b'\n' => {
            each(b"", 2);
            return false;
        }
        b' ' | b'\t' => *kind,
        other if other.is_ascii_punctuation() => *other,
        _ => return false,
    };
    each(&[byte], 2);
    false
}

/// A number of exactly `count` digits: a byte, or a character of Latin-1. `before` is the number of
/// bytes before the digits.
fn code(digits: &[u8], count: usize, radix: u32, before: usize, each: &mut impl FnMut(&[u8], usize)) -> bool {
    let Some(digits) = digits.get(..count) else { return are_digits(digits) };
    let Some(byte) = number(digits, radix).and_then(|number| u8::try_from(number).ok()) else { return false };
    each(&[byte], before + count);
    if !byte.is_ascii() {
        each(char::from(byte).encode_utf8(&mut [0; 4]).as_bytes(), before + count);
    }
    false
}

/// A UTF-16 unit of four digits, or two of them that are a pair, of which the second begins with
/// `prefix` too.
fn unit(digits: &[u8], prefix: &[u8], before: usize, each: &mut impl FnMut(&[u8], usize)) -> bool {
    let Some((high, rest)) = digits.split_at_checked(4) else { return are_digits(digits) };
    let Some(high) = number(high, 16) else { return false };
    if !(0xD800..0xDC00).contains(&high) {
        write(high, before + 4, each);
        return false;
    }
    let Some(low) = rest.strip_prefix(prefix) else { return prefix.starts_with(rest) };
    let Some(digits) = low.get(..4) else { return are_digits(low) };
    if let Some(low @ 0xDC00..0xE000) = number(digits, 16) {
        write(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), before + 4 + prefix.len() + 4, each);
    }
    false
}

/// A code point of exactly `count` hexadecimal digits.
fn character(digits: &[u8], count: usize, before: usize, each: &mut impl FnMut(&[u8], usize)) -> bool {
    let Some(digits) = digits.get(..count) else { return are_digits(digits) };
    if let Some(found) = number(digits, 16) {
        write(found, before + count, each);
    }
    false
}

/// `{1F600}` of `\u{1F600}`, behind its brace.
fn braces(rest: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    let count = rest.iter().take(9).take_while(|digit| digit.is_ascii_hexdigit()).count();
    match rest.get(count) {
        Some(b'}') => character(rest, count, 3, &mut |bytes: &[u8], length: usize| each(bytes, length + 1)),
        Some(_) => false,
        None => true,
    }
}

/// `&#65;`, `&#x41;` and `&amp;`.
fn entity(rest: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    let most = rest.len().min(12);
    let Some(end) = rest[..most].iter().position(|byte| *byte == b';') else {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
        return most == rest.len() && rest.iter().all(is_name);
    };
    let length = end + 2;
    let found = match &rest[..end] {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        name => str::from_utf8(name).ok().and_then(named),
    };
    if let Some(found) = found {
        write(found, length, each);
    }
    false
}

fn write(code: u32, length: usize, each: &mut impl FnMut(&[u8], usize)) {
    if let Some(c) = char::from_u32(code) {
        each(c.encode_utf8(&mut [0; 4]).as_bytes(), length);
    }
}

fn are_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_hexdigit)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let mut number = 0_u32;
    for digit in digits {
        number = number.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)?;
    }
    (!digits.is_empty()).then_some(number)
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
            ("\\n' +\n    'x", ""),
            ("\\r\\n' +\n  'x", ""),
            (r"\\n   x", ""),
            (r"\\\\\/x", "/"),
        ] {
            let all = readings(text);
            assert!(all.contains(&(expected.to_owned(), text.len() - 1)), "{text}: {all:?}");
        }
        assert!(readings(r"\xe9").contains(&("é".to_owned(), 4)), "Python's text");
        assert!(readings("%C3").iter().any(|(_, length)| *length == 3), "a byte of UTF-8");
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
            assert!(!read(format!("{whole} ").as_bytes(), |_, _| {}), "{whole}");
        }
        assert!(!read(b"%zz", |_, _| {}));
    }
}
