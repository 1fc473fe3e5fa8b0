//! Where a program shows that it has cut a text: `"wJalrXUtnF"... is not valid JSON`, `wJal…`,
//! `'wJal' (truncated)`. Pure.

/// Most bytes between a text and the mark of its cut.
const BETWEEN_BYTES_MAX: usize = 16;

/// What a program writes where it has cut a text.
const MARKS: [&[u8]; 6] =
    [b"...", "…".as_bytes(), br"\u2026", b"&hellip;", b"&#8230;", "truncated".as_bytes()];

/// Quotes as they are escaped. Others begin with a backslash.
const QUOTES: [&[u8]; 6] = [b"&quot;", b"&#34;", b"&#39;", b"&apos;", b"%22", b"%27"];

/// What follows the beginning of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// The end of the line, or the mark of a cut, perhaps behind quotes, brackets and blanks.
    Cut,
    /// The end of the text, where a mark may begin.
    End,
    Text,
}

/// Whether [`follows`] may find a cut before this byte.
pub(super) const fn may_begin(byte: u8) -> bool {
    is_between(byte) || matches!(byte, b'\n' | b'\r' | b'.' | 0xE2 | b'&' | b'%' | b't' | b'T')
}

const fn is_between(byte: u8) -> bool {
    let is_quote = matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    is_quote || matches!(byte, b' ' | b'\t' | b')' | b']' | b'}' | b'>' | b'(' | b'[' | b'{' | b'<')
}

/// What stands at the start of `text`.
pub(super) fn follows(text: &[u8]) -> Follows {
    let mut at = 0;
    while at <= BETWEEN_BYTES_MAX {
        let rest = &text[at..];
        match rest.first() {
            None => return Follows::End,
            // A line that ends so may have been cut.
            Some(b'\n' | b'\r') if at == 0 => return Follows::Cut,
            Some(_) => {}
        }
        let begins = |mark: &[u8]| mark.iter().zip(rest).all(|(mark, byte)| byte.eq_ignore_ascii_case(mark));
        if let Some(mark) = MARKS.into_iter().find(|mark| begins(mark)) {
            return if mark.len() <= rest.len() { Follows::Cut } else { Follows::End };
        }
        match QUOTES.into_iter().find(|quote| begins(quote)) {
            Some(quote) if quote.len() > rest.len() => return Follows::End,
            Some(quote) => at += quote.len(),
            None if is_between(rest[0]) => at += 1,
            None => return Follows::Text,
        }
    }
    Follows::Text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_a_cut_is_known_behind_quotes_brackets_and_blanks() {
        for text in [
            "... is not valid JSON",
            "\"... is not valid JSON",
            "\" ...",
            "'...",
            "\"]...",
            "[...]",
            "\" (truncated)",
            " <Truncated>",
            "\\\"... is",
            "&quot;...",
            "&quot;&hellip;",
            "\\\\\\\"\\u2026",
            "…",
            "' … 12 more",
        ] {
            assert_eq!(follows(text.as_bytes()), Follows::Cut, "{text}");
            assert!(may_begin(text.as_bytes()[0]), "{text}");
            let mark = text.find(['.', '…']).unwrap_or(0);
            for end in 0..mark {
                assert_eq!(follows(&text.as_bytes()[..end]), Follows::End, "{text} {end}");
            }
        }
        for text in ["\", \"b\"", "\".", ". .", "x...", "\" true", "                    ..."] {
            let found = follows(format!("{text} ").as_bytes());
            assert_eq!(found, Follows::Text, "{text}");
        }
    }
}
