//! Finds what a template does with a secret other than placing it, when the command is saved.
//!
//! Profile, services and input of a job are not known then. But the template and the input's schema
//! name their secrets, so each expression is evaluated by itself with an opaque secret under each
//! of these names, by the engine and the rules of a job. What depends on anything else is left to
//! the preview and the enqueue.

use std::{collections::BTreeSet, ops::Range, sync::OnceLock};

use minijinja::{
    Environment, Error,
    value::{Value, ValueKind},
};

use super::{
    Nonce,
    applicable::of_property,
    comparisons::operands,
    environment::profile_directory,
    filters::public,
    input::escaped,
    scope::{Marks, Misused, Opaque},
    secret_inputs::{is_secret, spread},
    tags::{Part, Tag, TokenKind, parts},
    template::{TemplateAt, engine, has_template, misplaced, position},
    text::{SecretRef, TextSink},
};
use crate::refusal::{Refusal, RefusalCode};

/// Fuel of one expression.
const FUEL: u64 = 1000;
/// How deep in the input secrets are looked for, and how many places are looked at.
const INPUT_DEPTH_MAX: usize = 8;
const INPUT_PLACES_MAX: usize = 2000;

/// A refusal for each template that surely misuses a secret. `schema` is that of the input.
pub(crate) fn misused_secrets(templates: &[TemplateAt<'_>], schema: &serde_json::Value) -> Vec<Refusal> {
    refusals(templates, schema, false)
}

/// The same, and for each template that places a secret where others can read it.
pub(crate) fn misplaced_secrets(templates: &[TemplateAt<'_>], schema: &serde_json::Value) -> Vec<Refusal> {
    refusals(templates, schema, true)
}

fn refusals(
    templates: &[TemplateAt<'_>],
    schema: &serde_json::Value,
    is_place_checked: bool,
) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for TemplateAt { place, path, source } in templates.iter().filter(|at| has_template(at.source)) {
        if let Some((at, why)) = fault(source, is_place_checked.then_some(*place), schema) {
            let message = format!("{}: {why}", position(&source[..at]));
            refusals.push(Refusal::at(RefusalCode::Invalid, path.clone(), message));
        }
    }
    refusals
}

/// What a tag does with the value of its expression.
enum Use<'a> {
    /// `{{ .. }}`
    Rendered,
    /// `{% if .. %}`
    Tested,
    /// `{% set NAME = .. %}`
    Assigned(&'a str),
}

/// The first misuse in a template: where its expression begins, and the message.
fn fault(source: &str, place: Option<TextSink>, schema: &serde_json::Value) -> Option<(usize, String)> {
    let of_tag = |part| match part {
        Part::Tag(tag) => Some(tag),
        Part::Text(_) => None,
    };
    let tags: Vec<Tag<'_>> = parts(source).into_iter().filter_map(of_tag).collect();
    let mut known = Known::new(&tags, schema);
    for tag in &tags {
        for range in operands(tag) {
            if let Err(misused) = known.compared(&source[range.clone()]) {
                return Some((range.start, misused.to_string()));
            }
        }
        let Some((used, range)) = expression(tag) else { continue };
        let text = &source[range.clone()];
        let found = match used {
            Use::Rendered => known.rendered(text, place),
            Use::Tested => known.tested(text).map_err(|misused| misused.to_string()),
            Use::Assigned(name) => known.assigned(name, text).map_err(|misused| misused.to_string()),
        };
        if let Err(why) = found {
            return Some((range.start, why));
        }
    }
    None
}

/// The expression of a tag, if it has exactly one.
fn expression<'a>(tag: &Tag<'a>) -> Option<(Use<'a>, Range<usize>)> {
    let (used, skipped) = match tag.tokens.as_slice() {
        _ if !tag.is_statement => (Use::Rendered, 0),
        [first, ..] if first.is_word("if") || first.is_word("elif") => (Use::Tested, 1),
        [first, name, sign, ..] if first.is_word("set") && sign.is_sign("=") => (Use::Assigned(name.text), 3),
        _ => return None,
    };
    let ([first, .., last] | [first @ last]) = tag.tokens.get(skipped..)? else { return None };
    Some((used, first.at..last.end()))
}

/// The names that a tag gives to values of its own.
fn bound<'a>(tag: &Tag<'a>) -> Vec<&'a str> {
    let tokens = tag.tokens.as_slice();
    let Some(first) = tokens.first().filter(|_| tag.is_statement) else { return Vec::new() };
    let end = |word: &str| tokens.iter().position(|token| token.is_word(word) || token.is_sign(word));
    let until = match first.text {
        "for" => end("in"),
        "set" => end("="),
        "macro" | "call" => Some(tokens.len()),
        "with" => {
            let named = tokens.windows(2).filter(|pair| pair[1].is_sign("="));
            return named.map(|pair| pair[0].text).collect();
        }
        _ => return Vec::new(),
    };
    let bound = &tokens[1..until.unwrap_or(tokens.len()).max(1)];
    bound.iter().filter(|token| token.kind == TokenKind::Word).map(|token| token.text).collect()
}

/// What is known of a job before there is one: the secrets that the template may mean.
struct Known<'a> {
    values: Vec<(&'a str, Value)>,
    marks: Marks,
    /// The names that the template gives to values, each as often as it does.
    bound: Vec<&'a str>,
}

impl<'a> Known<'a> {
    fn new(tags: &[Tag<'a>], schema: &serde_json::Value) -> Self {
        let names: BTreeSet<&'a str> = tags
            .iter()
            .flat_map(|tag| &tag.tokens)
            .filter_map(|token| match token.kind {
                TokenKind::Word => Some(token.text),
                TokenKind::Text => token.text.get(1..token.text.len() - 1),
                TokenKind::Opening | TokenKind::Closing | TokenKind::Comparison | TokenKind::Sign => None,
            })
            .collect();
        let bound: Vec<&str> = tags.iter().flat_map(bound).collect();
        let mut marks = Marks::new(Nonce::draw());
        let is_used = |name: &str| names.contains(name) && !bound.contains(&name);
        let mut values = Vec::new();
        if is_used("service_token") {
            values.push(("service_token", marks.secret(SecretRef::ServiceToken(String::new()))));
        }
        if is_used("services") {
            let token = |name: &&'a str| {
                let token = marks.secret(SecretRef::ServiceToken((*name).to_owned()));
                (*name, Value::from_pairs([("token", token)]))
            };
            values.push(("services", Value::from_pairs(names.iter().map(token))));
        }
        let directory = marks.opaque(&profile_directory("profile"));
        if is_used("profile") {
            let secret = |name: &&'a str| (*name, marks.secret(SecretRef::ProfileSecret((*name).to_owned())));
            let secrets = Value::from_pairs(names.iter().map(secret));
            values.push(("profile", Value::from_pairs([("secrets", secrets), ("path", directory.clone())])));
        }
        if is_used("chrome_profile") {
            values.push(("chrome_profile", directory));
        }
        if is_used("proxy") {
            // Whether its URL has a secret depends on the proxy.
            let (username, password) =
                (marks.secret(SecretRef::ProxyUsername), marks.secret(SecretRef::ProxyPassword));
            values.push(("proxy", Value::from_pairs([("username", username), ("password", password)])));
        }
        if is_used("input") {
            let mut places = SecretLookup { root: schema, names: &names, left: INPUT_PLACES_MAX };
            values.extend(places.value(&[schema], "", 0, &mut marks).map(|input| ("input", input)));
        }
        Self { values, marks, bound }
    }

    /// Evaluates an expression. `None` if it depends on what is not known.
    fn value(&self, expression: &str) -> Result<Option<Value>, Misused> {
        if !self.values.iter().any(|(name, _)| expression.contains(name)) {
            return Ok(None);
        }
        let values = Value::from_pairs(self.values.iter().map(|(name, value)| (*name, value.clone())));
        let found = small_engine().compile_expression(expression).and_then(|compiled| compiled.eval(values));
        match found {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                drop(self.marks.take_apart(String::new()));
                misused(&error).map_or(Ok(None), Err)
            }
        }
    }

    /// One side of a comparison. Of an object it depends on the other side what is looked at.
    fn compared(&self, expression: &str) -> Result<(), Misused> {
        let Some(value) = self.value(expression)? else { return Ok(()) };
        if value.kind() != ValueKind::Map
            && let Err(error) = public(&value)
        {
            drop(self.marks.take_apart(String::new()));
            return misused(&error).map_or(Ok(()), Err);
        }
        self.marks.take_apart(String::new()).map(drop)
    }

    fn tested(&self, expression: &str) -> Result<(), Misused> {
        let Some(value) = self.value(expression)? else { return Ok(()) };
        value.is_true();
        self.marks.take_apart(String::new()).map(drop)
    }

    fn assigned(&mut self, name: &'a str, expression: &str) -> Result<(), Misused> {
        let Some(value) = self.value(expression)? else { return Ok(()) };
        let value = if let Some(text) = value.as_str() {
            self.marks.take_apart(text.to_owned()).map(|text| self.marks.opaque(&text))?
        } else {
            self.marks.refuse_tested()?;
            value
        };
        if self.bound.iter().filter(|bound| **bound == name).count() == 1 {
            self.values.push((name, value));
        }
        Ok(())
    }

    fn rendered(&self, expression: &str, place: Option<TextSink>) -> Result<(), String> {
        let found = self.value(expression).map_err(|misused| misused.to_string())?;
        let Some(value) = found else { return Ok(()) };
        let is_text = value.as_str().is_some() || value.downcast_object_ref::<Opaque>().is_some();
        let rendered = if is_text { value.to_string() } else { String::new() };
        let text = self.marks.take_apart(rendered).map_err(|misused| misused.to_string())?;
        place.and_then(|place| misplaced(place, &text)).map_or(Ok(()), Err)
    }
}

/// The engine with little fuel, because a template may have thousands of expressions.
fn small_engine() -> &'static Environment<'static> {
    static ENGINE: OnceLock<Environment<'static>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut engine = engine().clone();
        engine.set_fuel(Some(FUEL));
        engine
    })
}

fn misused(error: &Error) -> Option<Misused> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<Misused>() {
            return Some(found.clone());
        }
        cause = error.source();
    }
    None
}

/// Looks for the secrets of the input that a template may name.
struct SecretLookup<'a> {
    root: &'a serde_json::Value,
    names: &'a BTreeSet<&'a str>,
    left: usize,
}

impl SecretLookup<'_> {
    /// What `schemas` say of a value: a secret, an object with the secrets in it, or nothing.
    fn value(
        &mut self,
        schemas: &[&serde_json::Value],
        pointer: &str,
        depth: usize,
        marks: &mut Marks,
    ) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let all = spread(self.root, schemas);
        if !pointer.is_empty() && all.iter().any(|schema| is_secret(schema)) {
            return Some(marks.secret(SecretRef::Input(pointer.to_owned())));
        }
        if depth == INPUT_DEPTH_MAX {
            return None;
        }
        let mut parts = Vec::new();
        for name in self.names {
            let of: Vec<&serde_json::Value> =
                all.iter().flat_map(|schema| of_property(schema, name)).collect();
            let pointer = format!("{pointer}/{}", escaped(name));
            let value = if of.is_empty() { None } else { self.value(&of, &pointer, depth + 1, marks) };
            parts.extend(value.map(|value| (*name, value)));
        }
        (!parts.is_empty()).then(|| Value::from_pairs(parts))
    }
}
