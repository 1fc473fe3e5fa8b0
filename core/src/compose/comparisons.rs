//! Refuses comparisons with secrets.
//!
//! Secret values never enter the template engine, so that `profile.secrets.pw == 'x'` would
//! silently be false. The engine has no hook on its operators. Each operand of a comparison is
//! therefore passed through a filter that refuses secrets, before the template is compiled:
//! `a == b` becomes `(a)|__public == (b)|__public`.

use std::{collections::BTreeMap, ops::Range};

use super::{
    tags::{Part, Tag, Token, TokenKind, parts},
    variables,
};

/// The filter that refuses a value with a secret anywhere in it.
pub(super) const PUBLIC: &str = "__public";
/// The same for what is searched by `in`. Of a map only the names are compared.
pub(super) const PUBLIC_ITEMS: &str = "__public_items";

/// Words that end an operand. Everything else (arithmetic, `~`, filters, tests) belongs to it.
const ENDS: [&str; 7] = ["and", "or", "not", "if", "else", "in", "recursive"];

/// A template whose comparisons refuse secrets.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    /// What to compile. Also holds what the engine's knowledge of variables needs.
    pub(super) source: String,
    /// The template as the user wrote it.
    pub(super) template: String,
    /// Where text was inserted into the user's template, and its length.
    inserted: Vec<(usize, usize)>,
}

impl Guarded {
    pub(super) fn new(source: &str) -> Self {
        let mut operands = Operands::new();
        for part in parts(source) {
            if let Part::Tag(tag) = part {
                add_operands(&tag, &mut operands);
            }
        }
        let mut insertions = variables::insertions(source);
        for ((start, end), filter) in operands {
            insertions.push((start, "(".to_owned()));
            insertions.push((end, format!(")|{filter}")));
        }
        insertions.sort_by_key(|(at, _)| *at);
        let (mut guarded, mut from) = (String::with_capacity(source.len()), 0);
        for (at, text) in &insertions {
            guarded.push_str(&source[from..*at]);
            guarded.push_str(text);
            from = *at;
        }
        guarded.push_str(&source[from..]);
        let inserted = insertions.into_iter().map(|(at, text)| (at, text.len())).collect();
        Self { source: guarded, template: source.to_owned(), inserted }
    }

    /// The part of the user's template that an error of the engine is about.
    pub(super) fn range(&self, error: &minijinja::Error) -> Option<Range<usize>> {
        let range = error.range()?;
        let range = self.original(range.start)..self.original(range.end);
        self.template.get(range.clone()).map(|_| range)
    }

    /// Where a place of the guarded template is in the user's.
    fn original(&self, place: usize) -> usize {
        let mut before = 0;
        for (at, length) in &self.inserted {
            if at + before + length > place {
                return (place - before).min(*at);
            }
            before += length;
        }
        place - before
    }
}

/// Operands by where they begin and end in the template, in bytes, and the filter for each.
type Operands = BTreeMap<(usize, usize), &'static str>;

/// Where the operands of a tag's comparisons are in the template, in bytes.
pub(super) fn operands(tag: &Tag<'_>) -> Vec<Range<usize>> {
    let mut operands = Operands::new();
    add_operands(tag, &mut operands);
    operands.into_keys().map(|(start, end)| start..end).collect()
}

/// Adds the operands of a tag's comparisons.
fn add_operands(tag: &Tag<'_>, operands: &mut Operands) {
    let tokens = tag.tokens.as_slice();
    let mut is_loop = tag.is_statement && tokens.first().is_some_and(|token| token.is_word("for"));
    for index in 0..tokens.len() {
        let is_in = tokens[index].is_word("in") && is_operator(tokens, index);
        if is_in && std::mem::take(&mut is_loop) {
            continue;
        }
        if !is_in && tokens[index].kind != TokenKind::Comparison {
            continue;
        }
        let is_negated = is_in && index > 0 && tokens[index - 1].is_word("not");
        let first = usize::from(tag.is_statement);
        let left = left_operand(tokens, first, index - usize::from(is_negated));
        let right = right_operand(tokens, index + 1);
        for (range, filter) in [(left, PUBLIC), (right, if is_in { PUBLIC_ITEMS } else { PUBLIC })] {
            if let [start, .., end] | [start @ end] = &tokens[range] {
                let filter_at = operands.entry((start.at, end.end())).or_insert(filter);
                if filter == PUBLIC {
                    *filter_at = PUBLIC;
                }
            }
        }
    }
}

/// Whether the word is an operator or a keyword, and not the name of an attribute, filter or test.
fn is_operator(tokens: &[Token<'_>], index: usize) -> bool {
    let before = |distance: usize| index.checked_sub(distance).map(|index| &tokens[index]);
    let is_test = |token: &Token<'_>| token.is_word("is");
    match before(1) {
        Some(token) if token.is_sign(".") || token.is_sign("|") || is_test(token) => false,
        Some(token) if token.is_word("not") => !before(2).is_some_and(is_test),
        Some(_) | None => true,
    }
}

fn ends_operand(tokens: &[Token<'_>], index: usize) -> bool {
    let token = &tokens[index];
    match token.kind {
        TokenKind::Comparison => true,
        TokenKind::Sign => matches!(token.text, "," | ":" | "="),
        TokenKind::Word => ENDS.contains(&token.text) && is_operator(tokens, index),
        TokenKind::Text | TokenKind::Opening | TokenKind::Closing => false,
    }
}

fn left_operand(tokens: &[Token<'_>], first: usize, end: usize) -> Range<usize> {
    let (mut start, mut depth) = (end, 0_usize);
    while start > first {
        let index = start - 1;
        match tokens[index].kind {
            TokenKind::Closing => depth += 1,
            TokenKind::Opening if depth == 0 => break,
            TokenKind::Opening => depth -= 1,
            TokenKind::Word | TokenKind::Text | TokenKind::Comparison | TokenKind::Sign => {
                if depth == 0 && ends_operand(tokens, index) {
                    break;
                }
            }
        }
        start = index;
    }
    start..end.max(start)
}

fn right_operand(tokens: &[Token<'_>], start: usize) -> Range<usize> {
    let (mut end, mut depth) = (start, 0_usize);
    while end < tokens.len() {
        match tokens[end].kind {
            TokenKind::Opening => depth += 1,
            TokenKind::Closing if depth == 0 => break,
            TokenKind::Closing => depth -= 1,
            TokenKind::Word | TokenKind::Text | TokenKind::Comparison | TokenKind::Sign => {
                if depth == 0 && ends_operand(tokens, end) {
                    break;
                }
            }
        }
        end += 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operand_of_a_comparison_is_guarded() {
        for (source, expected) in [
            ("{{ a.b }} == c", "{{ a.b }} == c"),
            ("{{ a == b }}", "{{ (a)|P == (b)|P }}"),
            ("{% if a.b['c'] != -d ~ 'e' %}", "{% if (a.b['c'])|P != (-d ~ 'e')|P %}"),
            ("{% if not a|f(1) < b and c >= d %}", "{% if not (a|f(1))|P < (b)|P and (c)|P >= (d)|P %}"),
            ("{% for a in b if a in c %}", "{% for a in b if (a)|P in (c)|I %}"),
            ("{{ a not in b }}{{ a is not in(b) }}", "{{ (a)|P not in (b)|I }}{{ a is not in(b) }}"),
            ("{{ x if (a == b) else f(c=d == e) }}", "{{ x if ((a)|P == (b)|P) else f(c=(d)|P == (e)|P) }}"),
            ("{{ a < b < c }}", "{{ (a)|P < (b)|P < (c)|P }}"),
            ("{{ a in b == c }}", "{{ (a)|P in (b)|P == (c)|P }}"),
            ("{% set a = b[c == d] == e %}", "{% set a = (b[(c)|P == (d)|P])|P == (e)|P %}"),
            ("{{ {'k': a == b, 'l': 1} }}", "{{ {'k': (a)|P == (b)|P, 'l': 1} }}"),
            ("{{ a.in == b is defined }}", "{{ (a.in)|P == (b is defined)|P }}"),
            ("{% elif a == b %}{# c == d #}", "{% elif (a)|P == (b)|P %}{# c == d #}"),
            ("{{ == }}", "{{ == }}"),
        ] {
            let guarded = Guarded::new(source);
            let shown = guarded.source.replace(PUBLIC_ITEMS, "I").replace(PUBLIC, "P");
            assert_eq!(shown, expected);
            for word in ["a", "b", "c", "d", "e"] {
                let places = |text: &str| text.match_indices(word).map(|(at, _)| at).collect::<Vec<_>>();
                let cleared = guarded
                    .source
                    .replace("__public_items", "______________")
                    .replace("__public", "________");
                let back: Vec<usize> = places(&cleared).into_iter().map(|at| guarded.original(at)).collect();
                assert_eq!(back, places(source), "{word} of {source}");
            }
        }
    }
}
