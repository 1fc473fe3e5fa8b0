//! `callboard-api keys` with a DATABASE_URL that is wrong: each says what happened and what to do,
//! fails, and shows no password.

use std::process::Output;

use callboard_test_support::{Database, free_port};
use sqlx::{Connection as _, PgConnection};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, process::Command};

/// What no output may show.
const PASSWORD: &str = "hush-hush-4711";
const MASTER_KEY: &str = "9f3b1c7ae05d42886b1fd3c94e7a0256d18cb4f06a935e2777c0be1d5a48f369";
const VERBS: [&[&str]; 5] = [
    &["create", "--role", "viewer", "x"],
    &["list"],
    &["revoke", "x"],
    &["master-status"],
    &["rotate-master", "--start-timeout", "1"],
];

async fn run(verb: &[&str], url: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard-api"));
    command.arg("keys").args(verb).env_clear().env("CALLBOARD_MASTER_KEY", MASTER_KEY).kill_on_drop(true);
    command.envs(url.map(|url| ("DATABASE_URL", url)));
    command.output().await.unwrap()
}

/// Runs every verb, which fails with these parts in its message.
async fn assert_told(url: Option<&str>, parts: &[&str]) {
    for verb in VERBS {
        let output = run(verb, url).await;
        let told = String::from_utf8(output.stderr).unwrap();
        let case = format!("{verb:?} with {url:?}: {told}");
        assert_eq!(output.status.code(), Some(1), "{case}");
        assert!(output.stdout.is_empty(), "{case}");
        assert!(parts.iter().all(|part| told.contains(part)), "{parts:?}: {case}");
        assert!(told.contains("DATABASE_URL"), "{case}");
        assert!(!told.contains(PASSWORD) && !told.contains("unexpected error"), "{case}");
    }
}

/// The URL of a database of these tests with another user, password or name.
fn changed(url: &str, user: &str, password: &str, name: &str) -> String {
    let mut url: url::Url = url.parse().unwrap();
    url.set_username(user).unwrap();
    url.set_password(Some(password)).unwrap();
    url.set_path(name);
    url.to_string()
}

#[tokio::test]
async fn a_url_that_is_missing_or_malformed_is_told_apart() {
    let own = format!("callboard:{PASSWORD}@localhost/callboard");
    for missing in [None, Some(""), Some(" ")] {
        assert_told(missing, &["is not set", "postgres://user:password@host"]).await;
    }
    for malformed in [
        own.clone(),
        format!("mysql://{own}"),
        format!("postgres:/{own}"),
        format!("host=localhost password={PASSWORD}"),
        format!("postgres://callboard:{PASSWORD}@localhost:port/callboard"),
        format!("postgres://callboard:{PASSWORD}#1@localhost/callboard"),
        format!("postgres://callboard:1/{PASSWORD}@localhost/callboard"),
        format!("postgres://{own}?sslmode=perhaps"),
    ] {
        assert_told(Some(&malformed), &["cannot be read", "postgres://user:password@host"]).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let port = free_port();
    let url = format!("postgres://callboard:{PASSWORD}@127.0.0.1:{port}/callboard");
    let at = format!("127.0.0.1:{port}");
    assert_told(Some(&url), &["nothing listens at", &at, "Start Postgres"]).await;
    let url = format!("postgres://callboard:{PASSWORD}@nowhere.invalid/callboard");
    assert_told(Some(&url), &["nowhere.invalid:5432", "Check host and port"]).await;
    let url = format!("postgres://callboard:{PASSWORD}@%2Fnowhere/callboard");
    assert_told(Some(&url), &["/nowhere"]).await;
    // Something else listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let served = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    let url = format!("postgres://callboard:{PASSWORD}@{at}/callboard");
    assert_told(Some(&url), &[&at, "does not talk as Postgres does"]).await;
    served.abort();
}

#[tokio::test]
async fn what_postgres_refuses_is_told_with_its_name() {
    let database = Database::create().await;
    let url: url::Url = database.url().parse().unwrap();
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    let wrong = changed(database.url(), user, PASSWORD, database.name());
    assert_told(Some(&wrong), &["refused the password of the user", user, "Correct user and password"]).await;
    let unknown = changed(database.url(), "nobody-here", PASSWORD, database.name());
    assert_told(Some(&unknown), &["nobody-here"]).await;
    let no_database = changed(database.url(), user, password, "no-such-database");
    assert_told(Some(&no_database), &["has no database `no-such-database`", "CREATE DATABASE"]).await;
    let tls = format!("{}?sslmode=require", database.url());
    assert_told(Some(&tls), &["no TLS connection", "sslmode"]).await;
}

#[tokio::test]
async fn a_database_without_the_schema_is_told_by_name() {
    let database = Database::create().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations").execute(&mut connection).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (20250101, 'of another program', now(), true, '', 0)")
        .execute(&mut connection)
        .await
        .unwrap();
    for verb in &VERBS[1..] {
        let output = run(verb, Some(database.url())).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains("has no schema of Callboard"), "{verb:?}: {told}");
        assert!(told.contains(database.name()) && told.contains("keys create"), "{verb:?}: {told}");
    }
    let output = run(VERBS[0], Some(database.url())).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("could not be given the schema"), "{told}");
}
