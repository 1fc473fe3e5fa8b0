//! Follows redirects, one request at a time.
//!
//! Nothing that may hold a secret crosses to another origin (a scheme, a host and a port): no
//! header but the harmless ones that the command names, no cookie, no body, no `Referer`. What was
//! dropped stays dropped, also if a later redirect leads back.

use callboard::command::Redirects;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{
        CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HeaderMap, LOCATION,
    },
};

use super::{cookies::Cookies, guard::refuse_private, problem::Problem, request::RequestSpec};

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
        Self { method, url, headers, body, cookies: Cookies::default(), followed: 0 }
    }

    /// Adds the cookies that earlier responses of this origin set.
    pub(super) fn add_cookies(&self, headers: &mut HeaderMap) {
        let given = headers.get(COOKIE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        if let Some(value) = self.cookies.header(&self.url, given.as_deref()) {
            headers.insert(COOKIE, value);
        }
    }

    /// Becomes the next request if the response is a redirect that may be followed.
    pub(super) fn advance(&mut self, response: &Response, spec: &RequestSpec) -> Result<HopResult, Problem> {
        self.cookies.keep(&self.url, response.headers());
        let Some(target) = self.target(response) else { return Ok(HopResult::Stayed(None)) };
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
            let origin = target.origin().ascii_serialization();
            return Ok(HopResult::Stayed(Some(format!(
                "The redirect to {origin} was not followed, because {why}."
            ))));
        }
        if self.followed == REDIRECTS_MAX {
            let message = format!(
                "more than {REDIRECTS_MAX} redirects, the last one to {}",
                target.origin().ascii_serialization()
            );
            return Err(Problem::new("REDIRECT", message, false));
        }
        if !spec.allow_private_targets {
            refuse_private(&target)?;
        }
        if is_elsewhere {
            self.keep_harmless(&spec.harmless_headers);
        }
        if method != self.method {
            self.body = None;
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
                self.headers.remove(name);
            }
        }
        self.followed += 1;
        (self.method, self.url) = (method, target);
        Ok(HopResult::Followed)
    }

    /// Where the response redirects to. `None` if it does not, and an error for what is not a URL.
    fn target(&self, response: &Response) -> Option<Result<Url, ()>> {
        let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
        let location = String::from_utf8_lossy(location.as_bytes());
        // A parser of URLs would drop them.
        if location.contains(|c: char| c.is_ascii_control()) {
            return Some(Err(()));
        }
        let Ok(mut target) = self.url.join(&location) else { return Some(Err(())) };
        if target.fragment().is_none() {
            target.set_fragment(self.url.fragment());
        }
        Some(Ok(target))
    }

    fn keep_harmless(&mut self, harmless: &[String]) {
        let mut kept = HeaderMap::new();
        for (name, value) in &self.headers {
            if harmless.iter().any(|known| name.as_str().eq_ignore_ascii_case(known)) {
                kept.insert(name.clone(), value.clone());
            }
        }
        self.headers = kept;
        // Nothing crosses back either.
        self.cookies = Cookies::default();
    }
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
