//! How long and how deeply nested a template may be, and whether all of it is closed.
//!
//! The engine's parser and compiler recurse with the nesting of what they read, and more work is
//! done per word of a tag than per letter of text. So these bounds hold before anything is
//! compiled. What a template does while it renders is bounded elsewhere (docs/adr/0021).

use super::tags::{Part, Tag, TokenKind, parts, unclosed};

/// Most words and signs of one tag.
pub(crate) const TAG_TOKENS_MAX: usize = 500;
/// Most words and signs of all tags of a template.
pub(crate) const TEMPLATE_TOKENS_MAX: usize = 20_000;
/// Deepest nesting of brackets in a tag, and of `if`, `for` and other blocks.
pub(crate) const NESTING_MAX: usize = 32;
/// Most signs before one operand (`not`, `-`), and most `if`, `else` and `**` of one expression,
/// which nest to the right.
const PREFIXES_MAX: usize = 16;
/// Most `elif` of a template.
pub(crate) const ELIFS_MAX: usize = 100;

/// The blocks that an `end...` closes.
const BLOCKS: [&str; 10] =
    ["if", "for", "macro", "call", "filter", "with", "block", "autoescape", "raw", "set"];

/// The first part of a template that is too long, nested too deeply or not closed: its place in
/// bytes, and the message.
pub(super) fn fault(source: &str) -> Option<(usize, String)> {
    let (mut tokens, mut elifs, mut depth) = (0, 0, 0_usize);
    for part in parts(source) {
        let Part::Tag(tag) = part else { continue };
        let Some(first) = tag.tokens.first() else { continue };
        tokens += tag.tokens.len();
        let at = |message: String| Some((first.at, message));
        if tokens > TEMPLATE_TOKENS_MAX {
            return at(format!(
                "a template can have at most {TEMPLATE_TOKENS_MAX} words and signs in its tags"
            ));
        }
        if let Some(fault) = tag_fault(&tag) {
            return Some(fault);
        }
        if !tag.is_statement {
            continue;
        }
        // `{% set x = 1 %}` is no block.
        let is_short_set = first.is_word("set") && tag.tokens.iter().any(|token| token.is_sign("="));
        if BLOCKS.contains(&first.text) && !is_short_set {
            depth += 1;
        } else if first.text.starts_with("end") {
            depth = depth.saturating_sub(1);
        }
        elifs += usize::from(first.is_word("elif"));
        if depth > NESTING_MAX {
            return at(format!("blocks can be nested at most {NESTING_MAX} deep"));
        }
        if elifs > ELIFS_MAX {
            return at(format!("a template can have at most {ELIFS_MAX} `elif`"));
        }
    }
    let at = unclosed(source)?;
    let (what, end) = match source.get(at..at + 2) {
        Some("{#") => ("comment", "#}"),
        Some("{{") => ("tag or a text in it", "}}"),
        Some(_) | None => ("tag, a text in it or a `raw` block", "%}"),
    };
    Some((at, format!("a {what} is not closed. It needs `{end}`")))
}

fn tag_fault(tag: &Tag<'_>) -> Option<(usize, String)> {
    if let Some(token) = tag.tokens.get(TAG_TOKENS_MAX) {
        return Some((
            token.at,
            format!("a tag can have at most {TAG_TOKENS_MAX} words and signs. Split it"),
        ));
    }
    let (mut depth, mut prefixes, mut branches) = (0_usize, 0, 0);
    for (index, token) in tag.tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Opening => depth += 1,
            TokenKind::Closing => depth = depth.saturating_sub(1),
            TokenKind::Word | TokenKind::Text | TokenKind::Comparison | TokenKind::Sign => {}
        }
        let is_prefix = token.is_sign("-") || token.is_sign("+") || token.is_word("not");
        prefixes = if is_prefix { prefixes + 1 } else { 0 };
        let is_power = token.is_sign("*") && tag.tokens.get(index + 1).is_some_and(|next| next.is_sign("*"));
        branches += usize::from(token.is_word("if") || is_power);
        if depth > NESTING_MAX {
            return Some((token.at, format!("brackets can be nested at most {NESTING_MAX} deep")));
        }
        if prefixes > PREFIXES_MAX {
            let message = format!("at most {PREFIXES_MAX} of `not`, `-` and `+` can follow each other");
            return Some((token.at, message));
        }
        if branches > PREFIXES_MAX {
            return Some((token.at, format!("an expression can have at most {PREFIXES_MAX} `if` and `**`")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_too_deep_is_told_with_its_place() {
        let nested = |open: &str, close: &str, depth: usize| {
            format!("x{{{{ {}1{} }}}}", open.repeat(depth), close.repeat(depth))
        };
        for (source, at, told) in [
            (format!("{{{{ {}1 }}}}", "-".repeat(8000)), 503, "500 words and signs"),
            (format!("{{{{ {}1 }}}}", "- ".repeat(17)), 35, "`not`, `-` and `+`"),
            (format!("{{{{ {}a }}}}", "not ".repeat(17)), 67, "`not`, `-` and `+`"),
            (nested("(", ")", 33), 36, "brackets"),
            (nested("[", "]", 33), 36, "brackets"),
            (nested("a(", ")", 33), 69, "brackets"),
            (format!("{{{{ a{} }}}}", ".a".repeat(300)), 503, "500 words and signs"),
            (format!("{{{{ {}1 }}}}", "1 if a else ".repeat(17)), 197, "`if` and `**`"),
            ("{% if a %}".repeat(33), 323, "blocks"),
            ("{% set a %}".repeat(33), 355, "blocks"),
            (format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(101)), 1213, "`elif`"),
            ("{{ a }}".repeat(20_001), 140_003, "20000 words and signs"),
            ("{#".repeat(60_000), 0, "a comment is not closed"),
            ("x\n{{ a }}{{ 'b }}".into(), 9, "a tag or a text in it is not closed"),
            ("{% raw %}{% endif %}".into(), 0, "`raw` block is not closed"),
            ("{% if a }}".into(), 0, "It needs `%}`"),
        ] {
            let shown: String = source.chars().take(40).collect();
            let (place, message) = fault(&source).unwrap_or_else(|| panic!("not refused: {shown}"));
            assert!(message.contains(told) && place == at, "{shown}: {place}: {message}");
        }
    }

    #[test]
    fn what_people_write_is_within_the_bounds() {
        for source in [
            nested_json(30),
            "{% for a in input.list %}{% if a.b %}{{ a.b[0][1] ~ '-' ~ (a.c or 'x') }}{% endif %}{% endfor %}".repeat(200),
            format!("{{% if a == 0 %}}{}{{% endif %}}", "{% elif a == 1 %}x".repeat(100)),
            "{% set a = 1 %}".repeat(100),
            "{{ '".to_owned() + &"long text ".repeat(10_000) + "' }}",
        ] {
            assert_eq!(fault(&source), None, "{source}");
        }
    }

    fn nested_json(depth: usize) -> String {
        format!("{{{{ {}1{} | tojson }}}}", "{'a': [".repeat(depth / 2), "]}".repeat(depth / 2))
    }
}
