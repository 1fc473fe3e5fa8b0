//! A database per test, copied from a template that is made once per version of the migrations.

use std::{sync::OnceLock, time::Duration};

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, migrate::Migrator};

use crate::{must, postgres, random_name, server::Server, unblocked};

/// URL of the Postgres that all tests share, as a user who may create databases.
const SHARED: &str = "CALLBOARD_TEST_DATABASE_URL";

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");
static OWN: OnceLock<Result<Server, String>> = OnceLock::new();

/// An empty database with the current schema. Dropped with its scope, even if connections are open.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// Creates one.
    pub async fn create() -> Self {
        let server = server_url().await;
        must(Self::copy(server).await.context("cannot create a database for a test"))
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn copy(server: String) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(&server).await.context(SHARED)?;
        let template = template(&mut connection, &server).await?;
        let name = format!("callboard_test_{}", random_name()?);
        execute(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        connection.close().await?;
        let url = with_database(&server, &name);
        Ok(Self { server, name, url })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, statement) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // In a thread of its own, because a test that panics or ends has no running runtime.
        let dropped = std::thread::spawn(move || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let drop = async {
                    let mut connection = PgConnection::connect(&server).await?;
                    execute(&mut connection, statement).await?;
                    anyhow::Ok(connection.close().await?)
                };
                tokio::time::timeout(Duration::from_secs(30), drop).await?
            })
        });
        // A database that cannot be dropped goes with the server. The test's own result stands.
        drop(dropped.join());
    }
}

/// Returns the URL of the shared server, or starts this process's own.
async fn server_url() -> String {
    if let Ok(url) = std::env::var(SHARED) {
        return url;
    }
    unblocked(|| {
        let own = OWN.get_or_init(|| postgres::launch().map_err(|error| format!("{error:#}")));
        own.as_ref().map(|server| server.url().to_owned()).map_err(|error| anyhow::anyhow!(error.clone()))
    })
    .await
}

/// Returns the name of the template for these migrations. The first caller makes it.
async fn template(connection: &mut PgConnection, server: &str) -> anyhow::Result<String> {
    let sum = MIGRATIONS
        .iter()
        .flat_map(|migration| migration.checksum.iter())
        .fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let name = format!("callboard_template_{sum:016x}");
    // The first caller holds the lock while it migrates. Later ones hold it only for the check.
    sqlx::query("SELECT pg_advisory_lock(hashtext($1))").bind(&name).execute(&mut *connection).await?;
    let made = sqlx::query("SELECT FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_optional(&mut *connection);
    if made.await?.is_none() {
        // Renamed once it is complete, so that an interrupted process leaves no half-made template.
        let unfinished = format!("{name}_unfinished");
        execute(connection, format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await?;
        execute(connection, format!("CREATE DATABASE {unfinished}")).await?;
        let mut inside = PgConnection::connect(&with_database(server, &unfinished)).await?;
        MIGRATIONS.run(&mut inside).await?;
        inside.close().await?;
        execute(connection, format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock(hashtext($1))").bind(&name).execute(&mut *connection).await?;
    Ok(name)
}

async fn execute(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Returns the URL of another database on the same server.
fn with_database(server: &str, name: &str) -> String {
    let (address, options) =
        server.split_once('?').map_or((server, String::new()), |(a, o)| (a, format!("?{o}")));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    format!("{}/{name}{options}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_everything_but_the_database() {
        assert_eq!(with_database("postgres://u:p@h:1/postgres", "x"), "postgres://u:p@h:1/x");
        assert_eq!(
            with_database("postgres://u:p@h:1/a?sslmode=disable", "x"),
            "postgres://u:p@h:1/x?sslmode=disable"
        );
        assert_eq!(with_database("postgres://h", "x"), "postgres://h/x");
    }

    #[tokio::test]
    async fn every_test_has_its_own_with_the_schema() {
        let (one, other) = tokio::join!(Database::create(), Database::create());
        assert_ne!(one.url(), other.url());
        let mut connection = PgConnection::connect(one.url()).await.unwrap();
        sqlx::query("SELECT FROM jobs").execute(&mut connection).await.unwrap();
        let (server, name) = (one.server.clone(), one.name.clone());
        drop(one);
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let left = sqlx::query("SELECT FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut connection);
        assert!(left.await.unwrap().is_none(), "dropped despite the connection");
    }
}
