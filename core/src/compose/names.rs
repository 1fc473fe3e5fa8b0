//! Finds filters, tests and methods that do not exist. The engine reports them only when a job
//! reaches them.

use minijinja::{Environment, context};

use super::tags::{Part, Tag, Token, TokenKind, parts};

/// What a template calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callee {
    Filter,
    Test,
    /// `x.name()`. Only `loop` has some.
    Method,
}

/// The filters, tests and methods of a template that the engine does not have, each as a message
/// with the place of its name in bytes.
pub(super) fn unknown(engine: &Environment<'_>, source: &str) -> Vec<(usize, String)> {
    let tags = parts(source).into_iter().filter_map(|part| match part {
        Part::Tag(tag) => Some(tag),
        Part::Text(_) => None,
    });
    let called = tags.flat_map(|tag| called(&tag));
    let unknown = called.filter(|(callee, name, _)| !exists(engine, *callee, name));
    let message = |(callee, name, at)| {
        let message = match callee {
            Callee::Filter => format!("the filter `{name}` is unknown"),
            Callee::Test => format!("the test `{name}` is unknown"),
            Callee::Method if exists(engine, Callee::Filter, name) => {
                format!("values have no methods. Write the filter `| {name}` instead of `.{name}()`")
            }
            Callee::Method => format!("values have no methods, so that `.{name}()` cannot be called"),
        };
        (at, message)
    };
    unknown.map(message).collect()
}

fn called<'a>(tag: &Tag<'a>) -> Vec<(Callee, &'a str, usize)> {
    let tokens = tag.tokens.as_slice();
    let mut called = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let is_attribute = index > 0 && tokens[index - 1].is_sign(".");
        let is_block = tag.is_statement && index == 0 && token.is_word("filter");
        if token.is_sign("|") || is_block {
            called.extend(word(tokens.get(index + 1)).map(|(name, at)| (Callee::Filter, name, at)));
            called.extend(passed(tokens.get(index + 1..).unwrap_or_default()));
        } else if token.is_word("is") && !is_attribute {
            let is_negated = tokens.get(index + 1).is_some_and(|token| token.is_word("not"));
            let name = tokens.get(index + 1 + usize::from(is_negated));
            called.extend(word(name).map(|(name, at)| (Callee::Test, name, at)));
        } else if is_attribute
            && token.kind == TokenKind::Word
            && !tokens[index.saturating_sub(2)].is_word("loop")
        {
            let is_call = tokens.get(index + 1).is_some_and(|next| next.text == "(");
            called.extend(is_call.then_some((Callee::Method, token.text, token.at)));
        }
    }
    called
}

fn word<'a>(token: Option<&Token<'a>>) -> Option<(&'a str, usize)> {
    token.filter(|token| token.kind == TokenKind::Word).map(|token| (token.text, token.at))
}

/// The filter or test whose name is an argument: `map('upper')`, `select('odd')`,
/// `selectattr('age', 'odd')`.
fn passed<'a>(filter: &[Token<'a>]) -> Option<(Callee, &'a str, usize)> {
    let (callee, argument, next) = match filter {
        [name, _, argument, next, ..] if name.text == "map" => (Callee::Filter, argument, next),
        [name, _, argument, next, ..] if matches!(name.text, "select" | "reject") => {
            (Callee::Test, argument, next)
        }
        [name, _, _, comma, argument, next, ..]
            if matches!(name.text, "selectattr" | "rejectattr") && comma.is_sign(",") =>
        {
            (Callee::Test, argument, next)
        }
        _ => return None,
    };
    let is_whole = argument.kind == TokenKind::Text && (next.kind == TokenKind::Closing || next.is_sign(","));
    is_whole.then(|| (callee, &argument.text[1..argument.text.len() - 1], argument.at))
}

fn exists(engine: &Environment<'_>, callee: Callee, name: &str) -> bool {
    let question = match callee {
        Callee::Filter => "name is filter",
        Callee::Test => "name is test",
        Callee::Method => return false,
    };
    let answer = engine.compile_expression(question).and_then(|asked| asked.eval(context! { name }));
    answer.is_ok_and(|answer| answer.is_true())
}
