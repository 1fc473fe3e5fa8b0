//! Why a call failed, in plain English.
//!
//! A URL may be secret, so that messages name only its host and port.

use std::{error::Error, time::Duration};

use callboard::job::Failure;
use reqwest::Url;
use rustls::CertificateError;

use super::request::ProxySpec;

/// Why the job failed.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) is_retryable: bool,
    /// How long the server asked to wait.
    pub(super) retry_after: Option<Duration>,
}

impl Problem {
    pub(super) fn new(code: &'static str, message: impl Into<String>, is_retryable: bool) -> Self {
        Self { code, message: message.into(), is_retryable, retry_after: None }
    }

    pub(super) fn bad_input(message: String) -> Self {
        Self::new("BAD_INPUT", message, false)
    }

    /// For a call that has had its effect. `why` is the end of a sentence.
    pub(super) fn unkept(why: &str) -> Self {
        Self::new("RESULT_NOT_KEPT", Failure::of_unkept_result(why).message, false)
    }

    /// For a client that cannot be made.
    pub(super) fn bad_client(error: &reqwest::Error) -> Self {
        Self::bad_input(format!("the request is invalid: {}", causes(error)))
    }

    /// For a request to `url` without a response that can be read. `is_repeatable` says whether its
    /// method may be sent again after a response.
    pub(super) fn of(
        error: &reqwest::Error,
        url: &Url,
        proxy: Option<&ProxySpec>,
        is_repeatable: bool,
    ) -> Self {
        let causes = causes(error);
        if error.is_builder() {
            return Self::bad_client(error);
        }
        if causes.contains("private or loopback address") {
            return Self::new("TARGET_REFUSED", causes, false);
        }
        let place = place(url);
        if !error.is_connect() && is_malformed(error) {
            let message = format!("the response of {place} is not valid HTTP: {causes}");
            return Self::new("REQUEST", message, is_repeatable);
        }
        if !error.is_connect() {
            return Self::new("REQUEST", format!("the request to {place} failed: {causes}"), true);
        }
        let is_of_proxy = proxy.is_some_and(|proxy| {
            proxy.server.starts_with("https:") && (url.scheme() == "http" || causes.contains("tunnel error"))
        });
        let through = proxy.map_or(String::new(), |proxy| format!(" through the proxy {}", proxy.server));
        let no_connection = |why: &str| format!("could not connect to {place}{through}: {why}");
        match tls_fault(error) {
            Some((why, _)) if is_of_proxy => {
                let server = proxy.map_or("", |proxy| proxy.server.as_str());
                Self::new("PROXY", format!("the TLS connection to the proxy {server} failed: {why}"), false)
            }
            Some((why, TlsFault::Certificate)) => {
                Self::new("CERTIFICATE", format!("the certificate of {place} was refused: {why}"), false)
            }
            Some((why, TlsFault::NotTls)) => Self::new("CONNECT", no_connection(&why), false),
            Some((why, TlsFault::Handshake)) => Self::new("CONNECT", no_connection(&why), true),
            None => {
                let code = if proxy.is_some() { "PROXY" } else { "CONNECT" };
                Self::new(code, no_connection(&causes), true)
            }
        }
    }

    /// For a response that broke off.
    pub(super) fn broken_off(error: &reqwest::Error, url: &Url) -> Self {
        let message = format!("the response of {} broke off: {}", place(url), causes(error));
        Self::new("REQUEST", message, true)
    }

    pub(super) const fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

/// `host:port`.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An error's causes. Its own text is left out, because it holds the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // The HTTP library's own heading says nothing.
        if text.starts_with("client error (") {
            cause = error.source();
            continue;
        }
        if texts.last().is_none_or(|last| !last.ends_with(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    if texts.is_empty() { "no reason is known".to_owned() } else { texts.join(": ") }
}

/// Whether a response came that is not HTTP.
fn is_malformed(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What is wrong with a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TlsFault {
    /// The certificate. The next attempt would meet it too.
    Certificate,
    /// The server does not speak TLS.
    NotTls,
    Handshake,
}

fn tls_fault(error: &reqwest::Error) -> Option<(String, TlsFault)> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = rustls_error(error) {
            return Some(explained(found));
        }
        cause = error.source();
    }
    None
}

fn explained(error: &rustls::Error) -> (String, TlsFault) {
    if let rustls::Error::InvalidCertificate(fault) = error {
        return (certificate_fault(fault), TlsFault::Certificate);
    }
    if matches!(error, rustls::Error::NoCertificatesPresented) {
        return ("the server sent none".to_owned(), TlsFault::Certificate);
    }
    if matches!(error, rustls::Error::InvalidMessage(_)) {
        let why = "it does not answer with TLS (a server without TLS needs a URL with http://)";
        return (why.to_owned(), TlsFault::NotTls);
    }
    (format!("the TLS handshake failed: {error}"), TlsFault::Handshake)
}

/// The error of the TLS library, which may be inside of errors of I/O.
fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    rustls_error(inner)
}

fn certificate_fault(fault: &CertificateError) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum, and it may grow")]
    let why = match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet. Check the clock of the worker's machine"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            return wrong_name(fault);
        }
        CertificateError::UnknownIssuer => {
            "its issuer is unknown. It is self-signed, or issued by an authority that this machine does not \
             trust, or the server does not send the certificates in between"
        }
        CertificateError::Revoked => "it was revoked",
        CertificateError::BadSignature => "its signature is wrong",
        CertificateError::BadEncoding => "it is malformed",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not meant for servers"
        }
        other => return other_certificate_fault(other),
    };
    why.to_owned()
}

/// A fault that has no name of its own in the TLS library, or only in some of its versions.
fn other_certificate_fault(fault: &CertificateError) -> String {
    let debug = format!("{fault:?}");
    if debug.contains("CaUsedAsEndEntity") {
        "it is a certificate of an authority, used as a server's own. Most of them are self-signed. The server \
         needs a certificate issued by an authority that this machine trusts"
            .to_owned()
    } else if debug.starts_with("UnsupportedSignatureAlgorithm") {
        "its signature is not one of its issuer, or of a kind that is not supported".to_owned()
    } else {
        fault.to_string()
    }
}

fn wrong_name(fault: &CertificateError) -> String {
    let CertificateError::NotValidForNameContext { presented, .. } = fault else {
        return "it is for another name".to_owned();
    };
    let names: Vec<&str> = presented.iter().take(10).map(String::as_str).collect();
    if names.is_empty() {
        "it is for no name".to_owned()
    } else {
        format!("it is for another name ({})", names.join(", "))
    }
}
