//! The URL of Postgres, and why a connection with it fails, in words for whoever has set it. No
//! message has a part of the URL that may be a password.

use std::{fmt, io, str::FromStr as _, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use url::Url;

use super::StoreError;

/// Longest time of one try, because a frozen server accepts connections and never responds.
const TRY_MAX: Duration = Duration::from_secs(5);

/// The URL of Postgres cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "DATABASE_URL cannot be read: {why}. Write it as postgres://user:password@host:port/database. In user and \
     password, write @ : / ? # and % as %40 %3A %2F %3F %23 and %25"
)]
pub struct BadUrl {
    why: String,
}

/// Reads the URL of Postgres.
pub(super) fn options(url: &SecretString) -> Result<PgConnectOptions, BadUrl> {
    let bad = |why: String| BadUrl { why };
    let text = url.expose_secret().trim();
    if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(bad("it does not begin with postgres:// or postgresql://".into()));
    }
    let read = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    // The host ends at the first of / ? #, so the rest of a password is taken for something else.
    let is_cut = read.path().contains('@')
        || read.fragment().is_some()
        || read.query_pairs().any(|(name, _)| name.contains(['@', '/', ':']));
    if is_cut {
        return Err(bad("it has an @ or a # behind the host".into()));
    }
    PgConnectOptions::from_str(text).map_err(|error| bad(error.to_string()))
}

/// Why Postgres could not be reached: what happened and what to do.
#[derive(Debug)]
pub struct Unreachable {
    why: String,
    /// Whether it can pass by itself, as an outage does and a wrong password does not.
    pub may_pass: bool,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Unreachable {}

/// Connects once and closes the connection.
pub(super) async fn reach(options: &PgConnectOptions) -> Result<(), Unreachable> {
    let connect = async {
        let connection = PgConnection::connect_with(options).await?;
        connection.close().await
    };
    let error = match tokio::time::timeout(TRY_MAX, connect).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_elapsed) => io::Error::from(io::ErrorKind::TimedOut).into(),
    };
    let (why, is_outage) = explain(&error, options);
    let may_pass = is_outage || StoreError::from(error).is_transient();
    Err(Unreachable { why, may_pass })
}

/// What an error of connecting means, and whether it may pass whatever it is classified as.
fn explain(error: &sqlx::Error, options: &PgConnectOptions) -> (String, bool) {
    let (at, user) = (address(options), options.get_username());
    let database = options.get_database().unwrap_or(user);
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let said = error.as_database_error().map(|error| error.message().trim_end_matches('.').to_owned());
    let said = said.unwrap_or_else(|| error.to_string());
    let mended = |why: String| (why, false);
    match (code.as_deref(), error) {
        (Some("28P01"), _) => mended(format!(
            "Postgres at {at} refused the password of the user `{user}`. Correct user and password in DATABASE_URL, \
             in which @ : / ? # and % are written as %40 %3A %2F %3F %23 and %25"
        )),
        (Some("28000"), _) => mended(format!(
            "Postgres at {at} does not let the user `{user}` in: {said}. Correct DATABASE_URL, or create the user and \
             allow it in pg_hba.conf"
        )),
        (Some("3D000"), _) => mended(format!(
            "Postgres at {at} has no database `{database}`. Create it (CREATE DATABASE), or correct its name in \
             DATABASE_URL"
        )),
        (Some("42501"), _) => mended(format!(
            "the user `{user}` may not use the database `{database}` at {at}: {said}. Grant it CONNECT, or correct \
             DATABASE_URL"
        )),
        (_, sqlx::Error::Tls(_)) => mended(format!(
            "no TLS connection with Postgres at {at}: {said}. Correct sslmode and the certificates in DATABASE_URL"
        )),
        (_, sqlx::Error::Protocol(_)) => (
            format!(
                "what listens at {at} does not talk as Postgres does: {said}. Check host and port in DATABASE_URL"
            ),
            true,
        ),
        (_, sqlx::Error::Io(cause)) if cause.kind() == io::ErrorKind::ConnectionRefused => (
            format!("nothing listens at {at}. Start Postgres, or correct host and port in DATABASE_URL"),
            true,
        ),
        (_, sqlx::Error::Io(cause)) if cause.kind() == io::ErrorKind::TimedOut => (
            format!(
                "Postgres at {at} did not respond. Check host and port in DATABASE_URL, firewalls, and Postgres"
            ),
            true,
        ),
        (_, sqlx::Error::Io(cause)) => (
            format!(
                "Postgres at {at} cannot be reached: {cause}. Check host and port in DATABASE_URL, and Postgres"
            ),
            true,
        ),
        _ => (format!("Postgres at {at} refused the connection: {said}"), false),
    }
}

/// Host and port, or the path of a socket.
pub(super) fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_or_refused_without_a_word_of_it() {
        for fine in [
            "postgres://callboard:s3cr3t@db.internal:5432/callboard",
            "postgresql://callboard:s3cr3t@db.internal/callboard?sslmode=disable",
            " postgres://callboard@localhost/callboard\n",
            "postgres://callboard:p%40%2F%23%3As3cr3t@localhost/callboard",
            "postgres:///callboard?host=/run/postgresql&user=callboard&password=s3cr3t",
            "postgres://callboard:s3cr3t@%2Frun%2Fpostgresql/callboard",
            "postgres://user@[::1]:5432/callboard",
        ] {
            assert!(options(&fine.into()).is_ok(), "{fine}");
        }
        for (bad, part) in [
            ("localhost:5432/callboard", "begin with postgres://"),
            ("callboard", "begin with postgres://"),
            ("host=localhost user=callboard password=s3cr3t", "begin with postgres://"),
            ("mysql://callboard:s3cr3t@localhost/callboard", "begin with postgres://"),
            ("postgres:callboard:s3cr3t@localhost/callboard", "begin with postgres://"),
            ("postgres://callboard:s3cr3t@localhost:port/callboard", "invalid port"),
            ("postgres://callboard:s3cr3t@localhost:99999/callboard", "invalid port"),
            ("postgres://callboard:s3cr3t#1@localhost/callboard", "cannot be read"),
            ("postgres://callboard:s3cr3t/1@localhost/callboard", "cannot be read"),
            ("postgres://callboard:1234/s3cr3t@localhost/callboard", "behind the host"),
            ("postgres://callboard:1234?s3cr3t@localhost/callboard", "behind the host"),
            ("postgres://callboard:1234#s3cr3t@localhost/callboard", "behind the host"),
            ("postgres://callboard:s3cr3t@localhost/callboard?sslmode=sometimes", "ssl_mode"),
            ("postgres://callboard:s3cr3t@localhost/callboard?port=x", "invalid digit"),
        ] {
            let why = options(&bad.into()).unwrap_err().to_string();
            assert!(why.contains(part) && why.contains("postgres://user:password@host"), "{bad}: {why}");
            assert!(!why.contains("s3cr3t") && !why.contains("1234"), "{bad}: {why}");
        }
    }
}
