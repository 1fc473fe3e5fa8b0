//! Compiles and renders a command's templates with MiniJinja: strict, without loaders, escapes or
//! includes, and with bounds on the work and memory of each render.
//!
//! Texts without `{{`, `{%` or `{#` never reach the engine. `tojson` and `urlencode` are available
//! beside MiniJinja's own filters. A line break at the end is kept. Null, lists and objects are
//! refused unless a filter turns them into text. Booleans render as `true` and `false`. Secret
//! values are never seen here.

use std::sync::OnceLock;

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior,
    syntax::SyntaxConfig,
    value::{Value, ValueKind},
};
use serde::Serialize;

use super::{
    Ingredients,
    comparisons::Guarded,
    extent, filters, light, names,
    scope::{Marks, Opaque, Roots},
    tags,
    text::{Text, TextSink},
    variables,
};
use crate::{
    refusal::{Refusal, RefusalCode},
    text::template_opening,
};

/// A template and where it is used.
#[derive(Debug, Serialize)]
pub struct TemplateAt<'a> {
    /// Where the text is used, which decides whether secrets are allowed in it.
    pub place: TextSink,
    /// Its path in the API's input.
    pub path: Vec<String>,
    /// The template.
    pub source: &'a str,
}

impl<'a> TemplateAt<'a> {
    pub(crate) fn new(place: TextSink, path: &[&str], source: &'a str) -> Self {
        Self { place, path: spec_path(path), source }
    }
}

/// Whether a text has anything to render. Other texts skip the template engine.
pub(crate) fn has_template(text: &str) -> bool {
    template_opening(text).is_some()
}

/// A path below the input's `spec`.
fn spec_path(path: &[&str]) -> Vec<String> {
    std::iter::once("spec").chain(path.iter().copied()).map(str::to_owned).collect()
}

/// A refusal of part of the spec. The path comes in parts, because header and variable names may
/// contain dots.
pub(crate) fn refused(code: RefusalCode, path: &[&str], message: impl Into<String>) -> Refusal {
    Refusal::at(code, spec_path(path), message)
}

/// A refusal for each filter and test that does not exist. The engine itself reports them only when
/// a job reaches them.
pub(crate) fn unknown_names(templates: &[TemplateAt<'_>]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for TemplateAt { path, source, .. } in templates.iter().filter(|template| has_template(template.source)) {
        for (at, what) in names::unknown(engine(), source) {
            let message = format!("{}: {what}", position(&source[..at]));
            refusals.push(Refusal::at(RefusalCode::Invalid, path.clone(), message));
        }
    }
    refusals
}

/// Whether the text that a template renders as it is has such a character.
pub(crate) fn literal_has(source: &str, is_wanted: impl Fn(char) -> bool + Copy) -> bool {
    tags::parts(source).iter().any(|part| matches!(part, tags::Part::Text(text) if text.contains(is_wanted)))
}

/// Fuel of one render: about that many steps, or 64 bytes of text for each (6 MiB).
const FUEL: u64 = 100_000;

/// Most bytes of all rendered texts of one command. Its arguments and variables, its standard input
/// and a request with its body and headers each fit.
const RENDERED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A compiled template.
#[derive(Debug)]
pub(super) struct Slot {
    place: TextSink,
    path: Vec<String>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Text without templates.
    Plain(String),
    /// A template, with its name in the engine.
    Template(String, Guarded),
}

/// What light templates cost, at most, for each byte of what they are given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LightWeight(usize);

impl LightWeight {
    /// Whether the templates may render in this process with what they are given.
    pub(crate) fn is_light_with(self, given: &Ingredients<'_>, templates: &Templates) -> bool {
        self.0 == 0 || self.0.saturating_mul(light::size(given, templates.roots())) <= light::COST_MAX
    }
}

/// The templates of one command.
#[derive(Debug)]
pub(crate) struct Templates {
    engine: Environment<'static>,
    slots: Vec<Slot>,
    roots: Roots,
}

impl Templates {
    /// Compiles all templates. Returns a refusal for each malformed one, with its line and column.
    pub(crate) fn compile(templates: Vec<TemplateAt<'_>>) -> Result<Self, Vec<Refusal>> {
        let mut all = Self { engine: engine().clone(), slots: Vec::new(), roots: Roots::default() };
        let mut refusals = Vec::new();
        for TemplateAt { place, path, source } in templates {
            let source = if let Some((at, fault)) = extent::fault(source) {
                let message = format!("{}: {fault}", position(&source[..at]));
                refusals.push(Refusal::at(RefusalCode::Invalid, path, message));
                continue;
            } else if has_template(source) {
                let name = all.slots.len().to_string();
                let guarded = Guarded::new(source);
                match all.engine.add_template_owned(name.clone(), guarded.source.clone()) {
                    Ok(()) => Source::Template(name, guarded),
                    Err(error) => {
                        let message = positioned(&error, &guarded, &reason(&error));
                        refusals.push(Refusal::at(RefusalCode::Invalid, path, message));
                        continue;
                    }
                }
            } else {
                Source::Plain(source.to_owned())
            };
            all.slots.push(Slot { place, path, source });
        }
        for slot in &all.slots {
            let Source::Template(name, guarded) = &slot.source else { continue };
            let Ok(template) = all.engine.get_template(name) else { continue };
            for name in variables::names(&guarded.template) {
                all.roots.add(name);
            }
            let assigned = variables::assigned(&guarded.template);
            let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
            names.sort_unstable();
            for name in names {
                let is_known = all.roots.add(&name) || assigned.contains(&*name);
                if !is_known && !all.engine.globals().any(|(global, _)| global == name) {
                    let message = no_variable(&name, &guarded.template);
                    refusals.push(Refusal::at(RefusalCode::Invalid, slot.path.clone(), message));
                }
            }
        }
        if refusals.is_empty() { Ok(all) } else { Err(refusals) }
    }

    /// Compiles templates that are all light. `None` if one is not, or does not compile.
    pub(crate) fn compile_light(templates: Vec<TemplateAt<'_>>) -> Option<(Self, LightWeight)> {
        let weights = templates.iter().map(|template| light::weight(template.source));
        let weight = weights.sum::<Option<usize>>()?;
        Some((Self::compile(templates).ok()?, LightWeight(weight)))
    }

    /// The variables that the templates use.
    pub(crate) const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Renders all templates in order. Returns a refusal for each that does not compose.
    pub(crate) fn render(
        &self,
        scope: &Value,
        marks: &Marks,
        given: &Ingredients<'_>,
    ) -> Result<Vec<Text>, Vec<Refusal>> {
        let mut texts = Vec::with_capacity(self.slots.len());
        let (mut refusals, mut rendered) = (Vec::new(), 0);
        for slot in &self.slots {
            if rendered > RENDERED_BYTES_MAX {
                let message = format!("all texts together are longer than {RENDERED_BYTES_MAX} bytes");
                refusals.push(Refusal::at(RefusalCode::NotComposable, slot.path.clone(), message));
                break;
            }
            let text = self.render_one(slot, scope, marks, given);
            match text.and_then(|text| checked(slot.place, text).map_err(Fault::of)) {
                Ok(text) => {
                    rendered += text.masked_len();
                    texts.push(text);
                }
                Err(Fault { message, lacks }) => {
                    let refusal = Refusal::at(RefusalCode::NotComposable, slot.path.clone(), message);
                    refusals.push(Refusal { lacks, ..refusal });
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
    ) -> Result<Text, Fault> {
        let (name, guarded) = match &slot.source {
            Source::Plain(text) => return Ok(Text::plain(text.as_str())),
            Source::Template(name, guarded) => (name, guarded),
        };
        let template = self.engine.get_template(name).map_err(|error| Fault::of(reason(&error)))?;
        let rendered = template.render(scope);
        let text = rendered.map_err(|error| {
            // Reset what the marks count, so that the next text is not blamed for it.
            drop(marks.take_apart(String::new()));
            let fault = filters::missing(&error, guarded, given).unwrap_or_else(|| Fault::of(reason(&error)));
            Fault { message: positioned(&error, guarded, &fault.message), ..fault }
        })?;
        marks.take_apart(text).map_err(|fault| Fault::of(fault.to_string()))
    }
}

/// Why a template does not render.
pub(super) struct Fault {
    pub(super) message: String,
    /// See [`Refusal`].
    pub(super) lacks: Vec<String>,
}

impl Fault {
    pub(super) const fn of(message: String) -> Self {
        Self { message, lacks: Vec::new() }
    }
}

/// Applies the rules of the place where the text is used.
fn checked(place: TextSink, text: Text) -> Result<Text, String> {
    if let Some(fault) = misplaced(place, &text) {
        return Err(fault);
    }
    if text.contains(|c| place.forbids(c)) {
        let (noun, what) = (place.noun(), place.forbidden());
        return Err(format!("{noun} must not contain {what}, but the rendered text does"));
    }
    let (length, max) = (text.masked_len(), place.rendered_bytes_max());
    if length > max {
        return Err(format!(
            "is {length} bytes long when rendered. The maximum for {} is {max}",
            place.noun()
        ));
    }
    Ok(text)
}

/// The message for a secret in a place that others can read.
pub(super) fn misplaced(place: TextSink, text: &Text) -> Option<String> {
    let secret = text.secrets().next().filter(|_| !place.may_hold_secrets())?;
    let (noun, instead) = (place.noun(), place.instead());
    Some(format!(
        "the secret {secret} must not be used in {noun}, which others can read. Put it in {instead}"
    ))
}

/// The engine without templates. Each command clones it, which is cheap.
pub(super) fn engine() -> &'static Environment<'static> {
    static ENGINE: OnceLock<Environment<'static>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        // NDJSON and most programs want the last line to end as the others do. Building the syntax
        // fails only for other delimiters.
        engine.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default());
        engine.set_auto_escape_callback(|_| AutoEscape::None);
        engine.set_fuel(Some(FUEL));
        engine.set_formatter(format_value);
        // Makes errors name the undefined variable and its column.
        engine.set_debug(true);
        // It would print the whole scope.
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
        return refused("is null. Give it a value, or write `| default(\"...\", true)`");
    }
    if matches!(kind, ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return refused("is a list or an object. Name one part of it, or write `| tojson`");
    }
    if kind == ValueKind::Plain && value.downcast_object_ref::<Opaque>().is_none() {
        return refused("is not text");
    }
    // The only undefined value that gets here is the result of an `if` without `else`. It renders
    // as empty text.
    write!(out, "{value}").map_err(Error::from)
}

/// The engine's message, without its own line number.
fn reason(error: &Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::OutOfFuel {
        return "does too much work or renders too much text. Shorten its loops or its output".to_owned();
    }
    match error.detail() {
        None => kind.to_string(),
        Some(detail) if matches!(kind, ErrorKind::SyntaxError | ErrorKind::UndefinedError) => {
            detail.to_owned()
        }
        Some(detail) => format!("{kind}: {detail}"),
    }
}

/// The message for a variable that no command has.
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
        format!("there is no variable `{name}`. A template can use input, profile, proxy, services and job");
    format!("{}: {message}", position(&source[..start]))
}

/// Line and column of the text after `before`, both from 1, columns in characters.
pub(super) fn position(before: &str) -> String {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!("line {line}, column {column}")
}

/// Prefixes the message with line and column.
fn positioned(error: &Error, guarded: &Guarded, message: &str) -> String {
    match (guarded.range(error), error.line()) {
        (Some(range), _) => format!("{}: {message}", position(&guarded.template[..range.start])),
        (None, Some(line)) => format!("line {line}: {message}"),
        (None, None) => message.to_owned(),
    }
}
