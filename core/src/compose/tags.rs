//! Splits a template into the text outside its tags, and the tags' words and signs.
//!
//! MiniJinja has no hook on comparisons (`comparisons` finds them) and reports an unknown filter
//! only when it is reached (`names` checks them). Never fails: what is malformed is refused by the
//! engine.

use crate::text::{string_length, template_opening};

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// Text that is rendered as it is, without the blanks that a tag's `-` removes.
    Text(&'a str),
    /// `{{ .. }}` or `{% .. %}`.
    Tag(Tag<'a>),
}

/// A tag.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    /// Whether it is `{% .. %}`, whose first word is the statement's name.
    pub(super) is_statement: bool,
    pub(super) tokens: Vec<Token<'a>>,
}

/// A word or sign in a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    /// Where it begins in the template, in bytes.
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Word,
    Text,
    /// `(`, `[` or `{`.
    Opening,
    /// `)`, `]` or `}`.
    Closing,
    /// `==`, `!=`, `<`, `<=`, `>` or `>=`.
    Comparison,
    Sign,
}

impl Token<'_> {
    pub(super) const fn end(&self) -> usize {
        self.at + self.text.len()
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text == word
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.kind == TokenKind::Sign && self.text == sign
    }
}

/// Splits a template. What follows a tag that is not closed is left out.
pub(super) fn parts(source: &str) -> Vec<Part<'_>> {
    split(source).0
}

/// The same, or `None` if something is left out.
pub(super) fn all_parts(source: &str) -> Option<Vec<Part<'_>>> {
    let (parts, unclosed) = split(source);
    unclosed.is_none().then_some(parts)
}

/// Where a tag, a comment or a `raw` block begins that is not closed.
pub(super) fn unclosed(source: &str) -> Option<usize> {
    split(source).1
}

/// The parts, and where what is not closed begins. Takes linear time.
fn split(source: &str) -> (Vec<Part<'_>>, Option<usize>) {
    let mut parts = Vec::new();
    let (mut at, mut is_trimmed) = (0, false);
    loop {
        let opening = template_opening(&source[at..]);
        let start = opening.map_or(source.len(), |offset| at + offset);
        let is_trimmed_after = source.get(start + 2..).is_some_and(|rest| rest.starts_with('-'));
        push_text(&mut parts, &source[at..start], is_trimmed, is_trimmed_after);
        if opening.is_none() {
            return (parts, None);
        }
        let end = if source[start..].starts_with("{#") {
            source[start..].find("#}").map(|length| start + length + 2)
        } else {
            let found = tag(source, start);
            found.and_then(|(tag, end)| {
                let is_raw = tag.is_statement && tag.tokens.first().is_some_and(|token| token.is_word("raw"));
                parts.push(Part::Tag(tag));
                if is_raw { push_raw(&mut parts, source, end) } else { Some(end) }
            })
        };
        let Some(end) = end else { return (parts, Some(start)) };
        is_trimmed = source[..end - 2].ends_with('-');
        at = end;
    }
}

fn push_text<'a>(parts: &mut Vec<Part<'a>>, mut text: &'a str, from_start: bool, from_end: bool) {
    if from_start {
        text = text.trim_start();
    }
    if from_end {
        text = text.trim_end();
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}

/// Takes the text of a `raw` block, which ends at the tag `endraw`. Returns where that tag begins.
fn push_raw<'a>(parts: &mut Vec<Part<'a>>, source: &'a str, from: usize) -> Option<usize> {
    let is_end = |(start, _): &(usize, &str)| {
        let inside = source[from + start + 2..].trim_start_matches(['-', '+']).trim_start();
        inside.starts_with("endraw")
    };
    let length = source[from..].match_indices("{%").find(is_end).map(|(start, _)| start);
    push_text(parts, &source[from..length.map_or(source.len(), |length| from + length)], false, false);
    length.map(|length| from + length)
}

/// The tag at `start`, and where it ends.
fn tag(source: &str, start: usize) -> Option<(Tag<'_>, usize)> {
    let is_statement = source[start..].starts_with("{%");
    let closing = if is_statement { "%}" } else { "}}" };
    let (mut tokens, mut depth) = (Vec::new(), 0_usize);
    let mut at = start + 2;
    at += usize::from(source[at..].starts_with(['-', '+']));
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        if depth == 0 {
            let is_marked = usize::from(rest.starts_with(['-', '+']));
            if rest[is_marked..].starts_with(closing) {
                return Some((Tag { is_statement, tokens }, at + is_marked + 2));
            }
        }
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = token(rest, first)?;
        match kind {
            TokenKind::Opening => depth += 1,
            TokenKind::Closing => depth = depth.saturating_sub(1),
            TokenKind::Word | TokenKind::Text | TokenKind::Comparison | TokenKind::Sign => {}
        }
        tokens.push(Token { kind, text: &rest[..length], at });
        at += length;
    }
    None
}

/// Kind and length of the token at the start of `rest`. `None` for a string that is not closed.
fn token(rest: &str, first: char) -> Option<(TokenKind, usize)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    Some(match first {
        '"' | '\'' => (TokenKind::Text, string_length(rest)?),
        c if is_part(c) => (TokenKind::Word, rest.find(|c| !is_part(c)).unwrap_or(rest.len())),
        '(' | '[' | '{' => (TokenKind::Opening, 1),
        ')' | ']' | '}' => (TokenKind::Closing, 1),
        _ if ["==", "!=", "<=", ">="].iter().any(|sign| rest.starts_with(sign)) => (TokenKind::Comparison, 2),
        '<' | '>' => (TokenKind::Comparison, 1),
        c => (TokenKind::Sign, c.len_utf8()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<String> {
        let part = |part: Part<'_>| match part {
            Part::Text(text) => format!("text {text}"),
            Part::Tag(tag) => {
                let words: Vec<&str> = tag.tokens.iter().map(|token| token.text).collect();
                format!("{} {}", if tag.is_statement { "statement" } else { "tag" }, words.join(" "))
            }
        };
        parts(source).into_iter().map(part).collect()
    }

    #[test]
    fn text_and_tags_are_told_apart() {
        for (source, expected) in [
            ("plain", &["text plain"][..]),
            ("a{{ b.c|d('}} \\' x') }}e", &["text a", "tag b . c | d ( '}} \\' x' )", "text e"]),
            ("{% if a<=b -%}\n x {%- endif %}", &["statement if a <= b", "text x", "statement endif"]),
            ("{{ {'a': {'b': 1}} }}!", &["tag { 'a' : { 'b' : 1 } }", "text !"]),
            ("x{# {{ no }} #}y", &["text x", "text y"]),
            (
                "{% raw %}{{ a == b }}{% endraw %}z",
                &["statement raw", "text {{ a == b }}", "statement endraw", "text z"],
            ),
            ("a {{ open", &["text a "]),
            ("{{ 'open }}", &[]),
        ] {
            assert_eq!(shown(source), expected, "{source}");
        }
    }
}
