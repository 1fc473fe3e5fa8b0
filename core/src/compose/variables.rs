//! Finds the variables that a template names, and mends two places where the engine does not.
//!
//! The engine tells which variables a template needs, and what a macro takes along from around it.
//! It looks neither into the list of a slice (`input.l[0:2]`), nor into the arguments of a `filter`
//! block, nor at what a `set` or `with` reads under the name that it assigns
//! (`{% set input = input.a %}`). Words are read here, so nothing is missed, and a word too many
//! only builds a variable in vain.

use std::collections::BTreeSet;

use super::{
    scope::Roots,
    tags::{Part, Tag, Token, TokenKind, parts},
};

/// Longest distance of a word from the beginning of its line, in bytes. The engine counts columns
/// up to 65,535, and panics at an error there.
const COLUMN_MAX: usize = 60_000;

/// The names that a template uses as variables, or assigns.
pub(super) fn names(source: &str) -> BTreeSet<&str> {
    tags(source).iter().flat_map(|tag| variables(&tag.tokens)).map(|token| token.text).collect()
}

/// The names that a template assigns by `set`, which an `if` around it does not end.
pub(super) fn assigned(source: &str) -> BTreeSet<&str> {
    tags(source).iter().filter_map(|tag| set(tag)).collect()
}

/// What to insert into a template so that the engine compiles what is meant, by its place in bytes.
pub(super) fn insertions(source: &str) -> Vec<(usize, String)> {
    let tags = tags(source);
    let mut insertions = closures(source, &tags);
    insertions.extend(breaks(source, &tags));
    insertions
}

fn tags(source: &str) -> Vec<Tag<'_>> {
    let tag = |part| match part {
        Part::Tag(tag) => Some(tag),
        Part::Text(_) => None,
    };
    parts(source).into_iter().filter_map(tag).collect()
}

/// The words that are no attributes. Those of the language are among them.
fn variables<'a>(tokens: &[Token<'a>]) -> impl Iterator<Item = Token<'a>> {
    let is_variable = |(index, token): &(usize, &Token<'a>)| {
        let is_attribute = *index > 0 && tokens[index - 1].is_sign(".");
        token.kind == TokenKind::Word && !is_attribute
    };
    tokens.iter().enumerate().filter(is_variable).map(|(_, token)| *token).collect::<Vec<_>>().into_iter()
}

/// The name that `{% set name = .. %}` or `{% set name %}` assigns.
fn set<'a>(tag: &Tag<'a>) -> Option<&'a str> {
    let [first, name, ..] = tag.tokens.as_slice() else { return None };
    (tag.is_statement && first.is_word("set")).then_some(name.text)
}

/// A mention of the variables that a macro uses, at the beginning of each, so that it takes them
/// along.
fn closures(source: &str, tags: &[Tag<'_>]) -> Vec<(usize, String)> {
    let mut insertions = Vec::new();
    for (index, tag) in tags.iter().enumerate() {
        let Some([first, .., last]) = tag.is_statement.then_some(tag.tokens.as_slice()) else { continue };
        let end = format!("end{}", first.text);
        if !matches!(first.text, "macro" | "call") {
            continue;
        }
        let is_known = |name: &str| {
            Roots::default().add(name) || tags[..index].iter().filter_map(set).any(|set| set == name)
        };
        let is_end = |tag: &&Tag<'_>| tag.tokens.first().is_some_and(|first| first.is_word(&end));
        let inside = tags[index..].iter().take_while(|tag| !is_end(tag));
        let names: BTreeSet<&str> = inside
            .flat_map(|tag| variables(&tag.tokens))
            .map(|token| token.text)
            .filter(|name| is_known(name))
            .collect();
        let Some(length) = source[last.end()..].find("%}").filter(|_| !names.is_empty()) else { continue };
        let place = last.end() + length + 2;
        let mark = if source[..place - 2].ends_with('-') { "-" } else { "" };
        let mentions = names.into_iter().collect::<Vec<_>>().join(" }}{{ ");
        insertions.push((place, format!("{{%{mark} if false %}}{{{{ {mentions} }}}}{{% endif {mark}%}}")));
    }
    insertions
}

/// A line break before each word that is too far from the beginning of its line.
fn breaks(source: &str, tags: &[Tag<'_>]) -> Vec<(usize, String)> {
    let (mut insertions, mut line, mut seen) = (Vec::new(), 0, 0);
    for token in tags.iter().flat_map(|tag| &tag.tokens) {
        line = source[seen..token.at].rfind('\n').map_or(line, |at| seen + at);
        seen = token.at;
        if token.at - line > COLUMN_MAX {
            insertions.push((token.at, "\n".to_owned()));
            line = token.at;
        }
    }
    insertions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_variables_unless_they_are_attributes() {
        let used = |source| names(source).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(
            used("{{ a.b[c] | d(e=f) }} g {# h #}{% raw %}{{ i }}{% endraw %}"),
            "a c d e endraw f raw"
        );
        assert_eq!(assigned("{% set a = 1 %}{% if b %}{% set c %}{% endset %}{% endif %}").len(), 2);
    }

    #[test]
    fn a_macro_mentions_what_it_uses() {
        for (source, expected) in [
            ("{% macro m(a) %}x{% endmacro %}{{ input }}", None),
            (
                "{% macro m(a) %}{{ input.l[0:2] }}{% endmacro %}",
                Some("{% macro m(a) %}{% if false %}{{ input }}{% endif %}{{ input.l[0:2] }}{% endmacro %}"),
            ),
            (
                "{% set l = 1 %}{% macro m(a) -%} {{ l[0:2] }}{% endmacro %}{{ k }}",
                Some(
                    "{% set l = 1 %}{% macro m(a) -%}{%- if false %}{{ l }}{% endif -%} {{ l[0:2] }}{% endmacro %}{{ k }}",
                ),
            ),
        ] {
            let found = insertions(source);
            let mended =
                found.first().map(|(at, text)| format!("{}{text}{}", &source[..*at], &source[*at..]));
            assert_eq!(mended.as_deref(), expected, "{source}");
        }
    }

    #[test]
    fn no_word_is_far_from_the_beginning_of_its_line() {
        let far = "x".repeat(COLUMN_MAX);
        for (source, breaks) in [
            (format!("{far}{{{{ a }}}}"), 1),
            (format!("{far}{{{{ a }}}}{far}{{{{ a }}}}"), 2),
            (format!("{far}\n{{{{ a }}}}"), 0),
            (format!("{{{{ '{far}' ~ a ~ b }}}}"), 1),
        ] {
            assert_eq!(insertions(&source).len(), breaks);
        }
    }
}
