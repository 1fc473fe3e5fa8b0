//! HTTP: one request, sent through the job's proxy by the worker's own client.
//!
//! The URL, header values and body are templates. Secrets are allowed only in header values,
//! because URLs end up in the logs of proxies and servers, and bodies in those of the receiving
//! server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::{AllowList, BODY_BYTES_MAX, CommandKind, http_target, invalid, text_fault, too_many};
use crate::{
    command_kind::Kind,
    compose::{
        ComposedHttp, ComposedParts, Ingredients, OutputProtocol, Piece, ProcessPlan, Program, RevealError,
        Run, SecretRef, SecretValues, ServiceFacts, Task, TemplateAt, Text, TextSink, URL_BYTES_MAX,
        WorkerPaths, has_template, literal_has, refused,
    },
    refusal::{Refusal, RefusalCode},
};

/// The allowed methods.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Most headers of a request.
pub const HEADERS_MAX: usize = 100;
/// Longest header value, as a template, in bytes.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// Most statuses that count as success.
pub const STATUSES_MAX: usize = 100;
/// Headers that go along when a redirect leads to another origin, unless a secret is in them. They
/// say what the client understands. Every other header may be meant for the first server alone.
const HARMLESS_HEADERS: [&str; 4] = ["accept", "accept-encoding", "accept-language", "user-agent"];
/// Headers that the client derives from the request. Another value would break the framing.
const FRAMING_HEADERS: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpSpec {
    /// One of [`METHODS`].
    #[serde(default = "method_default")]
    pub method: String,
    /// Template of an absolute `http` or `https` URL without credentials, at most [`URL_BYTES_MAX`]
    /// bytes.
    pub url: String,
    /// Values are templates and may contain secrets. At most [`HEADERS_MAX`] headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Template, at most [`BODY_BYTES_MAX`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Statuses that count as success, each 100 to 599. Empty means 200 to 299.
    #[serde(default)]
    pub expect_status: Vec<u16>,
    /// What a redirect does.
    #[serde(default)]
    pub redirects: Redirects,
}

/// What a redirect (301, 302, 303, 307 or 308 with a `Location`) does.
///
/// An origin is a scheme, a host and a port. Whatever is chosen, only [`HARMLESS_HEADERS`] cross to
/// another one: no other header, no cookie and no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Redirects {
    /// It is followed, to any origin. The default, because `http` to `https` and downloads from
    /// another host are everyday redirects, and nothing secret goes along. A redirect that would
    /// carry the body to another origin is not followed.
    #[default]
    Follow,
    /// It is followed within the origin. One to another origin is the response.
    SameOrigin,
    /// It is the response.
    None,
}

impl Redirects {
    /// As stored, and as the HTTP client reads it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "FOLLOW",
            Self::SameOrigin => "SAME_ORIGIN",
            Self::None => "NONE",
        }
    }
}

fn method_default() -> String {
    METHODS[0].to_owned()
}

/// Builds an [`HttpSpec`].
#[derive(Debug, Clone)]
#[must_use]
pub struct HttpBuilder(HttpSpec);

impl HttpSpec {
    /// A GET of this URL that expects a status from 200 to 299.
    pub fn builder(url: impl Into<String>) -> HttpBuilder {
        let (headers, expect_status) = (BTreeMap::new(), Vec::new());
        let (method, redirects) = (method_default(), Redirects::default());
        HttpBuilder(Self { method, url: url.into(), headers, body: None, expect_status, redirects })
    }
}

impl HttpBuilder {
    /// Sets the method, in upper case.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.0.method = method.into();
        self
    }

    /// Adds a header. Its value is a template.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.insert(name.into(), value.into());
        self
    }

    /// Sets the body, a template.
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.0.body = Some(body.into());
        self
    }

    /// Adds a status that counts as success.
    pub fn expect_status(mut self, status: u16) -> Self {
        self.0.expect_status.push(status);
        self
    }

    /// Sets what a redirect does.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.0.redirects = redirects;
        self
    }

    /// Returns the spec, or everything that is wrong with it.
    pub fn build(self) -> Result<HttpSpec, Vec<Refusal>> {
        super::CommandSpec::Http(self.0.clone()).check(&AllowList::default()).map(|()| self.0)
    }
}

impl CommandKind for HttpSpec {
    fn kind(&self) -> Kind {
        Kind::Http
    }

    fn check(&self, _allowed: &AllowList) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if !METHODS.contains(&self.method.as_str()) {
            refusals.push(invalid(&["http", "method"], format!("must be one of {}", METHODS.join(", "))));
        }
        refusals.extend(text_fault(&["http", "url"], &self.url, URL_BYTES_MAX));
        if !has_template(&self.url) {
            refusals.extend(url_fault(&self.url).map(|fault| invalid(&["http", "url"], fault)));
        }
        refusals.extend(check_headers(&self.headers));
        if let Some(body) = &self.body {
            refusals.extend(text_fault(&["http", "body"], body, BODY_BYTES_MAX));
        }
        refusals.extend(too_many(&["http", "expectStatus"], self.expect_status.len(), STATUSES_MAX));
        for (index, status) in self.expect_status.iter().enumerate() {
            if !(100..=599).contains(status) {
                refusals.push(invalid(
                    &["http", "expectStatus", &index.to_string()],
                    "must be a status from 100 to 599",
                ));
            }
        }
        refusals
    }

    fn templates(&self) -> Vec<TemplateAt<'_>> {
        let mut templates = vec![TemplateAt::new(TextSink::HttpUrl, &["http", "url"], &self.url)];
        for (name, value) in &self.headers {
            templates.push(TemplateAt::new(TextSink::HttpHeader, &["http", "headers", name], value));
        }
        if let Some(body) = &self.body {
            templates.push(TemplateAt::new(TextSink::HttpBody, &["http", "body"], body));
        }
        templates
    }

    /// Its client has the tokens of its headers, and needs no variable.
    fn names_token(&self, _service: &str, _is_first: bool) -> bool {
        false
    }

    fn compose<'a>(
        &'a self,
        texts: Vec<Text>,
        ingredients: &'a Ingredients<'a>,
    ) -> Result<Box<dyn Task + 'a>, Vec<Refusal>> {
        let mut texts = texts.into_iter();
        let url = joined(texts.next().unwrap_or_default(), ingredients.services);
        let headers: Vec<_> = self.headers.keys().map(String::as_str).zip(texts.by_ref()).collect();
        let body = self.body.as_ref().and(texts.next());
        if let Some(fault) = url_fault(&url.masked()) {
            return Err(vec![refused(RefusalCode::NotComposable, &["http", "url"], fault)]);
        }
        let fault = Url::parse(&url.masked())
            .ok()
            .and_then(|target| http_target::fault(&self.url, &target, &headers, ingredients));
        if let Some(fault) = fault {
            return Err(vec![refused(RefusalCode::NotComposable, &["http", "url"], fault)]);
        }
        Ok(Box::new(HttpTask { spec: self, url, headers, body, given: ingredients }))
    }
}

fn check_headers(headers: &BTreeMap<String, String>) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> =
        too_many(&["http", "headers"], headers.len(), HEADERS_MAX).into_iter().collect();
    let mut seen = Vec::new();
    for (name, value) in headers {
        let path = ["http", "headers", name.as_str()];
        let lower = name.to_ascii_lowercase();
        let is_token_character = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(is_token_character) {
            refusals.push(invalid(&path, "is not a header name. Write 1 to 100 letters, digits or `-`"));
        } else if FRAMING_HEADERS.contains(&lower.as_str()) {
            refusals.push(invalid(&path, "is set by the HTTP client. Leave it out"));
        } else if seen.contains(&lower) {
            refusals.push(invalid(&path, "is given twice. Header names are not case-sensitive"));
        }
        seen.push(lower);
        refusals.extend(text_fault(&path, value, HEADER_BYTES_MAX));
        if literal_has(value, |c| c != '\0' && TextSink::HttpHeader.forbids(c)) {
            let what = TextSink::HttpHeader.forbidden();
            refusals.push(invalid(&path, format!("a header must not contain {what}")));
        }
    }
    refusals
}

/// The URL with one slash where a service's base URL, which ends in a slash if it has no path,
/// meets a path that begins with one: `{{ services.s.base_url }}/users`.
fn joined(url: Text, services: &[ServiceFacts<'_>]) -> Text {
    let [Piece::Plain(text)] = url.pieces() else { return url };
    let bases = services.iter().filter_map(|service| service.base_url).filter(|base| base.ends_with('/'));
    let doubled = bases.filter_map(|base| text.strip_prefix(base)).find(|rest| rest.starts_with('/'));
    match doubled {
        Some(rest) => Text::plain(format!("{}{rest}", &text[..text.len() - rest.len() - 1])),
        None => url,
    }
}

/// The message of what is wrong with a URL, if anything.
fn url_fault(text: &str) -> Option<String> {
    if text.contains(|c| TextSink::HttpUrl.forbids(c)) {
        return Some(format!(
            "must not contain {}. Write `%0A` for a line break",
            TextSink::HttpUrl.forbidden()
        ));
    }
    let Ok(url) = Url::parse(text) else {
        return Some("is not an absolute URL, such as https://host/path".to_owned());
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Some(format!("must begin with http:// or https://, not {}:", url.scheme()));
    }
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    has_credentials
        .then(|| "must not contain a user name or password. Write an Authorization header".to_owned())
}

/// A composed request.
#[derive(Debug)]
struct HttpTask<'a> {
    spec: &'a HttpSpec,
    url: Text,
    headers: Vec<(&'a str, Text)>,
    body: Option<Text>,
    given: &'a Ingredients<'a>,
}

impl HttpTask<'_> {
    /// The names of the headers that may go to another origin.
    fn harmless_headers(&self) -> Vec<&str> {
        let is_harmless = |(name, value): &&(&str, Text)| {
            let is_listed = HARMLESS_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known));
            is_listed && value.secrets().next().is_none()
        };
        self.headers.iter().filter(is_harmless).map(|(name, _)| *name).collect()
    }
}

impl Task for HttpTask<'_> {
    fn secrets(&self) -> Vec<SecretRef> {
        let used = self.headers.iter().flat_map(|(_, value)| value.secrets());
        used.cloned().chain(self.given.proxy_secrets()).collect()
    }

    fn masked(&self) -> ComposedParts {
        let headers = self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.masked()));
        let http = ComposedHttp {
            method: self.spec.method.clone(),
            url: self.url.masked(),
            headers: headers.collect(),
            body: self.body.as_ref().map(Text::masked),
        };
        ComposedParts { program: None, arguments: Vec::new(), http: Some(http) }
    }

    fn reveal(&self, values: &SecretValues, paths: &WorkerPaths) -> Result<Run, RevealError> {
        let mut headers = serde_json::Map::new();
        for (name, value) in &self.headers {
            let shown = value.reveal(values, paths)?;
            if shown.contains(|c| TextSink::HttpHeader.forbids(c)) {
                return Err(RevealError::NotOneLine { place: format!("header {name}") });
            }
            headers.insert((*name).to_owned(), shown.into());
        }
        let hosts =
            self.given.services.iter().map(|service| (service.name, json!({"baseUrl": service.base_url})));
        let line = json!({
            "v": 1,
            "request": {
                "method": self.spec.method,
                "url": self.url.reveal(values, paths)?,
                "headers": headers,
                "body": self.body.as_ref().map(|body| body.reveal(values, paths)).transpose()?,
            },
            "redirects": self.spec.redirects.as_str(),
            "harmlessHeaders": self.harmless_headers(),
            "proxy": values.proxy(self.given, "socks5h")?,
            "expectStatus": self.spec.expect_status,
            "allowPrivateTargets": paths.allow_private_targets,
            "services": hosts.collect::<BTreeMap<_, _>>(),
            "secretsToMask": values.texts_to_mask(),
        });
        Ok(Run::Process(ProcessPlan {
            program: Program::HttpClient,
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Some(format!("{line}\n").into()),
            protocol: OutputProtocol::Events,
        }))
    }
}
