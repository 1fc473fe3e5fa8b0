//! Splits a command line into words, once, before anything is rendered.
//!
//! Quoting works as in a shell (`'..'`, `".."`, `\`). Templates (`{{ .. }}`, `{% .. %}`, `{# ..
//! #}`) stay whole, including blanks and quotes in them. Nothing is expanded. Characters that are
//! special in a shell are refused, because a line that only looks like a shell line would not do
//! what it says.

use crate::text::template_opening;

/// Why a line does not split, and the column in characters, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {fault}")]
pub(super) struct BadLine {
    pub(super) column: usize,
    pub(super) fault: Fault,
}

/// What is wrong with the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("this is not a shell line, so `{0}` does nothing. Put it in single quotes to pass it literally")]
    Shell(char),
    #[error("nothing is expanded here. Write values as {{{{ input.x }}}}, or put `{0}` in single quotes")]
    Expansion(char),
    #[error("the quote {0} is not closed")]
    Quote(char),
    #[error("the template `{0}` is not closed")]
    Template(&'static str),
    #[error("the backslash at the end escapes nothing. Remove it")]
    Backslash,
    #[error("a quoted `{{` would begin a template here. Write a program spec instead of a line")]
    Brace,
}

const TEMPLATES: [(&str, &str); 3] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];

/// Returns the words, each a template source.
pub(super) fn split(line: &str) -> Result<Vec<String>, BadLine> {
    let mut splitter = Splitter { line, at: 0, words: Vec::new(), word: None, literal_brace: false };
    match splitter.run() {
        Ok(()) => Ok(splitter.words),
        Err((at, fault)) => Err(BadLine { column: line[..at].chars().count() + 1, fault }),
    }
}

struct Splitter<'a> {
    line: &'a str,
    at: usize,
    words: Vec<String>,
    /// `None` between words. `''` makes an empty word.
    word: Option<String>,
    /// Whether the last character pushed is a `{` that does not belong to a template.
    literal_brace: bool,
}

type Failure = (usize, Fault);

impl Splitter<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        while let Some(c) = self.peek() {
            let start = self.at;
            if self.template()? {
                continue;
            }
            self.at += c.len_utf8();
            match c {
                ' ' | '\t' => self.end_word(),
                '\'' => self.single_quoted(start)?,
                '"' => self.double_quoted(start)?,
                '\\' => {
                    let next = self.peek().ok_or((start, Fault::Backslash))?;
                    self.at += next.len_utf8();
                    // A backslash before a line break continues the line.
                    if next != '\n' {
                        self.push(next, start)?;
                    }
                }
                '|' | '&' | ';' | '<' | '>' | '(' | ')' | '\n' | '\r' => {
                    return Err((start, Fault::Shell(c)));
                }
                '$' | '`' => return Err((start, Fault::Expansion(c))),
                // File names, a home directory and a comment in a shell.
                '*' => return Err((start, Fault::Shell(c))),
                '~' | '#' if self.word.is_none() => return Err((start, Fault::Shell(c))),
                c => self.push(c, start)?,
            }
        }
        self.end_word();
        Ok(())
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
        self.literal_brace = false;
    }

    fn peek(&self) -> Option<char> {
        self.line[self.at..].chars().next()
    }

    /// Takes a whole template if one begins here. Returns whether it did.
    fn template(&mut self) -> Result<bool, Failure> {
        let rest = &self.line[self.at..];
        let Some((opening, closing)) = TEMPLATES.iter().find(|(opening, _)| rest.starts_with(opening)) else {
            return Ok(false);
        };
        if self.literal_brace {
            return Err((self.at, Fault::Brace));
        }
        let length = template_length(rest, closing, *opening != "{#");
        let length = length.ok_or((self.at, Fault::Template(opening)))?;
        self.word.get_or_insert_default().push_str(&rest[..length]);
        self.at += length;
        Ok(true)
    }

    fn single_quoted(&mut self, start: usize) -> Result<(), Failure> {
        self.word.get_or_insert_default();
        loop {
            if self.template()? {
                continue;
            }
            let c = self.peek().ok_or((start, Fault::Quote('\'')))?;
            let place = self.at;
            self.at += c.len_utf8();
            match c {
                '\'' => return Ok(()),
                c => self.push(c, place)?,
            }
        }
    }

    fn double_quoted(&mut self, start: usize) -> Result<(), Failure> {
        self.word.get_or_insert_default();
        loop {
            if self.template()? {
                continue;
            }
            let c = self.peek().ok_or((start, Fault::Quote('"')))?;
            let place = self.at;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(()),
                '$' | '`' => return Err((place, Fault::Expansion(c))),
                '\\' => {
                    let next = self.peek().ok_or((start, Fault::Quote('"')))?;
                    let is_special = matches!(next, '"' | '\\' | '$' | '`');
                    if is_special {
                        self.at += next.len_utf8();
                    }
                    self.push(if is_special { next } else { '\\' }, place)?;
                }
                c => self.push(c, place)?,
            }
        }
    }

    /// Adds one literal character. Literal characters must not combine into a template.
    fn push(&mut self, c: char, place: usize) -> Result<(), Failure> {
        if self.literal_brace && matches!(c, '{' | '%' | '#') {
            return Err((place, Fault::Brace));
        }
        let word = self.word.get_or_insert_default();
        word.push(c);
        self.literal_brace = c == '{';
        Ok(())
    }
}

/// A part of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Literal text.
    Plain(&'a str),
    /// `{{ expression }}`, whole.
    Expression(&'a str),
    /// `{% statement %}` or `{# comment #}`, whole.
    Statement(&'a str),
}

impl<'a> Part<'a> {
    /// The text between the braces, without blanks and whitespace control marks.
    pub(super) fn inside(whole: &'a str) -> &'a str {
        let inside = whole.get(2..whole.len() - 2).unwrap_or_default();
        inside.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim()
    }
}

/// The parts of a word that [`split`] returned.
pub(super) fn parts(word: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = word;
    while let Some(start) = template_opening(rest) {
        let template = &rest[start..];
        let begins = |(opening, _): &&(&str, &str)| template.starts_with(*opening);
        let Some((opening, closing)) = TEMPLATES.iter().find(begins) else { break };
        let Some(length) = template_length(template, closing, *opening != "{#") else { break };
        if start > 0 {
            parts.push(Part::Plain(&rest[..start]));
        }
        let whole = &template[..length];
        parts.push(if *opening == "{{" { Part::Expression(whole) } else { Part::Statement(whole) });
        rest = &template[length..];
    }
    if !rest.is_empty() {
        parts.push(Part::Plain(rest));
    }
    parts
}

/// Length in bytes of the template at the start of `text`, including its end. Quotes in it may
/// contain the closing mark.
fn template_length(text: &str, closing: &str, has_quotes: bool) -> Option<usize> {
    let mut quote = None;
    let mut is_escaped = false;
    for (index, c) in text.char_indices().skip(2) {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            None if text[index..].starts_with(closing) => return Some(index + closing.len()),
            None if has_quotes && matches!(c, '"' | '\'') => quote = Some(c),
            Some(_) | None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_splits_as_in_a_shell_and_templates_stay_whole() {
        for (line, words) in [
            ("", &[][..]),
            ("  a  b\tc ", &["a", "b", "c"]),
            (r#"a'b c'"d e"\ f"#, &["ab cd e f"]),
            (r#"'' """#, &["", ""]),
            (r#""a\"b\\c\$d\e""#, &[r#"a"b\c$d\e"#]),
            (r"'a\b$c'", &[r"a\b$c"]),
            (
                "--x={{ input.a }} {{input.b|default('}} x')}}y",
                &["--x={{ input.a }}", "{{input.b|default('}} x')}}y"],
            ),
            ("'{{ input[\"it's\"] }}'", &["{{ input[\"it's\"] }}"]),
            ("{% if input.a %}b{% endif %}", &["{% if input.a %}b{% endif %}"]),
            ("a{# it's a note #}b", &["a{# it's a note #}b"]),
            ("a{b} '*.txt' \\~ '#' a~ a#b !", &["a{b}", "*.txt", "~", "#", "a~", "a#b", "!"]),
            ("{{ a }}{{ b }}", &["{{ a }}{{ b }}"]),
            ("a \\\n  b", &["a", "b"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn shell_syntax_is_refused_with_its_column() {
        for (line, column, fault) in [
            ("a | b", 3, Fault::Shell('|')),
            ("a&&b", 2, Fault::Shell('&')),
            ("a; b", 2, Fault::Shell(';')),
            ("a > b", 3, Fault::Shell('>')),
            ("a <b", 3, Fault::Shell('<')),
            ("a\nb", 2, Fault::Shell('\n')),
            ("a *.txt", 3, Fault::Shell('*')),
            ("a b*", 4, Fault::Shell('*')),
            ("a ~/b", 3, Fault::Shell('~')),
            ("a # b", 3, Fault::Shell('#')),
            ("a (b)", 3, Fault::Shell('(')),
            ("a $HOME", 3, Fault::Expansion('$')),
            ("ä $(id)", 3, Fault::Expansion('$')),
            ("a `id`", 3, Fault::Expansion('`')),
            ("a \"$(id)\"", 4, Fault::Expansion('$')),
            ("a 'b", 3, Fault::Quote('\'')),
            ("a \"b", 3, Fault::Quote('"')),
            ("a \"b\\", 3, Fault::Quote('"')),
            ("a b\\", 4, Fault::Backslash),
            ("a {{ b", 3, Fault::Template("{{")),
            ("a {{ 'b }}", 3, Fault::Template("{{")),
            ("a {'{ b", 5, Fault::Brace),
            (r"a \{{{ b }}", 5, Fault::Brace),
            (r"a \{\{ b", 5, Fault::Brace),
            (r"a {\% b", 4, Fault::Brace),
        ] {
            assert_eq!(split(line), Err(BadLine { column, fault }), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_splits_or_is_refused(line in "[a-c{}%#'\" \\\\$|]{0,30}") {
            drop(split(&line));
        }
    }
}
