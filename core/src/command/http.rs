//! HTTP: one request, sent through the job's proxy by the worker's own client.
//!
//! The URL, header values and body are templates. Secrets are allowed only in header values,
//! because URLs end up in the logs of proxies and servers, and bodies in those of the receiving
//! server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::{AllowList, BODY_BYTES_MAX, CommandKind, invalid, text_fault, too_many};
use crate::{
    command_kind::Kind,
    compose::{
        ComposedHttp, ComposedParts, Ingredients, OutputProtocol, Place, ProcessPlan, Program, RevealError,
        Run, SecretRef, SecretValues, Task, TemplateAt, Text, URL_BYTES_MAX, WorkerPaths, has_template,
        refused,
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
        let (headers, body, expect_status) = (BTreeMap::new(), None, Vec::new());
        HttpBuilder(Self { method: method_default(), url: url.into(), headers, body, expect_status })
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
        let mut templates = vec![TemplateAt::new(Place::HttpUrl, &["http", "url"], &self.url)];
        for (name, value) in &self.headers {
            templates.push(TemplateAt::new(Place::HttpHeader, &["http", "headers", name], value));
        }
        if let Some(body) = &self.body {
            templates.push(TemplateAt::new(Place::HttpBody, &["http", "body"], body));
        }
        templates
    }

    fn compose<'a>(
        &'a self,
        texts: Vec<Text>,
        ingredients: &'a Ingredients<'a>,
    ) -> Result<Box<dyn Task + 'a>, Vec<Refusal>> {
        let mut texts = texts.into_iter();
        let url = texts.next().unwrap_or_default();
        let headers = self.headers.keys().map(String::as_str).zip(texts.by_ref()).collect();
        let body = self.body.as_ref().and(texts.next());
        if let Some(fault) = url_fault(&url.masked()) {
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
    }
    refusals
}

/// The message of what is wrong with a URL, if anything.
fn url_fault(text: &str) -> Option<String> {
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
            if shown.contains(['\r', '\n', '\0']) {
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
