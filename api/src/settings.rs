//! The API's own settings, in addition to those shared with workers. Documented in
//! `docs/configuration.md`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use callboard::{
    catalogue::SessionLife,
    settings::{Environment, SharedSettings, secret},
};
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    auth::{KEY_BYTES_MAX, is_presentable},
    client_address::TrustedProxies,
    endpoint::SocketLimits,
    origin::Origins,
    server::Patience,
    shares::ShareLimits,
};

/// Shortest configured key in production, in characters.
const KEY_CHARS_MIN: usize = 32;

/// Settings of `callboard-api serve`.
#[derive(Debug, Args)]
pub struct Settings {
    /// Settings of every process.
    #[command(flatten)]
    pub shared: SharedSettings,
    /// Address to listen on
    #[arg(long, env = "CALLBOARD_LISTEN", default_value = "127.0.0.1:4000")]
    pub listen: SocketAddr,
    /// Public URL of this server, used in links to artifacts (derived from the listen address by
    /// default)
    #[arg(long, env = "CALLBOARD_PUBLIC_URL")]
    pub public_url: Option<Url>,
    /// An ADMIN key: in production at least 32 random characters
    #[arg(long, env = "CALLBOARD_API_KEY", hide_env_values = true)]
    api_key: Option<SecretString>,
    /// File that contains the ADMIN key
    #[arg(long, env = "CALLBOARD_API_KEY_FILE")]
    api_key_file: Option<PathBuf>,
    /// Seconds without a request after which a session ends
    #[arg(long, env = "CALLBOARD_SESSION_IDLE", default_value_t = 12 * 3600, value_parser = clap::value_parser!(u64).range(1..))]
    session_idle: u64,
    /// Seconds after which a session ends in any case
    #[arg(long, env = "CALLBOARD_SESSION_LIFE", default_value_t = 7 * 86_400, value_parser = clap::value_parser!(u64).range(1..))]
    session_life: u64,
    /// Origins of other sites whose pages may use the API, separated by commas (in development,
    /// those of this machine may too)
    #[arg(long, env = "CALLBOARD_ALLOWED_ORIGINS", default_value = "")]
    allowed_origins: String,
    /// Listen address of the demo proxy (development only, loopback only)
    #[arg(long, env = "CALLBOARD_DEMO_PROXY_LISTEN")]
    pub demo_proxy_listen: Option<SocketAddr>,
    /// User name of the demo proxy
    #[arg(long, env = "CALLBOARD_DEMO_PROXY_USER", default_value = "demo")]
    pub demo_proxy_user: String,
    /// Password of the demo proxy
    #[arg(long, env = "CALLBOARD_DEMO_PROXY_PASSWORD", default_value = "callboard", hide_env_values = true)]
    pub demo_proxy_password: SecretString,
    /// URL that `proxyCheck` requests (in development, this server's own /healthz by default)
    #[arg(long, env = "CALLBOARD_PROXY_CHECK_URL")]
    proxy_check_url: Option<Url>,
    /// Addresses and networks of reverse proxies, separated by commas, which say for whom a request
    /// is
    #[arg(long, env = "CALLBOARD_TRUSTED_PROXIES", default_value = "")]
    trusted_proxies: String,
    /// Header in which they say it; its last entry counts that is not one of them
    #[arg(long, env = "CALLBOARD_CLIENT_ADDRESS_HEADER", default_value = "x-forwarded-for")]
    client_address_header: String,
    /// Open connections of an address that have not signed in; 0 for no limit, here and below
    #[arg(long, env = "CALLBOARD_CONNECTIONS_PER_ADDRESS", default_value_t = ShareLimits::DEFAULT.connections_per_address)]
    connections_per_address: u32,
    /// Open connections of an API key, its sockets and event streams among them
    #[arg(long, env = "CALLBOARD_CONNECTIONS_PER_KEY", default_value_t = ShareLimits::DEFAULT.connections_per_key)]
    connections_per_key: u32,
    /// Open sockets and event streams of an address that have not signed in
    #[arg(long, env = "CALLBOARD_SOCKETS_PER_ADDRESS", default_value_t = ShareLimits::DEFAULT.sockets_per_address)]
    sockets_per_address: u32,
    /// Open sockets and event streams of an API key
    #[arg(long, env = "CALLBOARD_SOCKETS_PER_KEY", default_value_t = ShareLimits::DEFAULT.sockets_per_key)]
    sockets_per_key: u32,
    /// Requests, and messages on sockets, per second of an address without a key that was accepted
    #[arg(long, env = "CALLBOARD_REQUESTS_PER_ADDRESS", default_value_t = ShareLimits::DEFAULT.requests_per_address)]
    requests_per_address: u32,
    /// Requests, and messages on sockets, per second of an API key
    #[arg(long, env = "CALLBOARD_REQUESTS_PER_KEY", default_value_t = ShareLimits::DEFAULT.requests_per_key)]
    requests_per_key: u32,
    /// Seconds for the head of a request to arrive
    #[arg(long, env = "CALLBOARD_HEAD_TIMEOUT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    head_timeout: u64,
    /// Seconds for the body of a request to arrive
    #[arg(long, env = "CALLBOARD_BODY_TIMEOUT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    body_timeout: u64,
    /// Seconds after which an idle connection is closed
    #[arg(long, env = "CALLBOARD_IDLE_TIMEOUT", default_value_t = 75, value_parser = clap::value_parser!(u64).range(20..=3600))]
    idle_timeout: u64,
    /// Seconds after which a socket is closed that has not signed in
    #[arg(long, env = "CALLBOARD_SIGN_IN_TIMEOUT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    sign_in_timeout: u64,
    /// Seconds after which a socket is closed whose client answers no ping
    #[arg(long, env = "CALLBOARD_PING_TIMEOUT", default_value_t = 45, value_parser = clap::value_parser!(u64).range(3..=60))]
    ping_timeout: u64,
    /// Who may introspect the schema (in development everyone, otherwise who has signed in)
    #[arg(long, env = "CALLBOARD_INTROSPECTION", value_enum)]
    introspection: Option<Introspection>,
    /// Maximum number of connections to Postgres, half of them for queries
    #[arg(long, env = "CALLBOARD_API_DATABASE_CONNECTIONS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub database_connections: u32,
}

/// Who may introspect the schema, and is shown names of it in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Introspection {
    /// Callers without a key too.
    Everyone,
    /// Callers with a key.
    SignedIn,
}

impl Settings {
    /// Returns the proxies that say for whom a request is.
    pub fn proxies(&self) -> anyhow::Result<TrustedProxies> {
        TrustedProxies::parse(&self.trusted_proxies, &self.client_address_header)
            .context("CALLBOARD_TRUSTED_PROXIES or CALLBOARD_CLIENT_ADDRESS_HEADER")
    }

    /// Returns the sizes of the shares.
    pub const fn shares(&self) -> ShareLimits {
        ShareLimits {
            connections_per_address: self.connections_per_address,
            connections_per_key: self.connections_per_key,
            sockets_per_address: self.sockets_per_address,
            sockets_per_key: self.sockets_per_key,
            requests_per_address: self.requests_per_address,
            requests_per_key: self.requests_per_key,
        }
    }

    /// Returns the time limits of connections.
    pub fn patience(&self) -> Patience {
        let [head, body, idle] =
            [self.head_timeout, self.body_timeout, self.idle_timeout].map(Duration::from_secs);
        Patience { head, body, idle, ..Patience::default() }
    }

    /// Returns the time limits of sockets.
    pub fn socket_limits(&self) -> SocketLimits {
        let idle = Duration::from_secs(self.ping_timeout);
        let sign_in = Duration::from_secs(self.sign_in_timeout);
        SocketLimits { sign_in, idle, ping_every: idle / 3, ..SocketLimits::default() }
    }

    /// Whether callers without a key may see the schema.
    pub fn is_schema_open(&self) -> bool {
        match self.introspection {
            Some(Introspection::Everyone) => true,
            Some(Introspection::SignedIn) => false,
            None => self.shared.environment() == Environment::Development,
        }
    }

    /// Returns the configured ADMIN key, if there is one.
    pub fn api_key(&self) -> anyhow::Result<Option<SecretString>> {
        let key = secret("CALLBOARD_API_KEY", self.api_key.as_ref(), self.api_key_file.as_ref())?;
        let Some(key) = key else { return Ok(None) };
        let text = key.expose_secret();
        if !is_presentable(text) {
            bail!(
                "CALLBOARD_API_KEY must be 1 to {KEY_BYTES_MAX} characters of ASCII without spaces, because no \
                 header can carry another key"
            );
        }
        if text.len() < KEY_CHARS_MIN && self.shared.environment() == Environment::Production {
            bail!(
                "CALLBOARD_API_KEY has {} characters and could be guessed. Set it to a random text of at least \
                 {KEY_CHARS_MIN} (`echo cb_$(openssl rand -hex 24)`), or unset it and create a key with \
                 `callboard-api keys create --role admin NAME`",
                text.len()
            );
        }
        Ok(Some(key))
    }

    /// Returns how long sessions last.
    pub const fn session_life(&self) -> SessionLife {
        SessionLife {
            idle: Duration::from_secs(self.session_idle),
            whole: Duration::from_secs(self.session_life),
        }
    }

    /// Returns the allowed origins: those listed, the public URL's own, and in development those of
    /// this machine.
    pub fn origins(&self) -> anyhow::Result<Origins> {
        let origins = Origins::parse(self.allowed_origins.split(',')).context("CALLBOARD_ALLOWED_ORIGINS")?;
        let origins = match &self.public_url {
            Some(url) => origins.with_public(url),
            None => origins,
        };
        Ok(match self.shared.environment() {
            Environment::Development => origins.with_loopback(),
            Environment::Production => origins,
        })
    }

    /// Returns the URL that `proxyCheck` requests. `None` if none is configured outside
    /// development.
    pub fn proxy_check_url(&self, own: &Url) -> Option<Url> {
        let is_development = self.shared.environment() == Environment::Development;
        self.proxy_check_url.clone().or_else(|| own.join("healthz").ok().filter(|_| is_development))
    }

    /// Refuses invalid combinations of settings.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.demo_proxy_listen {
            Some(_) if self.shared.environment() == Environment::Production => {
                bail!("CALLBOARD_DEMO_PROXY_LISTEN is for development only. Unset it")
            }
            Some(address) if !address.ip().is_loopback() => {
                bail!("CALLBOARD_DEMO_PROXY_LISTEN must be a loopback address, not {address}")
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        settings: Settings,
    }

    fn settings(arguments: &[&str]) -> Settings {
        Command::try_parse_from([&["serve"], arguments].concat()).unwrap().settings
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused_in_production() {
        let key = |environment: &str, key: &str| {
            settings(&["--environment", environment, "--api-key", key])
                .api_key()
                .map_err(|error| error.to_string())
        };
        let short = "k".repeat(KEY_CHARS_MIN - 1);
        for weak in ["", "cb_x", "hunter2", &short] {
            let refused = key("production", weak).unwrap_err();
            assert!(refused.contains("CALLBOARD_API_KEY") && !refused.contains("hunter2"), "{refused}");
        }
        let refused = key("production", &short).unwrap_err();
        assert!(refused.contains("31 characters") && refused.contains("keys create"), "{refused}");
        for unpresentable in
            ["with a space and more than thirty-two characters", "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}"]
        {
            for environment in ["production", "development"] {
                assert!(key(environment, unpresentable).is_err(), "{unpresentable}");
            }
        }
        assert!(key("production", &format!("{short}k")).unwrap().is_some());
        assert!(key("development", "cb_x").unwrap().is_some());
        assert!(settings(&["--environment", "production"]).api_key().unwrap().is_none());
    }

    #[test]
    fn the_demo_proxy_is_for_development_only() {
        let development = ["--environment", "development", "--demo-proxy-listen"];
        assert!(settings(&[&development[..], &["127.0.0.1:0"]].concat()).check().is_ok());
        assert!(settings(&[&development[..], &["0.0.0.0:8080"]].concat()).check().is_err());
        assert!(
            settings(&["--environment", "production", "--demo-proxy-listen", "127.0.0.1:0"]).check().is_err()
        );
    }

    #[test]
    fn origins_are_checked() {
        assert!(
            settings(&["--allowed-origins", "https://a.example,http://localhost:5173"]).origins().is_ok()
        );
        assert!(settings(&["--allowed-origins", "*"]).origins().is_err());
        assert!(settings(&["--public-url", "https://callboard.example/base"]).origins().is_ok());
    }
}
