//! Settings that all processes share: Postgres, Redis, the master key and paths on disk.
//!
//! Read by clap from flags and the environment, secrets also from files (`*_FILE`). Code never
//! reads the environment at the point of use. `docs/configuration.md` lists all settings, and a
//! test compares it with the code.

mod url_passwords;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

use url_passwords::{passwords, with_password};

use crate::{
    command::{AllowList, BadAllowList},
    secret::{BadKey, KeyId, Keyring},
};

const MASTER_KEY: &str = "CALLBOARD_MASTER_KEY";
const OTHER_MASTER_KEYS: &str = "CALLBOARD_OTHER_MASTER_KEYS";

/// The kind of installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A developer's machine: demo site, programs in /usr/bin and /bin allowed, private targets
    /// allowed.
    Development,
    /// Anything else: what is not configured is refused.
    Production,
}

/// Settings of every process.
#[derive(Debug, Args)]
pub struct SharedSettings {
    /// Where Postgres is.
    #[command(flatten)]
    database: DatabaseSettings,
    /// URL of Redis
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<SecretString>,
    /// File that holds the URL of Redis
    #[arg(long, env = "REDIS_URL_FILE")]
    redis_url_file: Option<PathBuf>,
    /// Prefix of every key and channel in Redis
    #[arg(long, env = "CALLBOARD_REDIS_PREFIX", default_value = "callboard")]
    pub redis_prefix: String,
    /// What seals secrets.
    #[command(flatten)]
    sealing: SealingSettings,
    /// Programs that commands may run: directories and files, separated by colons
    #[arg(long, env = "CALLBOARD_PROGRAMS")]
    programs: Option<String>,
    /// Directory of artifacts, the same for the API and all workers
    #[arg(long, env = "CALLBOARD_ARTIFACT_ROOT", default_value = "/var/lib/callboard/artifacts")]
    pub artifact_root: PathBuf,
    /// How long to wait for Postgres and Redis.
    #[command(flatten)]
    start: StartSettings,
    /// What to log.
    #[command(flatten)]
    pub log: LogSettings,
}

/// Where Postgres is.
#[derive(Debug, Args)]
pub struct DatabaseSettings {
    /// URL of Postgres
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<SecretString>,
    /// File that holds the URL of Postgres
    #[arg(long, env = "DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
    /// Password of Postgres, if its URL has none
    #[arg(long = "database-password", env = "PGPASSWORD", hide_env_values = true)]
    password: Option<SecretString>,
}

/// What seals secrets.
#[derive(Debug, Args)]
pub struct SealingSettings {
    /// Kind of installation
    #[arg(long, env = "CALLBOARD_ENV", value_enum, default_value = "production")]
    environment: Environment,
    /// Key that seals secrets: 32 bytes in base64 or hexadecimal. More keys, which only open what
    /// they have sealed, may follow it, separated by commas or lines
    #[arg(long, env = "CALLBOARD_MASTER_KEY", hide_env_values = true)]
    master_key: Option<SecretString>,
    /// File that holds the master key
    #[arg(long, env = "CALLBOARD_MASTER_KEY_FILE")]
    master_key_file: Option<PathBuf>,
    /// Master keys that open what they have sealed, and seal nothing: old ones, and the next one
    #[arg(long, env = "CALLBOARD_OTHER_MASTER_KEYS", hide_env_values = true)]
    other_master_keys: Option<SecretString>,
    /// File that holds the other master keys
    #[arg(long, env = "CALLBOARD_OTHER_MASTER_KEYS_FILE")]
    other_master_keys_file: Option<PathBuf>,
}

/// How long to wait for what a process needs.
#[derive(Debug, Args)]
pub struct StartSettings {
    /// How long to wait for Postgres and Redis at start, in seconds
    #[arg(long, env = "CALLBOARD_START_TIMEOUT", default_value_t = 60)]
    start_timeout: u64,
}

/// What to log.
#[derive(Debug, Args)]
pub struct LogSettings {
    /// What to log: a level, or directives such as `info,sqlx=warn`
    #[arg(
        id = "log",
        long = "log",
        value_name = "DIRECTIVES",
        env = "CALLBOARD_LOG",
        default_value = "info"
    )]
    pub level: String,
    /// Format of log lines
    #[arg(
        id = "log_format",
        value_name = "FORMAT",
        long = "log-format",
        env = "CALLBOARD_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    pub format: LogFormat,
}

/// The format of a process's log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why a process cannot start with its settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting without a default is missing.
    #[error("{name} is not set. {hint}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// How to set it.
        hint: &'static str,
    },
    /// A file that a variable names cannot be read.
    #[error("cannot read {path}, which {name} names")]
    File {
        /// The variable.
        name: String,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A master key is malformed.
    #[error("{name} is invalid")]
    MasterKey {
        /// The variable.
        name: &'static str,
        /// The cause.
        #[source]
        source: BadKey,
    },
    /// The key that seals could be guessed.
    #[error(
        "the key that seals (the first of CALLBOARD_MASTER_KEY, key id {0}) is a text, a sequence or a \
         repetition, so it could be guessed. Make one with `openssl rand -base64 32` and put it first. If \
         secrets are stored already, move the old key to CALLBOARD_OTHER_MASTER_KEYS and run `callboard-api \
         keys rotate-master`"
    )]
    WeakMasterKey(KeyId),
    /// The list of programs is malformed.
    #[error("CALLBOARD_PROGRAMS is invalid")]
    Programs(#[source] BadAllowList),
}

/// A secret given as a value or in a file. The file wins.
pub fn secret(
    name: &str,
    value: Option<&SecretString>,
    file: Option<&PathBuf>,
) -> Result<Option<SecretString>, SettingsError> {
    let Some(path) = file else { return Ok(value.cloned()) };
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::File {
        name: format!("{name}_FILE"),
        path: path.clone(),
        source,
    })?;
    Ok(Some(SecretString::from(text.trim())))
}

/// A secret that is there. `DATABASE_URL=` is how a file of variables leaves one out.
fn given(secret: Option<SecretString>) -> Option<SecretString> {
    secret.filter(|text| !text.expose_secret().trim().is_empty())
}

impl DatabaseSettings {
    /// The URL of Postgres, with its password.
    pub fn url(&self) -> Result<SecretString, SettingsError> {
        let hint = "Write it as postgres://user:password@host:port/database";
        let url = given(secret("DATABASE_URL", self.database_url.as_ref(), self.database_url_file.as_ref())?)
            .ok_or(SettingsError::Missing { name: "DATABASE_URL", hint })?;
        Ok(match given(self.password.clone()) {
            Some(password) => with_password(url, &password),
            None => url,
        })
    }

    /// What the log must not show. What is missing or malformed is reported when it is used.
    pub fn secrets(&self) -> Vec<SecretString> {
        self.url().map(|url| passwords(&url)).unwrap_or_default()
    }
}

impl SealingSettings {
    /// The keys that seal secrets. In production, one that could be guessed does not seal.
    pub fn keyring(&self) -> Result<Keyring, SettingsError> {
        let hint = "Make one with `openssl rand -base64 32`, and keep it as long as the database";
        let key = self.own()?.ok_or(SettingsError::Missing { name: MASTER_KEY, hint })?;
        let invalid = |name| move |source| SettingsError::MasterKey { name, source };
        let mut keyring = Keyring::parse(&key).map_err(invalid(MASTER_KEY))?;
        // `CALLBOARD_OTHER_MASTER_KEYS=` is how a file of variables says that there are none.
        if let Some(given) = self.others()?.filter(|given| !given.expose_secret().trim().is_empty()) {
            keyring.add(&given).map_err(invalid(OTHER_MASTER_KEYS))?;
        }
        if self.environment == Environment::Production && keyring.is_weak() {
            return Err(SettingsError::WeakMasterKey(keyring.sealing_key()));
        }
        Ok(keyring)
    }

    fn own(&self) -> Result<Option<SecretString>, SettingsError> {
        secret(MASTER_KEY, self.master_key.as_ref(), self.master_key_file.as_ref())
    }

    fn others(&self) -> Result<Option<SecretString>, SettingsError> {
        secret(OTHER_MASTER_KEYS, self.other_master_keys.as_ref(), self.other_master_keys_file.as_ref())
    }

    /// What the log must not show. What is missing or malformed is reported when it is used.
    pub fn secrets(&self) -> Vec<SecretString> {
        let texts: Vec<SecretString> = [self.own(), self.others()].into_iter().flatten().flatten().collect();
        let keys = texts.iter().flat_map(|keys| keys.expose_secret().split([',', '\n']));
        keys.map(|key| SecretString::from(key.trim())).collect()
    }
}

impl StartSettings {
    /// How long to wait for Postgres and Redis at start.
    pub const fn timeout(&self) -> Duration {
        Duration::from_secs(self.start_timeout)
    }
}

impl SharedSettings {
    /// The kind of installation.
    pub const fn environment(&self) -> Environment {
        self.sealing.environment
    }

    /// The URL of Postgres.
    pub fn database_url(&self) -> Result<SecretString, SettingsError> {
        self.database.url()
    }

    /// The URL of Redis.
    pub fn redis_url(&self) -> Result<SecretString, SettingsError> {
        let hint = "Write it as redis://:password@host:port/0";
        given(secret("REDIS_URL", self.redis_url.as_ref(), self.redis_url_file.as_ref())?)
            .ok_or(SettingsError::Missing { name: "REDIS_URL", hint })
    }

    /// The keys that seal secrets. In production, one that could be guessed does not seal.
    pub fn keyring(&self) -> Result<Keyring, SettingsError> {
        self.sealing.keyring()
    }

    /// What the log must not show: the passwords of Postgres and Redis, and the master keys. What
    /// is missing or malformed is reported when it is used.
    pub fn secrets(&self) -> Vec<SecretString> {
        let redis = self.redis_url().map(|url| passwords(&url)).unwrap_or_default();
        self.database.secrets().into_iter().chain(redis).chain(self.sealing.secrets()).collect()
    }

    /// Programs that commands may run. The default is /usr/bin and /bin in development, and none in
    /// production.
    pub fn allow_list(&self) -> Result<AllowList, SettingsError> {
        let default = match self.environment() {
            Environment::Development => "/usr/bin:/bin",
            Environment::Production => "",
        };
        AllowList::parse(self.programs.as_deref().unwrap_or(default)).map_err(SettingsError::Programs)
    }

    /// How long to wait for Postgres and Redis at start.
    pub const fn start_timeout(&self) -> Duration {
        self.start.timeout()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        settings: SharedSettings,
    }

    fn keyring(arguments: &[&str]) -> Result<Keyring, SettingsError> {
        Command::try_parse_from([&["x"], arguments].concat()).unwrap().settings.keyring()
    }

    #[test]
    fn the_password_of_postgres_may_stand_beside_its_url() {
        let url = |url: &str| {
            let given = ["x", "--database-url", url, "--database-password", "s3 cr&t"];
            let settings = Command::try_parse_from(given).unwrap().settings;
            let secrets: Vec<String> =
                settings.secrets().iter().map(|secret| secret.expose_secret().to_owned()).collect();
            (settings.database_url().unwrap().expose_secret().to_owned(), secrets)
        };
        let (with, secrets) = url("postgres://me@localhost/callboard");
        assert_eq!(with, "postgres://me@localhost/callboard?password=s3+cr%26t");
        assert!(secrets.contains(&"s3 cr&t".to_owned()), "{secrets:?}");
        for own in ["postgres://me:own@localhost/x", "postgres://me@localhost/x?password=own", "no URL"] {
            assert_eq!(url(own).0, own);
        }
    }

    #[test]
    fn a_key_that_could_be_guessed_opens_but_does_not_seal_in_production() {
        let strong = "qrvM3e7/ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJk=";
        let strong = strong.replace("zN3u", "Xk3w").replace("RIjN", "Wq8P");
        let weak = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let production = ["--environment", "production", "--master-key"];
        let given = |arguments: &[&str]| keyring(&[&production[..], arguments].concat());
        let refused = given(&[weak]).unwrap_err();
        assert!(refused.to_string().contains("630dcd29"), "{refused}");
        for placeholder in ["", "changeme", &"00".repeat(32), &strong[1..]] {
            assert!(matches!(given(&[placeholder]), Err(SettingsError::MasterKey { .. })), "{placeholder}");
        }
        let both = [format!("{strong},{weak}"), format!("{strong}\n{weak}")];
        for both in both {
            assert!(given(&[&both]).unwrap().has(keyring_of(weak).sealing_key()));
        }
        let others = given(&[&strong, "--other-master-keys", weak]).unwrap();
        assert!(others.has(keyring_of(weak).sealing_key()));
        assert_eq!(others.sealing_key(), keyring_of(&strong).sealing_key());
        assert!(given(&[&strong, "--other-master-keys", ""]).is_ok());
        assert!(keyring(&["--environment", "development", "--master-key", weak]).is_ok());
    }

    fn keyring_of(text: &str) -> Keyring {
        Keyring::parse(&text.into()).unwrap()
    }
}
