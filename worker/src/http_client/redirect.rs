//! Follows redirects, one request at a time.
//!
//! Nothing that may hold a secret crosses to another origin (a scheme, a host and a port): no
//! header but the harmless ones that the command names, no cookie, no body, no `Referer`. What was
//! dropped stays dropped, also if a later redirect leads back.

use callboard::command::Redirects;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{COOKIE, HeaderMap, HeaderName, LOCATION},
};

use super::{
    cookies::Cookies, emit, guard::refuse_private, masks::Masks, problem::Problem, request::RequestSpec,
};

/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 10;

/// One request of a chain of redirects.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
    cookies: Cookies,
    followed: usize,
    /// The method of a request that must not be sent again, and the status of its response: the hop
    /// only fetches what that response points at.
    done: Option<(Method, StatusCode)>,
}

/// What became of a response.
#[derive(Debug)]
pub(super) enum HopResult {
    /// It is a redirect, and the hop is now the next request.
    Followed,
    /// It is the last response. If it is a redirect, with the reason why it was not followed.
    Stayed(Option<String>),
}

impl Hop {
    pub(super) fn new(method: Method, url: Url, headers: HeaderMap, body: Option<String>) -> Self {
        Self { method, url, headers, body, cookies: Cookies::default(), followed: 0, done: None }
    }

    /// Adds the cookies that earlier responses of this origin set.
    pub(super) fn add_cookies(&self, headers: &mut HeaderMap) {
        let given = headers.get(COOKIE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        if let Some(value) = self.cookies.header(&self.url, given.as_deref()) {
            headers.insert(COOKIE, value);
        }
    }

    /// Becomes the next request if the response is a redirect that may be followed.
    pub(super) fn advance(
        &mut self,
        response: &Response,
        spec: &RequestSpec,
        masks: &Masks,
    ) -> Result<HopResult, Problem> {
        self.cookies.keep(&self.url, response.headers());
        let Some(target) = self.target(response, masks) else { return Ok(HopResult::Stayed(None)) };
        let Ok(target) = target else {
            return Ok(HopResult::Stayed(Some(
                "The redirect was not followed, because its Location is not a URL.".into(),
            )));
        };
        let is_elsewhere = target.origin() != self.url.origin();
        let method = redirected(&self.method, response.status());
        let keeps_body = method == self.method && self.body.as_ref().is_some_and(|body| !body.is_empty());
        let refused = match spec.redirects {
            Redirects::None => Some("the command says redirects: NONE"),
            Redirects::SameOrigin if is_elsewhere => {
                Some("that is another origin and the command says redirects: SAME_ORIGIN")
            }
            Redirects::Follow | Redirects::SameOrigin => None,
        };
        let refused = refused.or_else(|| {
            let is_web = matches!(target.scheme(), "http" | "https");
            (!is_web).then_some("only http and https are followed")
        });
        let refused = refused
            .or_else(|| (is_elsewhere && keeps_body).then_some("it would carry the body to another origin"));
        if let Some(why) = refused {
            let where_to = shown(&target);
            return Ok(HopResult::Stayed(Some(format!(
                "The redirect to {where_to} was not followed, because {why}."
            ))));
        }
        if self.followed == REDIRECTS_MAX {
            let message = format!("more than {REDIRECTS_MAX} redirects, the last one to {}", shown(&target));
            return Err(Problem::new("REDIRECT", message, false));
        }
        if !spec.allow_private_targets {
            refuse_private(&target)?;
        }
        if is_elsewhere {
            self.keep_harmless(&spec.harmless_headers, &target);
        }
        if method != self.method {
            self.body = None;
            let of_body = |name: &&HeaderName| name.as_str().starts_with("content-");
            let names: Vec<HeaderName> = self.headers.keys().filter(of_body).cloned().collect();
            for name in names {
                self.headers.remove(name);
            }
            if !is_repeatable(&self.method) {
                self.done = Some((self.method.clone(), response.status()));
            }
        }
        self.followed += 1;
        (self.method, self.url) = (method, target);
        Ok(HopResult::Followed)
    }

    /// Whether a request that must not be sent again got a response before this one.
    pub(super) const fn is_after_effect(&self) -> bool {
        self.done.is_some()
    }

    /// A problem after which the call would be made again, because it is retryable or a service's
    /// refusal. If that would repeat a request that got a response, it becomes another problem,
    /// after which it is not.
    pub(super) fn after_effect(&self, problem: Problem, is_refusal: bool) -> Problem {
        let Some((method, status)) = self.done.as_ref().filter(|_| problem.is_retryable || is_refusal) else {
            return problem;
        };
        let status = status.as_u16();
        let message = format!(
            "the {method} got the status {status} and is not sent again, but what it redirects to \
             could not be fetched: {}",
            problem.message
        );
        Problem::new("REDIRECT", message, false)
    }

    /// Where the response redirects to. `None` if it does not, and an error for what is not a URL.
    fn target(&self, response: &Response, masks: &Masks) -> Option<Result<Url, ()>> {
        let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let mut locations = response.headers().get_all(LOCATION).iter().filter(|_| is_redirect);
        // As browsers and curl do, which ignore an empty one.
        let location = locations.find(|location| !location.as_bytes().trim_ascii().is_empty())?;
        // Whatever the server's charset is, it gets its own bytes back.
        let shown = |byte: &u8| {
            if byte.is_ascii() { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
        };
        let text: String = location.as_bytes().iter().map(shown).collect();
        // A parser of URLs would drop them.
        if text.contains(|c: char| c.is_ascii_control()) {
            return Some(Err(()));
        }
        let Ok(mut target) = self.url.join(&text) else { return Some(Err(())) };
        masks.hide(location.as_bytes(), &target);
        // The server has chosen them, as no command can. Fails only for URLs that cannot have any.
        target.set_username("").ok();
        target.set_password(None).ok();
        if target.fragment().is_none() {
            target.set_fragment(self.url.fragment());
        }
        Some(Ok(target))
    }

    fn keep_harmless(&mut self, harmless: &[String], target: &Url) {
        let (mut kept, mut dropped) = (HeaderMap::new(), Vec::new());
        for (name, value) in &self.headers {
            if harmless.iter().any(|known| name.as_str().eq_ignore_ascii_case(known)) {
                kept.insert(name.clone(), value.clone());
            } else {
                dropped.push(name.as_str());
            }
        }
        if !dropped.is_empty() {
            let text = format!(
                "The redirect to {}, another origin, was followed without these headers, which may be \
                 meant for the first server alone: {}.",
                shown(target),
                dropped.join(", ")
            );
            emit(serde_json::json!({ "type": "warning", "text": text }));
        }
        self.headers = kept;
        // Nothing crosses back either.
        self.cookies = Cookies::default();
    }
}

/// The origin of a URL, or its scheme if it has none. The rest may be secret.
fn shown(url: &Url) -> String {
    match url.scheme() {
        "http" | "https" => url.origin().ascii_serialization(),
        scheme => format!("a {scheme}: URL"),
    }
}

/// Whether a request that got a response may be sent again, because it then does the same
/// (RFC 9110, 9.2.2).
pub(super) fn is_repeatable(method: &Method) -> bool {
    !matches!(*method, Method::POST | Method::PATCH)
}

/// The method of the next request, as browsers and curl choose it.
fn redirected(method: &Method, status: StatusCode) -> Method {
    let becomes_get = match status.as_u16() {
        301 | 302 => *method == Method::POST,
        303 => *method != Method::GET && *method != Method::HEAD,
        _ => false,
    };
    if becomes_get { Method::GET } else { method.clone() }
}
