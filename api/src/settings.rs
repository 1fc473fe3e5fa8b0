//! The API's own settings, in addition to those shared with workers. Documented in
//! `docs/configuration.md`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use callboard::settings::{Environment, SharedSettings, secret};
use clap::{Args, ValueEnum};
use secrecy::SecretString;
use url::Url;

use crate::{
    client_address::TrustedProxies, endpoint::SocketLimits, origin::Origins, server::Patience,
    shares::ShareLimits,
};

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
    /// An ADMIN key: at least 16 random characters
    #[arg(long, env = "CALLBOARD_API_KEY", hide_env_values = true)]
    api_key: Option<SecretString>,
    /// File that contains the ADMIN key
    #[arg(long, env = "CALLBOARD_API_KEY_FILE")]
    api_key_file: Option<PathBuf>,
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
    /// Open sockets of an address that have not signed in
    #[arg(long, env = "CALLBOARD_SOCKETS_PER_ADDRESS", default_value_t = ShareLimits::DEFAULT.sockets_per_address)]
    sockets_per_address: u32,
    /// Open sockets of an API key
    #[arg(long, env = "CALLBOARD_SOCKETS_PER_KEY", default_value_t = ShareLimits::DEFAULT.sockets_per_key)]
    sockets_per_key: u32,
    /// Requests per second of an address without a key
    #[arg(long, env = "CALLBOARD_REQUESTS_PER_ADDRESS", default_value_t = ShareLimits::DEFAULT.requests_per_address)]
    requests_per_address: u32,
    /// Requests, and operations on sockets, per second of an API key
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
    /// Maximum number of connections to Postgres
    #[arg(long, env = "CALLBOARD_API_DATABASE_CONNECTIONS", default_value_t = 20)]
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
            None => self.shared.environment == Environment::Development,
        }
    }

    /// Returns the ADMIN key. `None` is allowed only in development.
    pub fn api_key(&self) -> anyhow::Result<Option<SecretString>> {
        let key = secret("CALLBOARD_API_KEY", self.api_key.as_ref(), self.api_key_file.as_ref())?;
        if key.is_none() && self.shared.environment == Environment::Production {
            bail!(
                "no API key is configured, so no client could sign in. Set CALLBOARD_API_KEY or \
                 CALLBOARD_API_KEY_FILE to a long random text (`echo cb_$(openssl rand -hex 24)`), or \
                 CALLBOARD_ENV=development on your own machine"
            );
        }
        Ok(key)
    }

    /// Returns the allowed origins: those listed, the public URL's own, and in development those of
    /// this machine.
    pub fn origins(&self) -> anyhow::Result<Origins> {
        let public = self.public_url.as_ref().map(|url| url.origin().ascii_serialization());
        let origins = Origins::parse(self.allowed_origins.split(',').chain(public.as_deref()))
            .context("CALLBOARD_ALLOWED_ORIGINS")?;
        Ok(match self.shared.environment {
            Environment::Development => origins.with_loopback(),
            Environment::Production => origins,
        })
    }

    /// Returns the URL that `proxyCheck` requests. `None` if none is configured outside
    /// development.
    pub fn proxy_check_url(&self, own: &Url) -> Option<Url> {
        let is_development = self.shared.environment == Environment::Development;
        self.proxy_check_url.clone().or_else(|| own.join("healthz").ok().filter(|_| is_development))
    }

    /// Refuses invalid combinations of settings.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.demo_proxy_listen {
            Some(_) if self.shared.environment == Environment::Production => {
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
    fn only_development_starts_without_a_key() {
        let refused = settings(&["--environment", "production"]).api_key().unwrap_err().to_string();
        assert!(refused.contains("CALLBOARD_API_KEY"), "{refused}");
        assert!(settings(&["--environment", "production", "--api-key", "cb_x"]).api_key().unwrap().is_some());
        assert!(settings(&["--environment", "development"]).api_key().unwrap().is_none());
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
