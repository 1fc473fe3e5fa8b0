//! Compiles and renders the templates of one command with MiniJinja: strict, without loaders, escapes or includes, and with
//! a bound on the work and the memory of each render.
//!
//! Texts without `{{`, `{%` or `{#` never reach the engine. Besides MiniJinja's own filters there are `tojson` and
//! `urlencode`. Text that would surprise is refused: `none`, lists and objects do not render by themselves, and booleans
//! are `true` and `false`. Never sees the value of a secret.

use std::sync::OnceLock;

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior,
    value::{Value, ValueKind},
};

use super::{
    Ingredients, filters,
    scope::{Marks, Opaque, Roots},
    text::{Place, Text},
};
use crate::refusal::{Refusal, RefusalCode};

/// A template and where it stands.
#[derive(Debug)]
pub struct TemplateAt<'a> {
    /// What the text becomes part of; decides whether a secret may stand in it.
    pub place: Place,
    /// Its path in the API's input.
    pub path: Vec<String>,
    /// The template.
    pub source: &'a str,
}

impl<'a> TemplateAt<'a> {
    pub(crate) fn new(place: Place, path: &[&str], source: &'a str) -> Self {
        Self { place, path: spec_path(path), source }
    }
}

/// Whether a text has anything to render. Texts that have not are never given to the template engine.
pub(crate) fn has_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|opening| text.contains(opening))
}

/// A path below the input's `spec`.
fn spec_path(path: &[&str]) -> Vec<String> {
    std::iter::once("spec").chain(path.iter().copied()).map(str::to_owned).collect()
}

/// A refusal of something in the spec. Takes the path in parts, because names in it (headers, variables) may have dots.
pub(crate) fn refused(code: RefusalCode, path: &[&str], message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into(), path: spec_path(path) }
}

/// Work that one render may do: about as many steps, or 64 bytes of text each (6 MiB).
const FUEL: u64 = 100_000;

/// A template, ready to render.
#[derive(Debug)]
pub(super) struct Slot {
    place: Place,
    path: Vec<String>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Nothing to render.
    Plain(String),
    /// The name under which the engine keeps it.
    Template(String),
}

/// The templates of one command.
#[derive(Debug)]
pub(crate) struct Templates {
    engine: Environment<'static>,
    slots: Vec<Slot>,
    roots: Roots,
}

impl Templates {
    /// Compiles them all, or answers every one that is malformed, with its line and column.
    pub(crate) fn compile(templates: Vec<TemplateAt<'_>>) -> Result<Self, Vec<Refusal>> {
        let mut all = Self { engine: engine().clone(), slots: Vec::new(), roots: Roots::default() };
        let mut refusals = Vec::new();
        for TemplateAt { place, path, source } in templates {
            let source = if has_template(source) {
                let name = all.slots.len().to_string();
                match all.engine.add_template_owned(name.clone(), source.to_owned()) {
                    Ok(()) => Source::Template(name),
                    Err(error) => {
                        let message = positioned(&error, source, &reason(&error));
                        refusals.push(Refusal { code: RefusalCode::Invalid, message, path });
                        continue;
                    }
                }
            } else {
                Source::Plain(source.to_owned())
            };
            all.slots.push(Slot { place, path, source });
        }
        for slot in &all.slots {
            let Source::Template(name) = &slot.source else { continue };
            let Ok(template) = all.engine.get_template(name) else { continue };
            let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
            names.sort_unstable();
            for name in names {
                if !all.roots.add(&name) && !all.engine.globals().any(|(global, _)| global == name) {
                    let message = no_variable(&name, template.source());
                    refusals.push(Refusal { code: RefusalCode::Invalid, message, path: slot.path.clone() });
                }
            }
        }
        if refusals.is_empty() { Ok(all) } else { Err(refusals) }
    }

    /// The variables that they use.
    pub(crate) const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Renders all of them, in order, or answers everything that does not compose.
    pub(crate) fn render(
        &self,
        scope: &Value,
        marks: &Marks,
        given: &Ingredients<'_>,
    ) -> Result<Vec<Text>, Vec<Refusal>> {
        let mut texts = Vec::with_capacity(self.slots.len());
        let mut refusals = Vec::new();
        for slot in &self.slots {
            let text = self.render_one(slot, scope, marks, given).and_then(|text| checked(slot.place, text));
            match text {
                Ok(text) => texts.push(text),
                Err(message) => {
                    refusals.push(Refusal {
                        code: RefusalCode::NotComposable,
                        message,
                        path: slot.path.clone(),
                    });
                }
            }
        }
        if refusals.is_empty() { Ok(texts) } else { Err(refusals) }
    }

    fn render_one(
        &self,
        slot: &Slot,
        scope: &Value,
        marks: &Marks,
        given: &Ingredients<'_>,
    ) -> Result<Text, String> {
        let name = match &slot.source {
            Source::Plain(text) => return Ok(Text::plain(text.as_str())),
            Source::Template(name) => name,
        };
        let template = self.engine.get_template(name).map_err(|error| reason(&error))?;
        let rendered = template.render(scope);
        let text = rendered.map_err(|error| {
            // What was rendered before the error must not be missed in the next text.
            drop(marks.take_apart(String::new()));
            let reason = filters::missing(&error, template.source(), given).unwrap_or_else(|| reason(&error));
            positioned(&error, template.source(), &reason)
        })?;
        marks.take_apart(text).map_err(|broken| {
            format!("{} can only be used as it is: a filter or an index would change it", broken.0)
        })
    }
}

/// The rules of the place where a rendered text stands.
fn checked(place: Place, text: Text) -> Result<Text, String> {
    if !place.may_hold_secrets()
        && let Some(secret) = text.secrets().next()
    {
        let (noun, instead) = (place.noun(), place.instead());
        return Err(format!(
            "the secret {secret} must not stand in {noun}, where others can read it: use {instead}"
        ));
    }
    if text.contains(place.forbidden()) {
        let what =
            if place == Place::HttpHeader { "a line break or NUL character" } else { "a NUL character" };
        return Err(format!("{} cannot hold {what}, which a value brought in", place.noun()));
    }
    let (length, max) = (text.masked_len(), place.rendered_bytes_max());
    if length > max {
        return Err(format!("is {length} bytes long when rendered; {} may have {max}", place.noun()));
    }
    Ok(text)
}

/// The engine without templates; each command's is a cheap copy.
fn engine() -> &'static Environment<'static> {
    static ENGINE: OnceLock<Environment<'static>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_auto_escape_callback(|_| AutoEscape::None);
        engine.set_fuel(Some(FUEL));
        engine.set_formatter(format_value);
        // Errors then name the undefined variable and its column.
        engine.set_debug(true);
        // Would print the whole scope.
        engine.remove_global("debug");
        filters::add(&mut engine);
        engine
    })
}

fn format_value(out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let kind = value.kind();
    let refused = |what| Err(Error::new(ErrorKind::InvalidOperation, what));
    if kind == ValueKind::Bool {
        return out.write_str(if value.is_true() { "true" } else { "false" }).map_err(Error::from);
    }
    if kind == ValueKind::None {
        return refused("is null: give it a value, or write `| default(\"...\", true)`");
    }
    if matches!(kind, ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return refused("is a list or an object: name one part of it, or write `| tojson`");
    }
    if kind == ValueKind::Plain && value.downcast_object_ref::<Opaque>().is_none() {
        return refused("is not a text");
    }
    // Undefined is here only what an `if` without `else` leaves; it writes nothing.
    write!(out, "{value}").map_err(Error::from)
}

/// What the engine says, without its own naming of lines.
fn reason(error: &Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::OutOfFuel {
        return "does too much work or makes too much text".to_owned();
    }
    match error.detail() {
        None => kind.to_string(),
        Some(detail) if matches!(kind, ErrorKind::SyntaxError | ErrorKind::UndefinedError) => {
            detail.to_owned()
        }
        Some(detail) => format!("{kind}: {detail}"),
    }
}

/// What to say of a variable that no command has.
fn no_variable(name: &str, source: &str) -> String {
    let is_word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.');
    let opened = source.find("{{").into_iter().chain(source.find("{%")).min().unwrap_or(0);
    let whole = |&(start, _): &(usize, &str)| {
        start > opened
            && !source[..start].ends_with(is_word)
            && !source[start + name.len()..].starts_with(|character| is_word(character) && character != '.')
    };
    let start = source.match_indices(name).find(whole).map_or(opened, |(start, _)| start);
    let message =
        format!("there is no variable `{name}`: a template may use input, profile, proxy, services and job");
    format!("{}: {message}", position(&source[..start]))
}

/// Line and column of what follows, both from 1, columns in characters.
fn position(before: &str) -> String {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!("line {line}, column {column}")
}

/// Puts line and column in front.
fn positioned(error: &Error, source: &str, message: &str) -> String {
    let start = error.range().map(|range| range.start).filter(|start| source.is_char_boundary(*start));
    match (start, error.line()) {
        (Some(start), _) => format!("{}: {message}", position(&source[..start])),
        (None, Some(line)) => format!("line {line}: {message}"),
        (None, None) => message.to_owned(),
    }
}
