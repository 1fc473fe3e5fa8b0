//! API keys.

use callboard::{
    catalogue::key_hash, clock::Time, refusal::RefusalCode::Invalid, store::catalogue::api_keys::Role,
};
use secrecy::SecretString;

use crate::database::{catalogue, expected, refusals};

const KEY: &str = "cb_0123456789abcdef";
const LAST_USE: &str = "SELECT last_used_at FROM api_keys";

fn key() -> SecretString {
    KEY.into()
}

#[tokio::test]
async fn a_configured_key_is_created_once_and_authenticates_its_owner() {
    let catalogue = catalogue().await;
    let id = catalogue.api_key_ensure("first", &key()).await.unwrap();
    assert_eq!(catalogue.api_key_ensure("again", &key()).await.unwrap(), id);
    assert_eq!(catalogue.value::<i64>("SELECT count(*) FROM api_keys").await, 1);
    let owner = catalogue.authenticate(&key_hash(&key())).await.unwrap().unwrap();
    assert_eq!(
        (owner.id, owner.name.as_str(), owner.role, owner.expires_at),
        (id, "first", Role::Admin, None)
    );
    assert_eq!(catalogue.authenticate(&key_hash(&"cb_0123456789abcdeg".into())).await.unwrap(), None);
    let hash: Vec<u8> = catalogue.value("SELECT hash FROM api_keys").await;
    assert_eq!(hash[..4], [0x15, 0xcc, 0x0d, 0x1e][..], "the SHA-256 of the key by another implementation");
}

#[tokio::test]
async fn a_key_is_valid_until_it_expires_or_is_revoked() {
    let catalogue = catalogue().await;
    let id = catalogue.api_key_ensure("first", &key()).await.unwrap();
    let hash = key_hash(&key());
    catalogue
        .execute("UPDATE api_keys SET expires_at = clock_timestamp() + '1 hour' WHERE id = $1", &[id.uuid()])
        .await;
    assert!(catalogue.authenticate(&hash).await.unwrap().unwrap().expires_at.is_some());
    catalogue.execute("UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = $1", &[id.uuid()]).await;
    assert_eq!(catalogue.authenticate(&hash).await.unwrap(), None);
    catalogue
        .execute("UPDATE api_keys SET expires_at = NULL, revoked_at = now() WHERE id = $1", &[id.uuid()])
        .await;
    assert_eq!(catalogue.authenticate(&hash).await.unwrap(), None);
    assert_eq!(catalogue.api_key_ensure("first", &key()).await.unwrap(), id, "the key stays revoked");
    assert_eq!(catalogue.authenticate(&hash).await.unwrap(), None);
}

#[tokio::test]
async fn the_last_use_is_written_once_a_minute() {
    let catalogue = catalogue().await;
    let id = catalogue.api_key_ensure("first", &key()).await.unwrap();
    let hash = key_hash(&key());
    assert_eq!(catalogue.value::<Option<Time>>(LAST_USE).await, None);
    catalogue.authenticate(&hash).await.unwrap();
    let first = catalogue.value::<Option<Time>>(LAST_USE).await.unwrap();
    catalogue.authenticate(&hash).await.unwrap();
    assert_eq!(catalogue.value::<Option<Time>>(LAST_USE).await, Some(first));
    let back = "UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds' WHERE id = $1";
    catalogue.execute(back, &[id.uuid()]).await;
    catalogue.authenticate(&hash).await.unwrap();
    assert!(catalogue.value::<Option<Time>>(LAST_USE).await.unwrap() > first);
}

#[tokio::test]
async fn a_key_of_invalid_length_is_refused() {
    let catalogue = catalogue().await;
    for bad in ["", "short", &"x".repeat(257)] {
        let result = catalogue.api_key_ensure("", &bad.into()).await;
        assert_eq!(refusals(result), expected(&[(Invalid, "name"), (Invalid, "key")]), "{bad}");
    }
}
