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
