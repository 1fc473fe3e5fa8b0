//! A worker meets a database schema of another version.

use callboard::store::{Planning, Store, StoreError};
use callboard_test_support::Database;

#[tokio::test]
async fn a_schema_older_than_the_program_is_reported_by_number() {
    let database = Database::create().await;
    let store = Store::open(&database.url().into(), 2, "schema-test", Planning::ByValue).unwrap();
    store.schema_is_current().await.unwrap();

    let mut connection = store.connection().await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'of a later version', now(), true, '', 0)")
        .execute(&mut *connection)
        .await
        .unwrap();
    store.schema_is_current().await.unwrap_or_else(|error| panic!("a newer schema is compatible: {error}"));

    sqlx::query("DELETE FROM _sqlx_migrations WHERE version > 2").execute(&mut *connection).await.unwrap();
    let error = store.schema_is_current().await.unwrap_err();
    assert!(matches!(error, StoreError::Outdated { found: 2, needed } if needed > 2), "{error}");

    sqlx::query("DROP TABLE _sqlx_migrations").execute(&mut *connection).await.unwrap();
    let error = store.schema_is_current().await.unwrap_err();
    assert!(matches!(error, StoreError::Outdated { found: 0, .. }), "{error}");
}

#[tokio::test]
async fn stored_names_are_brought_into_their_normal_form() {
    let database = Database::create().await;
    let store = Store::open(&database.url().into(), 2, "schema-test", Planning::ByValue).unwrap();
    let mut connection = store.connection().await.unwrap();
    // The fifth has the same normal form as the fourth.
    let names = ["plain", "cafe\u{301}", "a\u{a0}b\u{2764}\u{fe0f}", "\u{e9}", "e\u{301}"];
    for name in names {
        sqlx::query(
            "INSERT INTO profiles (id, name, chrome_profile_path, environment, proxy_selection, labels)
             VALUES (gen_random_uuid(), $1, gen_random_uuid()::text, '{}', 'first_healthy', ARRAY[$1, 'x'])",
        )
        .bind(name)
        .execute(&mut *connection)
        .await
        .unwrap();
    }
    for _ in 0..2 {
        sqlx::raw_sql(include_str!("../../../migrations/0016_names.sql"))
            .execute(&mut *connection)
            .await
            .unwrap();
        let stored: Vec<(String, Vec<String>)> =
            sqlx::query_as("SELECT name, labels FROM profiles ORDER BY id")
                .fetch_all(&mut *connection)
                .await
                .unwrap();
        let mut found: Vec<&str> = stored.iter().map(|(name, _)| name.as_str()).collect();
        found.sort_unstable();
        let mut expected = ["plain", "caf\u{e9}", "a b\u{2764}", "\u{e9}", "e\u{301}"];
        expected.sort_unstable();
        assert_eq!(found, expected);
        let mut labels: Vec<&str> =
            stored.iter().flat_map(|(_, labels)| labels).map(String::as_str).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels, ["a b\u{2764}", "caf\u{e9}", "plain", "x", "\u{e9}"]);
        sqlx::query("DROP FUNCTION pg_temp.normal_form").execute(&mut *connection).await.unwrap();
    }
}
