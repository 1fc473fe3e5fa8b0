//! The API's own settings, in addition to those shared with workers. Documented in
//! `docs/configuration.md`.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, bail};
use callboard::settings::{Environment, SharedSettings, secret};
use clap::Args;
use secrecy::SecretString;
use url::Url;

use crate::origin::Origins;

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
    /// Maximum number of connections to Postgres
    #[arg(long, env = "CALLBOARD_API_DATABASE_CONNECTIONS", default_value_t = 20)]
    pub database_connections: u32,
}

impl Settings {
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
