//! API keys.

use std::time::Duration;

use callboard::{
    api_key,
    catalogue::{KEYS_MAX, KeyCreate, SESSIONS_MAX, SessionLife},
    clock::{self, Time},
    ids::ApiKeyId,
    refusal::RefusalCode::{Invalid, NotFound, Taken, TooMany},
    steps::StepError,
    store::{
        audit::{self, Filter, PageRequest},
        catalogue::{
            api_keys::{CredentialStatus, Role},
            sessions::KeyRef,
        },
    },
};
use secrecy::ExposeSecret as _;

use crate::database::{TestCatalogue, catalogue, expected, refusals};

const LAST_USE: &str = "SELECT last_used_at FROM api_keys";

fn new(name: &str) -> KeyCreate {
    KeyCreate { name: name.into(), role: Role::Operator, expires_at: None }
}

/// Creates a key and returns its id and its hash.
async fn create(catalogue: &TestCatalogue, name: &str) -> (ApiKeyId, [u8; 32]) {
    let (key, text) = catalogue.keys().key_create(new(name)).await.unwrap();
    (key.id, api_key::hash(text.expose_secret()))
}

#[tokio::test]
async fn a_key_is_valid_until_it_expires_or_is_revoked() {
    let catalogue = catalogue().await;
    let (id, hash) = create(&catalogue, "first").await;
    let found = || async { catalogue.keys().key(&hash).await.unwrap().unwrap() };
    let CredentialStatus::Valid { of, is_due: true } = found().await else { panic!("a new key is valid") };
    assert_eq!((of.id, of.name.as_str(), of.role, of.expires_at), (id, "first", Role::Operator, None));
    assert_eq!(catalogue.keys().key(&api_key::hash("cb_other")).await.unwrap(), None);
    catalogue
        .execute("UPDATE api_keys SET expires_at = clock_timestamp() + '1 hour' WHERE id = $1", &[id.uuid()])
        .await;
    assert!(matches!(found().await, CredentialStatus::Valid { .. }));
    catalogue.execute("UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = $1", &[id.uuid()]).await;
    assert!(matches!(found().await, CredentialStatus::Expired(_)));
    let revoked = catalogue.keys().key_revoke(id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert!(matches!(found().await, CredentialStatus::Revoked(_)));
    assert_eq!(catalogue.keys().key_revoke(id).await.unwrap(), revoked, "the key stays revoked");
}

#[tokio::test]
async fn the_last_use_is_written_once_a_minute() {
    let catalogue = catalogue().await;
    let (id, hash) = create(&catalogue, "first").await;
    assert_eq!(catalogue.value::<Option<Time>>(LAST_USE).await, None);
    catalogue.keys().key(&hash).await.unwrap();
    let first = catalogue.value::<Option<Time>>(LAST_USE).await.unwrap();
    catalogue.keys().key(&hash).await.unwrap();
    assert_eq!(catalogue.value::<Option<Time>>(LAST_USE).await, Some(first));
    let back = "UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds' WHERE id = $1";
    catalogue.execute(back, &[id.uuid()]).await;
    catalogue.keys().key(&hash).await.unwrap();
    assert!(catalogue.value::<Option<Time>>(LAST_USE).await.unwrap() > first);
}

#[tokio::test]
async fn a_name_is_unique_among_keys_that_are_not_revoked_and_their_number_is_bounded() {
    let catalogue = catalogue().await;
    let (id, _) = create(&catalogue, "first").await;
    assert_eq!(refusals(catalogue.keys().key_create(new("first")).await), expected(&[(Taken, "name")]));
    catalogue.keys().key_revoke(id).await.unwrap();
    create(&catalogue, "first").await;
    let past = KeyCreate { expires_at: Some(clock::now()), ..new("") };
    let result = catalogue.keys().key_create(past).await;
    assert_eq!(refusals(result), expected(&[(Invalid, "name"), (Invalid, "expiresAt")]));
    for reserved in ["worker", "Worker", "callboard-api keys", "Callboard-API  keys", "CALLBOARD_API_KEY"] {
        let result = catalogue.keys().key_create(new(reserved)).await;
        assert_eq!(refusals(result), expected(&[(Invalid, "name")]), "{reserved}");
    }
    let nobody = catalogue.keys().key_revoke(ApiKeyId::from(uuid::Uuid::nil())).await;
    assert_eq!(refusals(nobody), expected(&[(NotFound, "id")]));
    let fill = format!(
        "INSERT INTO api_keys (id, name, role, hash) SELECT gen_random_uuid(), 'n' || i, 'viewer',
             sha256(convert_to(i::text, 'UTF8')) FROM generate_series(2, {KEYS_MAX}) i WHERE $1 IS NOT NULL"
    );
    catalogue.execute(Box::leak(fill.into_boxed_str()), &[id.uuid()]).await;
    assert_eq!(refusals(catalogue.keys().key_create(new("one more")).await), expected(&[(TooMany, "")]));
}

#[tokio::test]
async fn no_two_keys_that_work_have_names_that_are_alike() {
    let catalogue = catalogue().await;
    let (id, _) = create(&catalogue, "Ada Lovelace").await;
    for alike in [
        "Ada Lovelace",
        "ada lovelace",
        "ADA LOVELACE",
        "Ada  Lovelace",
        "Ada\u{a0}lovelace",
        "Ａda Lovelace",
    ] {
        let Err(StepError::Refused(refusals)) = catalogue.keys().key_create(new(alike)).await else {
            panic!("{alike} was created")
        };
        let [refusal] = &refusals[..] else { panic!("{refusals:?}") };
        assert_eq!((refusal.code, refusal.path.join(".").as_str()), (Taken, "name"), "{alike}");
        let names_it = refusal.message.contains("`Ada Lovelace`");
        assert_eq!(names_it, alike != "Ada Lovelace", "{alike}: {}", refusal.message);
    }
    create(&catalogue, "Ada Byron").await;
    catalogue.keys().key_revoke(id).await.unwrap();
    // Of many at the same time, one is the first.
    let names = ["ada lovelace", "Ada Lovelace", "ADA LOVELACE", "Ada  Lovelace"];
    let keys = catalogue.keys();
    let done =
        futures::future::join_all(names.iter().cycle().take(16).map(|name| keys.key_create(new(name)))).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
}

const LIFE: SessionLife = SessionLife { idle: Duration::from_mins(10), whole: Duration::from_mins(10) };

#[tokio::test]
async fn the_use_of_a_session_is_one_of_its_key() {
    let catalogue = catalogue().await;
    let (id, _) = create(&catalogue, "first").await;
    let opened = catalogue.keys().session_create(KeyRef::Stored(id), LIFE, None).await.unwrap();
    let hash = api_key::hash(opened.text.expose_secret());
    assert_eq!(catalogue.value::<Option<Time>>(LAST_USE).await, None);
    let back = "UPDATE sessions SET last_used_at = last_used_at - interval '61 seconds' WHERE id = $1";
    catalogue.execute(back, &[opened.id.uuid()]).await;
    catalogue.keys().session(&hash, LIFE).await.unwrap();
    let first = catalogue.value::<Option<Time>>(LAST_USE).await.unwrap();
    let touched = "SELECT last_used_at > clock_timestamp() - interval '1 minute' FROM sessions";
    assert!(catalogue.value::<bool>(touched).await, "the session's own use is stored too");
    catalogue.execute(back, &[opened.id.uuid()]).await;
    catalogue.keys().session(&hash, LIFE).await.unwrap();
    assert_eq!(catalogue.value::<Option<Time>>(LAST_USE).await, Some(first), "once a minute");
    let configured = catalogue.keys().session_create(KeyRef::Configured([7; 32]), LIFE, None).await.unwrap();
    catalogue.execute(back, &[configured.id.uuid()]).await;
    let hash = api_key::hash(configured.text.expose_secret());
    assert!(catalogue.keys().session(&hash, LIFE).await.unwrap().is_some());
}

#[tokio::test]
async fn sessions_that_a_newer_one_ends_are_in_the_audit() {
    let catalogue = catalogue().await;
    let (id, _) = create(&catalogue, "first").await;
    let open = async |instead_of| {
        catalogue.keys().session_create(KeyRef::Stored(id), LIFE, instead_of).await.unwrap().id
    };
    let first = open(None).await;
    let second = open(Some(first)).await;
    let third = open(Some(first)).await;
    for _ in 2..=SESSIONS_MAX {
        open(None).await;
    }
    let filter = Filter { action: Some("sessionDelete".into()), ..Filter::default() };
    let request = PageRequest { filter, rows: 100, ..PageRequest::default() };
    let found = audit::page(&mut *catalogue.begin().await, &request).await.unwrap();
    let ended: Vec<&str> = found.iter().map(|event| event.object_ids[0].as_str()).collect();
    assert_eq!(ended, [second.to_string(), first.to_string()], "and {third} goes on");
    assert_eq!(found[1].after, Some(serde_json::json!({ "endedBy": second.to_string() })));
}
