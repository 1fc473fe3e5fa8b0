//! The variables that templates see, and the marks in them for what only the worker may fill in.
//!
//! | variable | what |
//! |---|---|
//! | `profile.name`, `.path`, `.environment.X`, `.secrets.X` | the job's profile |
//! | `chrome_profile` | `profile.path` |
//! | `proxy.name`, `.protocol`, `.address`, `.username`, `.password` | the job's proxy |
//! | `proxy.url` | the proxy's URL with its credentials |
//! | `proxy_address` | `proxy.address` |
//! | `services.NAME.name`, `.base_url`, `.settings.*`, `.token` | each service |
//! | `service_name`, `service_token` | the name and token of the first service with a token |
//! | `input.*` | the job's input |
//! | `job.id`, `job.attempt` | the job, `{job.id}` and 1 in a preview |
//!
//! A missing profile or proxy is `none`, so that `{% if proxy %}` works. Its parts are undefined.
//!
//! Secret values never enter the template engine. A secret is an opaque object that renders as a
//! *mark*: private-use characters around a number drawn anew for each composition. No input can
//! know that number, so none can forge a mark. A mark that a filter changed is found missing when
//! the text is taken apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use minijinja::value::{DynObject, Object, ObjectRepr, Serde, Value};

use super::{
    Ingredients, Nonce, ServiceFacts, environment,
    text::{Piece, SecretRef, Text},
};

const OPENING: char = '\u{10FFF0}';
const CLOSING: char = '\u{10FFF1}';
/// Letters of both cases, so that filters which change the case break the mark.
const TAG_START: &str = "aZ";

/// The variables that a command's templates use. The others are not built.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roots(BTreeSet<Root>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Root {
    Profile,
    Proxy,
    Services,
    Input,
    Job,
}

impl Roots {
    /// Adds a name. Returns `false` if no variable has it.
    pub(super) fn add(&mut self, name: &str) -> bool {
        let root = match name {
            "profile" | "chrome_profile" => Root::Profile,
            "proxy" | "proxy_address" => Root::Proxy,
            "services" | "service_token" | "service_name" => Root::Services,
            "input" => Root::Input,
            "job" => Root::Job,
            _ => return false,
        };
        self.0.insert(root);
        true
    }

    /// Whether they use the job's input.
    pub(super) fn has_input(&self) -> bool {
        self.0.contains(&Root::Input)
    }

    /// Whether they use the job's services.
    pub(super) fn has_services(&self) -> bool {
        self.0.contains(&Root::Services)
    }
}

/// The marks of one composition.
#[derive(Debug)]
pub(crate) struct Marks {
    tag: String,
    pieces: Vec<Piece>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    rendered: AtomicUsize,
    last: AtomicUsize,
    /// The index of the last one that was compared or tested, plus 1, or 0.
    tested: AtomicUsize,
}

/// A value that templates can place but not inspect.
pub(super) struct Opaque {
    text: String,
    /// As a message names it: `the secret profile.secrets.pw`.
    name: String,
    /// Whether the value may be empty, null or false, so that a condition would have to look at it.
    may_be_empty: bool,
    first: usize,
    marks: usize,
    counts: Arc<Counts>,
}

/// How a template misused a secret, of which it holds the name.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Misused {
    /// A filter was applied to a value that holds one.
    #[error("a secret can only be used unchanged")]
    Filtered,
    /// Its mark was changed while rendering.
    #[error("{0} can only be used unchanged, without a filter or an index")]
    Changed(String),
    /// It was compared or tested.
    #[error("{0} must not be compared or tested: templates never see its value, only place it")]
    Tested(String),
}

/// Whether a text holds what looks like a mark.
pub(super) fn holds_mark(text: &str) -> bool {
    text.match_indices(OPENING).any(|(at, opening)| text[at + opening.len()..].starts_with(TAG_START))
}

impl Marks {
    pub(super) fn new(nonce: Nonce) -> Self {
        Self { tag: format!("{TAG_START}{:016x}.", nonce.0), pieces: Vec::new(), counts: Arc::default() }
    }

    pub(super) fn opaque(&mut self, text: &Text) -> Value {
        let mut rendered = String::new();
        let first = self.pieces.len();
        for piece in text.pieces() {
            match piece {
                Piece::Plain(plain) => rendered.push_str(plain),
                Piece::Secret(..) | Piece::ProfileDirectory(_) | Piece::ArtifactsDirectory => {
                    let index = self.pieces.len().to_string();
                    rendered.extend([OPENING.to_string(), self.tag.clone(), index, CLOSING.to_string()]);
                    self.pieces.push(piece.clone());
                }
            }
        }
        let marks = self.pieces.len() - first;
        if marks == 0 {
            return Value::from(rendered);
        }
        let may_be_empty = matches!(self.pieces[first], Piece::Secret(SecretRef::Input(_), _));
        let (name, counts) = (self.name_of(first), self.counts.clone());
        Value::from_object(Opaque { text: rendered, name, may_be_empty, first, marks, counts })
    }

    pub(super) fn secret(&mut self, secret: SecretRef) -> Value {
        self.opaque(&Text::secret(secret))
    }

    /// Takes a rendered text apart. It must contain, unchanged, every mark rendered since the last
    /// call.
    pub(super) fn take_apart(&self, rendered: String) -> Result<Text, Misused> {
        let expected = self.counts.rendered.swap(0, Ordering::Relaxed);
        self.refuse_tested()?;
        if expected == 0 {
            return Ok(Text::plain(rendered));
        }
        let broken = || Misused::Changed(self.name_of(self.counts.last.load(Ordering::Relaxed)));
        let mut pieces = Vec::new();
        let mut found = 0;
        let mut rest = rendered.as_str();
        while let Some((plain, after)) = rest.split_once(OPENING) {
            let (mark, after) = after.split_once(CLOSING).ok_or_else(broken)?;
            let index: usize =
                mark.strip_prefix(&self.tag).and_then(|index| index.parse().ok()).ok_or_else(broken)?;
            if !plain.is_empty() {
                pieces.push(Piece::Plain(plain.to_owned()));
            }
            pieces.push(self.pieces.get(index).cloned().ok_or_else(broken)?);
            found += 1;
            rest = after;
        }
        let is_stray = |piece: &Piece| matches!(piece, Piece::Plain(text) if text.contains(CLOSING));
        if found < expected || rest.contains(CLOSING) || pieces.iter().any(is_stray) {
            return Err(broken());
        }
        if !rest.is_empty() {
            pieces.push(Piece::Plain(rest.to_owned()));
        }
        Ok(Text::from_pieces(pieces))
    }

    /// Fails if a secret was tested since the last call.
    pub(super) fn refuse_tested(&self) -> Result<(), Misused> {
        match self.counts.tested.swap(0, Ordering::Relaxed).checked_sub(1) {
            Some(tested) => Err(Misused::Tested(self.name_of(tested))),
            None => Ok(()),
        }
    }

    fn name_of(&self, index: usize) -> String {
        match self.pieces.get(index) {
            Some(Piece::Secret(secret, _)) => format!("the secret {secret}"),
            Some(Piece::ProfileDirectory(_)) => "profile.path".to_owned(),
            Some(Piece::Plain(_) | Piece::ArtifactsDirectory) | None => "a secret".to_owned(),
        }
    }
}

impl Opaque {
    fn mark(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.rendered.fetch_add(self.marks, Ordering::Relaxed);
        self.counts.last.store(self.first, Ordering::Relaxed);
        f.write_str(&self.text)
    }

    /// As a message names it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn may_be_empty(&self) -> bool {
        self.may_be_empty
    }

    fn note_test(&self) {
        self.counts.tested.store(self.first + 1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opaque")
    }
}

impl Object for Opaque {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mark(f)
    }

    /// Stored secrets are never empty, so that `{% if service_token %}` means what it says. Whether
    /// a secret of the input is, a template must not see.
    fn is_true(self: &Arc<Self>) -> bool {
        if self.may_be_empty {
            self.note_test();
        }
        true
    }

    /// Called for two secrets, by filters that sort or group.
    fn custom_cmp(self: &Arc<Self>, _other: &DynObject) -> Option<std::cmp::Ordering> {
        self.note_test();
        Some(std::cmp::Ordering::Equal)
    }
}

/// The variables of one composition.
#[derive(Debug)]
struct Scope(Vec<(&'static str, Value)>);

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }
}

/// Builds the variables in `roots` and the marks in them.
pub(crate) fn scope(given: &Ingredients<'_>, roots: &Roots, nonce: Nonce) -> (Value, Marks) {
    let mut marks = Marks::new(nonce);
    let mut all = Vec::new();
    for root in &roots.0 {
        match root {
            Root::Profile => add_profile(&mut all, given, &mut marks),
            Root::Proxy => add_proxy(&mut all, given, &mut marks),
            Root::Services => add_services(&mut all, given, &mut marks),
            Root::Input => all.push(("input", input(given, &mut marks))),
            Root::Job => {
                let id = given.job.map_or_else(|| environment::NO_JOB.to_owned(), |job| job.id.to_string());
                let attempt = Value::from(given.job.map_or(1, |job| job.attempt));
                all.push(("job", Value::from_pairs([("id", Value::from(id)), ("attempt", attempt)])));
            }
        }
    }
    (Value::from_object(Scope(all)), marks)
}

fn add_profile(all: &mut Vec<(&'static str, Value)>, given: &Ingredients<'_>, marks: &mut Marks) {
    let Some(profile) = &given.profile else {
        return all.push(("profile", Value::from(())));
    };
    let path = marks.opaque(&environment::profile_directory(profile.path));
    let secrets = profile
        .secrets
        .iter()
        .map(|name| (name.as_str(), marks.secret(SecretRef::ProfileSecret(name.clone()))));
    let secrets = Value::from_pairs(secrets);
    let environment =
        Value::from_pairs(profile.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    all.push(("chrome_profile", path.clone()));
    let parts = [
        ("name", Value::from(profile.name)),
        ("path", path),
        ("environment", environment),
        ("secrets", secrets),
    ];
    all.push(("profile", Value::from_pairs(parts)));
}

fn add_proxy(all: &mut Vec<(&'static str, Value)>, given: &Ingredients<'_>, marks: &mut Marks) {
    let Some(proxy) = &given.proxy else {
        return all.push(("proxy", Value::from(())));
    };
    let mut parts = vec![
        ("name", Value::from(proxy.name)),
        ("protocol", Value::from(proxy.protocol.as_str())),
        ("address", Value::from(proxy.address)),
        ("url", marks.opaque(&environment::proxy_url(proxy))),
    ];
    if proxy.has_username {
        parts.push(("username", marks.secret(SecretRef::ProxyUsername)));
    }
    if proxy.has_password {
        parts.push(("password", marks.secret(SecretRef::ProxyPassword)));
    }
    all.push(("proxy_address", Value::from(proxy.address)));
    all.push(("proxy", Value::from_pairs(parts)));
}

fn add_services(all: &mut Vec<(&'static str, Value)>, given: &Ingredients<'_>, marks: &mut Marks) {
    if let Some(first) = given.first_token() {
        all.push(("service_name", Value::from(first.name)));
        all.push(("service_token", marks.secret(SecretRef::ServiceToken(first.name.to_owned()))));
    }
    let services = given.services.iter().map(|service| (service.name, service_value(service, marks)));
    let services = Value::from_pairs(services);
    all.push(("services", services));
}

fn service_value(service: &ServiceFacts<'_>, marks: &mut Marks) -> Value {
    let mut parts =
        vec![("name", Value::from(service.name)), ("settings", Value::from(Serde(service.settings)))];
    if let Some(url) = service.base_url {
        parts.push(("base_url", Value::from(url)));
    }
    if service.has_token {
        parts.push(("token", marks.secret(SecretRef::ServiceToken(service.name.to_owned()))));
    }
    Value::from_pairs(parts)
}

fn input(given: &Ingredients<'_>, marks: &mut Marks) -> Value {
    if given.secret_inputs.is_empty() {
        return Value::from(Serde(given.input));
    }
    input_value(given.input, &mut String::new(), given.secret_inputs, marks)
}

/// The input with marks in place of its secrets.
fn input_value(
    json: &serde_json::Value,
    pointer: &mut String,
    secrets: &BTreeSet<String>,
    marks: &mut Marks,
) -> Value {
    if secrets.contains(pointer) {
        return marks.secret(SecretRef::Input(pointer.clone()));
    }
    let length = pointer.len();
    let mut inner = |part: &str, json| {
        pointer.push('/');
        pointer.push_str(&super::input::escaped(part));
        let value = input_value(json, pointer, secrets, marks);
        pointer.truncate(length);
        value
    };
    match json {
        serde_json::Value::Object(map) => {
            let entries: BTreeMap<&str, Value> =
                map.iter().map(|(name, json)| (name.as_str(), inner(name, json))).collect();
            Value::from_pairs(entries)
        }
        serde_json::Value::Array(list) => {
            list.iter().enumerate().map(|(index, json)| inner(&index.to_string(), json)).collect()
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => Value::from(Serde(json)),
    }
}
