//! Which templates are light: bounded by their form alone, so that they render in this process.
//!
//! A light template has no loops, assignments, calls and operators that make values, but paths,
//! constants, conditions and a few filters. So each of its words looks at a value that it was given
//! at most once, and its cost is at most its weight times the size of what it is given. All other
//! templates are evaluated in a process of their own (docs/adr/0021).

use super::{
    Ingredients,
    extent::{ELIFS_MAX, fault},
    scope::Roots,
    tags::{Part, Token, TokenKind, all_parts},
};

/// Most cost of light templates, and of a check with a light schema, in this process: at most some
/// 30 ms.
pub(super) const COST_MAX: usize = 8 * 1024 * 1024;
/// What a value counts, beside its text.
const VALUE_COST: usize = 16;
/// Most words and signs of a light tag, whose parser recurses with them.
const TOKENS_MAX: usize = 100;
/// Deepest nesting of brackets, and of `if`.
const NESTING_MAX: usize = 8;
/// Most filters of a tag, and most of those that may make text several times longer.
const FILTERS_MAX: usize = 4;
const GROWING_MAX: usize = 1;

/// Filters whose time and result are bounded by their input.
const FILTERS: [&str; 15] = [
    "abs",
    "bool",
    "capitalize",
    "count",
    "d",
    "default",
    "first",
    "float",
    "int",
    "last",
    "length",
    "lower",
    "string",
    "trim",
    "upper",
];
/// Filters whose result is at most six times their input.
const GROWING: [&str; 2] = ["tojson", "urlencode"];
/// Tests whose time is bounded by their input.
const TESTS: [&str; 26] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "le",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

/// The weight of a template, or `None` if it is not light.
pub(super) fn weight(source: &str) -> Option<usize> {
    if fault(source).is_some() {
        return None;
    }
    let (mut weight, mut depth, mut elifs) = (0, 0_usize, 0);
    for part in all_parts(source)? {
        let Part::Tag(tag) = part else { continue };
        let first = tag.tokens.first()?;
        let expression = if tag.is_statement {
            match first.text {
                "if" => depth += 1,
                "elif" => elifs += 1,
                "else" => {}
                "endif" => depth = depth.saturating_sub(1),
                _ => return None,
            }
            &tag.tokens[1..]
        } else {
            &tag.tokens[..]
        };
        if depth > NESTING_MAX || elifs > ELIFS_MAX / 2 {
            return None;
        }
        weight += expression_weight(expression)?;
    }
    Some(weight)
}

fn expression_weight(tokens: &[Token<'_>]) -> Option<usize> {
    let (mut weight, mut depth, mut filters, mut growing) = (1, 0_usize, 0, 0);
    if tokens.len() > TOKENS_MAX {
        return None;
    }
    for (index, token) in tokens.iter().enumerate() {
        let before = |distance: usize| index.checked_sub(distance).map(|index| &tokens[index]);
        let is_filter = before(1).is_some_and(|token| token.is_sign("|"));
        let is_test = before(1).is_some_and(|token| token.is_word("is"))
            || (before(1).is_some_and(|token| token.is_word("not"))
                && before(2).is_some_and(|token| token.is_word("is")));
        match token.kind {
            TokenKind::Word if is_filter => {
                filters += 1;
                growing += usize::from(GROWING.contains(&token.text));
                weight += 1;
                if !FILTERS.contains(&token.text) && !GROWING.contains(&token.text) {
                    return None;
                }
            }
            TokenKind::Word if is_test && token.text != "not" => {
                weight += 1;
                if !TESTS.contains(&token.text) {
                    return None;
                }
            }
            TokenKind::Word => weight += 2 * usize::from(token.text == "in"),
            TokenKind::Text => {}
            TokenKind::Opening => {
                depth += 1;
                if token.text == "{" || (token.text == "(" && is_call(tokens, index)) {
                    return None;
                }
            }
            TokenKind::Closing => depth = depth.saturating_sub(1),
            TokenKind::Comparison => weight += 2,
            TokenKind::Sign if matches!(token.text, "." | "|" | ",") => {}
            TokenKind::Sign => return None,
        }
        if depth > NESTING_MAX || filters > FILTERS_MAX || growing > GROWING_MAX {
            return None;
        }
    }
    Some(weight)
}

/// Whether a bracket begins the arguments of something other than a filter or a test.
fn is_call(tokens: &[Token<'_>], opening: usize) -> bool {
    const OPERATORS: [&str; 7] = ["and", "else", "if", "in", "is", "not", "or"];
    let before = |distance: usize| opening.checked_sub(distance).map(|index| &tokens[index]);
    let Some(callee) = before(1) else { return false };
    match callee.kind {
        TokenKind::Opening | TokenKind::Comparison => false,
        TokenKind::Sign => callee.is_sign("."),
        TokenKind::Text | TokenKind::Closing => true,
        TokenKind::Word => {
            let is_named = before(2).is_some_and(|token| {
                token.is_sign("|")
                    || token.is_word("is")
                    || (token.is_word("not") && before(3).is_some_and(|token| token.is_word("is")))
            });
            !is_named && !OPERATORS.contains(&callee.text)
        }
    }
}

/// The size of what templates with these variables are given. Each text counts its bytes, and each
/// value a little more.
pub(super) fn size(given: &Ingredients<'_>, roots: &Roots) -> usize {
    let of_services =
        || given.services.iter().map(|service| VALUE_COST + size_of(service.settings)).sum::<usize>();
    let of_profile = given.profile.as_ref().map_or(0, |profile| {
        let variables = profile.environment.iter().map(|(name, value)| name.len() + value.len() + VALUE_COST);
        variables.sum::<usize>() + profile.secrets.len() * VALUE_COST
    });
    let of_input = if roots.has_input() { size_of(given.input) } else { 0 };
    let of_services = if roots.has_services() { of_services() } else { 0 };
    VALUE_COST + of_input + of_services + of_profile
}

/// The size of a value.
pub(super) fn size_of(value: &serde_json::Value) -> usize {
    VALUE_COST
        + match value {
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => 0,
            serde_json::Value::String(text) => text.len(),
            serde_json::Value::Array(items) => items.iter().map(size_of).sum(),
            serde_json::Value::Object(map) => map.iter().map(|(name, item)| name.len() + size_of(item)).sum(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{TemplateAt, Templates, TextSink};

    #[test]
    fn what_only_places_and_asks_is_light() {
        for source in [
            "plain",
            "{{ input.a }}",
            "{{ input.a.b['c'][0] | default('x') | trim }}",
            "{{ input.a | tojson }}",
            "{% if input.a and not (input.b == 'x' or input.c is defined) %}--a{% elif proxy %}b{% else %}c{% endif %}",
            "{{ 'a' if input.a in ['b', 'c'] else input.d | d(input.e) }}",
            "{% if input.a is not none %}{# why #}x{% endif %}",
            "{{ input.a is divisibleby(3) }}",
        ] {
            assert!(weight(source).is_some(), "{source}");
        }
    }

    /// Whatever is light compiles, or not, on the small stack of a test, and soon.
    #[test]
    fn what_is_light_compiles_at_once() {
        const PARTS: [&str; 36] = [
            "input", "a", "0", "'x'", "and", "or", "not", "is", "in", "if", "else", "defined", "none",
            "length", "tojson", "trim", "default", ".", ".", "|", "|", ",", "(", "(", ")", ")", "[", "]",
            "==", "<", ">=", "!=", "-", "~", "{", ":",
        ];
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut below = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as usize % bound
        };
        let since = std::time::Instant::now();
        let mut light = 0;
        for _ in 0..3000 {
            let mut source = String::new();
            for _ in 0..=below(4) {
                let length = if below(8) == 0 { 120 } else { 6 };
                let count = 1 + below(length);
                let inside: Vec<&str> = (0..count).map(|_| PARTS[below(PARTS.len())]).collect();
                let (open, close) = [("{{", "}}"), ("{% if", "%}"), ("{% elif", "%}{% endif %}")][below(3)];
                source.push_str(&[open, &inside.join(" "), close].join(" "));
            }
            if weight(&source).is_some() {
                light += 1;
                let at = TemplateAt::new(TextSink::Argument, &[], &source);
                drop(Templates::compile(vec![at]));
            }
        }
        assert!(light > 100, "only {light} were light");
        assert!(since.elapsed().as_secs() < 30, "{:?}", since.elapsed());
    }

    #[test]
    fn what_makes_values_or_repeats_is_not() {
        for source in [
            "{% for a in input.b %}{% endfor %}",
            "{% set a = 1 %}",
            "{% macro a() %}{% endmacro %}",
            "{% raw %}a{% endraw %}",
            "{{ a ~ b }}",
            "{{ a + b }}",
            "{{ a * 9 }}",
            "{{ -a }}",
            "{{ range(9) }}",
            "{{ input.a.b() }}",
            "{{ input['a'](1) }}",
            "{{ 'a'.b() }}",
            "{{ (input.a)(1) }}",
            "{{ a | join(',') }}",
            "{{ a | replace('a', 'b') }}",
            "{{ a | tojson | tojson }}",
            "{{ a | trim | trim | trim | trim | trim }}",
            "{{ {'a': 1} }}",
            "{{ a[1:2] }}",
            "{{ a is filter }}",
            "{{ ((((((((( a ))))))))) }}",
            "{{ a",
            "{{ 'a }}",
            "{% if a %}{{ b",
            "{{ }}",
            &"{% if a %}".repeat(9),
        ] {
            assert_eq!(weight(source), None, "{source}");
        }
    }
}
