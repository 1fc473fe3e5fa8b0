//! Checks a proxy by sending one real request through it.
//!
//! There is one [`ProxyProbe`] per process. Credentials are decrypted here and live only in the
//! client of this one request. They appear in no failure, because the client's errors do not name
//! the proxy's URL and only their causes are reported.

use std::{error::Error, net::IpAddr, sync::Arc, time::Duration};

use callboard::{
    catalogue::CheckResult,
    proxy::{UnusableProxy, client_url},
    secret::{Keyring, OpenError, Owner},
    store::catalogue::ingredients::StoredProxy,
};
use reqwest::{Response, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Semaphore, time::Instant};
use url::Url;

/// Time limit of a check.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Maximum number of concurrent checks. Others wait.
const CHECKS_MAX: usize = 16;
/// Maximum number of bytes of the response that are searched for an address.
const RESPONSE_BYTES_MAX: usize = 4096;

/// Checks proxies.
#[derive(Debug, Clone)]
pub struct ProxyProbe {
    target: Option<Url>,
    time_max: Duration,
    permits: Arc<Semaphore>,
}

/// Why a check could not be attempted.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The credentials cannot be decrypted.
    #[error("the proxy's credentials cannot be decrypted")]
    Sealed(#[from] OpenError),
    /// No HTTP client can be created for this proxy.
    #[error("no HTTP client can be created for this proxy")]
    Client(#[from] reqwest::Error),
    /// No client can use the proxy.
    #[error(transparent)]
    Unusable(#[from] UnusableProxy),
}

impl ProxyProbe {
    /// Creates a probe that sends its requests to this address. Without one, no proxy can be
    /// checked.
    pub fn new(target: Option<Url>) -> Self {
        Self { target, time_max: TIME_MAX, permits: Arc::new(Semaphore::new(CHECKS_MAX)) }
    }

    /// Sets another time limit.
    #[must_use]
    pub fn with_time_max(mut self, time_max: Duration) -> Self {
        self.time_max = time_max;
        self
    }

    /// The address that requests are sent to.
    pub const fn target(&self) -> Option<&Url> {
        self.target.as_ref()
    }

    /// Sends one GET. Any status below 400 means that the proxy works. Redirects are not followed.
    pub async fn send(
        &self,
        target: &Url,
        stored: &StoredProxy,
        keyring: &Keyring,
    ) -> Result<CheckResult, ProbeError> {
        let url = match proxy_url(stored, keyring) {
            Ok(url) => url,
            Err(ProbeError::Unusable(why)) => return Ok(CheckResult::Down { failure: why.to_string() }),
            Err(error @ (ProbeError::Sealed(_) | ProbeError::Client(_))) => return Err(error),
        };
        let client = callboard::startup::http_client!()
            .proxy(reqwest::Proxy::all(url)?)
            .redirect(redirect::Policy::none())
            .user_agent("callboard-proxy-check")
            .timeout(self.time_max)
            .build()?;
        let _permit = self.permits.acquire().await;
        let began = Instant::now();
        let response = match client.get(target.clone()).send().await {
            Ok(response) => response,
            Err(error) => return Ok(CheckResult::Down { failure: self.failure(&error) }),
        };
        let latency_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
        let status = response.status();
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let failure = "the proxy refused the credentials, or requires some (407)";
            return Ok(CheckResult::Down { failure: failure.to_owned() });
        }
        if status.is_client_error() || status.is_server_error() {
            return Ok(CheckResult::Down { failure: format!("the request returned {status}") });
        }
        Ok(CheckResult::Up { latency_ms, exit_address: address_in(response).await })
    }

    fn failure(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no response within {} s", self.time_max.as_secs_f32());
        }
        let mut cause: &dyn Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let what =
            if error.is_connect() { "the connection through the proxy failed" } else { "the request failed" };
        format!("{what}: {cause}")
    }
}

/// Returns the proxy's URL with its credentials, as jobs use it.
fn proxy_url(stored: &StoredProxy, keyring: &Keyring) -> Result<String, ProbeError> {
    let (proxy, sealed) = (&stored.proxy, &stored.credentials);
    let open = |owner: Owner<'_>, sealed: &Option<Vec<u8>>| {
        sealed.as_ref().map(|sealed| keyring.open(owner, sealed)).transpose()
    };
    let username = open(Owner::ProxyUsername(proxy.id), &sealed.username)?;
    let password = open(Owner::ProxyPassword(proxy.id), &sealed.password)?;
    let text =
        |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
    let server = format!("{}://{}", proxy.protocol.scheme(), proxy.address);
    Ok(client_url(&server, text(&username).as_deref(), text(&password).as_deref())?)
}

/// Returns the address that the request came from according to the target: its whole response, or
/// `ip` or `origin` in a JSON object.
async fn address_in(mut response: Response) -> Option<String> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > RESPONSE_BYTES_MAX {
            return None;
        }
    }
    let text = std::str::from_utf8(&body).ok()?.trim();
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let field = |name| json.as_ref()?.get(name)?.as_str();
    let reported = field("ip").or_else(|| field("origin")).unwrap_or(text);
    reported.parse::<IpAddr>().ok().map(|address| address.to_string())
}
