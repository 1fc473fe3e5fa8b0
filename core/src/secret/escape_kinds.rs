//! What programs write for a character, one level of it.
//!
//! JSON and JavaScript (`\/`, `\u00e9`, `\u{e9}`), Python, Perl, Lua and shells (`\xe9`, `\x{e9}`,
//! `\351`, `\0351`, `\233`, `\ `, `'\''`), URLs (`%C3%A9`, `+`), HTML (`&eacute;`, `&#233;`,
//! `&#xE9`), mail (`=C3=A9`) and CSV (`""`). Wraps and colours stand for nothing: a line break with
//! the indentation behind it, which may also stand for a blank, `' +` at the end of a line and the
//! quote that begins the next one, and what sets a terminal's colours. Pure.

use super::entities::named;

/// Begins what controls a terminal.
pub(super) const ESC: u8 = 0x1B;

/// Longest name or number of a character in HTML, in bytes.
pub(super) const ENTITY_BYTES_MAX: usize = 10;

/// Calls `each` with the bytes that the escape at the start of `text` may stand for, and its
/// length. Returns whether the text ends before the escape does.
pub(super) fn escape(text: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    match text {
        [b'%', rest @ ..] => percent(rest, each),
        [b'\\', rest @ ..] => backslash(rest, each),
        [b'&', rest @ ..] => entity(rest, each),
        [b'=', rest @ ..] => equals(rest, each),
        [b'"' | b'\'' | b'`', ..] => quote(text, each),
        [b'\n' | b'\r', ..] => line_break(text, each),
        [ESC, rest @ ..] => terminal(rest, each),
        [b'+', ..] => {
            each(b" ", 1);
            false
        }
        _ => false,
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// A quote that is doubled or quoted by a shell, and one at the end of a line.
fn quote(text: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    let spellings: &[&[u8]] = match text[0] {
        b'\'' => &[b"''", br"'\''", br#"'"'"'"#],
        b'"' => &[b"\"\""],
        _ => &[],
    };
    for spelling in spellings.iter().filter(|spelling| text.starts_with(spelling)) {
        each(&text[..1], spelling.len());
    }
    // What `ls` and bash's `printf %q` put around the escapes of a quoted text: 'a'$'\t''b'.
    match text {
        [b'\'', b'$', b'\'', b'\\', ..] => each(b"", 3),
        [b'\'', b'\'', ..] => each(b"", 2),
        _ => {}
    }
    // Programs write a long text as several, one a line. What joins them may follow the quote.
    let is_joint = |byte: &u8| is_blank(*byte) || matches!(byte, b'+' | b'.' | b'&' | b'\\');
    let end = text[1..].iter().position(|byte| !is_joint(byte)).map(|at| at + 1);
    if end.is_none_or(|end| is_break(text[end])) {
        each(b"", end.unwrap_or(text.len()));
    }
    let is_begun = |spelling: &&[u8]| spelling.len() > text.len() && spelling.starts_with(text);
    end.is_none() || spellings.iter().chain([&br"'$'\".as_slice()]).any(is_begun)
}

/// What a line break stands for.
pub(super) const BREAKS: [&[u8]; 4] = [b"", b" ", b"\n", b"\r\n"];

/// Whether a line that begins with these bytes has no more before its text.
pub(super) const fn is_text(first: u8, second: u8) -> bool {
    let is_joint = matches!(first, b'+' | b'.' | b'&' | b'"' | b'\'' | b'`');
    let is_prefixed = first.is_ascii_alphabetic() && matches!(second, b'"' | b'\'');
    !is_blank(first) && !is_break(first) && !is_joint && !is_prefixed
}

/// The end of a line, and what stands before the text in the next one: the indentation, and a quote
/// that goes on with a text, as in `b'...'`.
fn line_break(text: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    let end = |from: usize| {
        let blanks = text[from..].iter().position(|byte| !is_blank(*byte) && !is_break(*byte));
        blanks.map_or(text.len(), |blanks| from + blanks)
    };
    let indented = end(0);
    // What is indented may be a blank of the text.
    let broken = text.iter().position(|byte| !is_break(*byte)).filter(|broken| *broken < indented);
    if let Some(broken) = broken {
        each(b"", broken);
    }
    for meaning in BREAKS {
        each(meaning, indented);
    }
    let joint =
        if matches!(text.get(indented), Some(b'+' | b'.' | b'&')) { end(indented + 1) } else { indented };
    let is_prefix = |byte: u8| byte.is_ascii_alphabetic();
    match text.get(joint..).unwrap_or_default() {
        [b'"' | b'\'' | b'`', ..] => each(b"", joint + 1),
        [prefix, b'"' | b'\'', ..] if is_prefix(*prefix) => each(b"", joint + 2),
        _ => {}
    }
    text.len() <= joint + 1
}

/// What a mail writes for a byte, and at the end of a line that goes on.
fn equals(rest: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    match rest {
        [b'\r', b'\n', ..] => each(b"", 3),
        [b'\n', ..] => each(b"", 2),
        [] => each(b"", 1),
        _ => return code(rest, 2, 16, 1, each),
    }
    rest.is_empty()
}

/// What sets colours and clears lines: `[`, numbers, and a letter.
fn terminal(rest: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    match rest {
        [b'[', numbers @ ..] => match numbers.iter().position(|byte| !matches!(byte, 0x20..=0x3F)) {
            Some(end) => each(b"", end + 3),
            None => return true,
        },
        [b'(', _, ..] => each(b"", 3),
        [] | [b'('] => return true,
        _ => {}
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
    let Some((kind, digits)) = rest.split_first() else {
        // At the end of a line that goes on.
        each(b"", 1);
        return true;
    };
    let byte = match kind {
        b'u' | b'x' if digits.first() == Some(&b'{') => return braces(&digits[1..], each),
        b'u' => return unit(digits, br"\u", 2, each),
        b'U' => return character(digits, 8, 2, each),
        b'x' => return code(digits, 2, 16, 2, each),
        b'0'..=b'9' => return numeric(rest, each),
        // A line that goes on.
        b'\n' | b'\r' => {
            let end = digits.iter().position(|byte| !is_break(*byte));
            let indented = digits.iter().position(|byte| !is_break(*byte) && !is_blank(*byte));
            for end in [end, indented.filter(|_| indented != end)] {
                each(b"", 2 + end.unwrap_or(digits.len()));
            }
            return indented.is_none();
        }
        b' ' | b'\t' => *kind,
        // Of another letter it is the first byte, or each, as of a program that reads bytes.
        other if other.is_ascii_punctuation() || !other.is_ascii() => *other,
        other => match control(*other) {
            Some(byte) => byte,
            None => return false,
        },
    };
    each(&[byte], 2);
    false
}

/// The control character of a letter behind a backslash.
pub(super) const fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'b' => 0x08,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 0x0B,
        b'f' => 0x0C,
        b'r' => b'\r',
        b'a' => 0x07,
        b'e' | b'E' => ESC,
        _ => return None,
    })
}

/// A byte in up to three digits, octal or decimal, or in four octal ones with a zero in front.
fn numeric(rest: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    let count = |radix: u32| {
        let is_digit = |digit: &&u8| char::from(**digit).is_digit(radix);
        rest.iter().take(if rest[0] == b'0' && radix == 8 { 4 } else { 3 }).take_while(is_digit).count()
    };
    let (octal, decimal) = (count(8), count(10));
    let lengths = [(octal.min(3), 8), (if octal > 3 { octal } else { 0 }, 8), (decimal, 10)];
    for (count, radix) in lengths.into_iter().filter(|(count, _)| *count > 0) {
        code(&rest[..count], count, radix, 1, each);
    }
    octal.max(decimal) == rest.len() && rest.len() < 4
}

/// A number of exactly `count` digits: a byte, or a character of Latin-1. `before` is the number of
/// bytes before the digits.
fn code(digits: &[u8], count: usize, radix: u32, before: usize, each: &mut impl FnMut(&[u8], usize)) -> bool {
    let Some(digits) = digits.get(..count) else { return are_digits(digits) };
    let Some(byte) = number(digits, radix).and_then(|number| u8::try_from(number).ok()) else { return false };
    self::byte(byte, before + count, each);
    false
}

/// A byte, and the character of Latin-1 that it may be.
pub(super) fn byte(byte: u8, length: usize, each: &mut impl FnMut(&[u8], usize)) {
    each(&[byte], length);
    if !byte.is_ascii() {
        each(char::from(byte).encode_utf8(&mut [0; 4]).as_bytes(), length);
    }
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

/// `&#65;`, `&#x41;` and `&amp;`. Numbers may have no semicolon.
fn entity(rest: &[u8], each: &mut impl FnMut(&[u8], usize)) -> bool {
    let (from, radix) = match rest {
        [b'#', b'x' | b'X', ..] => (2, 16),
        [b'#', ..] => (1, 10),
        _ => (0, 36),
    };
    let is_part = |byte: &&u8| char::from(**byte).is_digit(radix);
    let end = from + rest[from..].iter().take(ENTITY_BYTES_MAX).take_while(is_part).count();
    let found = match &rest[from..end] {
        name if radix == 36 && rest.get(end) == Some(&b';') => str::from_utf8(name).ok().and_then(named),
        _ if radix == 36 => None,
        digits => number(digits, radix),
    };
    if let Some(found) = found {
        write(found, end + if rest.get(end) == Some(&b';') { 2 } else { 1 }, each);
    }
    end == rest.len()
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
