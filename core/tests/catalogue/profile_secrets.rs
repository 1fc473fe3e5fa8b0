//! Secrets of profiles: set, kept, removed, and never stored in plain text.

use std::collections::HashMap;

use callboard::{
    catalogue::{
        ProfileChanges, ProfileCreate, ProfileUpdate, ProxyCreate, SecretInput, ServiceCreate, TokenRefresh,
    },
    clock,
    ids::ProfileId,
    refusal::RefusalCode::{Invalid, NotFound, TooMany},
    secret::Owner,
    store::catalogue::{ingredients, profile_secrets},
};
use secrecy::ExposeSecret as _;

use crate::database::{TestCatalogue, a_profile, a_proxy, catalogue, expected, refusals};

const PLAIN: &str = "correct-horse-battery-staple";

fn secret(name: &str, value: &str) -> SecretInput {
    SecretInput { name: name.into(), value: value.into(), expires_at: None }
}

async fn with_secrets(catalogue: &TestCatalogue, name: &str, secrets: Vec<SecretInput>) -> ProfileId {
    catalogue.profile_create(ProfileCreate { secrets, ..a_profile(name) }).await.unwrap().id
}

fn change(id: ProfileId, secrets: Vec<SecretInput>, remove: &[&str]) -> ProfileUpdate {
    let remove_secrets = remove.iter().map(|name| (*name).to_owned()).collect();
    ProfileUpdate {
        id,
        version: None,
        changes: ProfileChanges { secrets, remove_secrets, ..ProfileChanges::default() },
    }
}

/// The sealed secrets of a profile, by name.
async fn sealed(catalogue: &TestCatalogue, id: ProfileId) -> HashMap<String, Vec<u8>> {
    let wanted = ingredients::Wanted { profiles: vec![id], ..ingredients::Wanted::default() };
    let found = ingredients::load(&mut *catalogue.begin().await, &wanted).await.unwrap();
    found.profiles[&id].secrets.iter().map(|secret| (secret.name.clone(), secret.sealed.clone())).collect()
}

#[tokio::test]
async fn an_update_sets_the_named_secrets_and_keeps_the_others() {
    let catalogue = catalogue().await;
    let id =
        with_secrets(&catalogue, "a", vec![secret("kept", PLAIN), secret("old", "x"), secret("new", "x")])
            .await;
    let before = sealed(&catalogue, id).await;
    let expires_at = clock::now() + std::time::Duration::from_hours(1);
    let set = SecretInput { expires_at: Some(expires_at), ..secret("new", "0123456789abcdef") };
    let updated = catalogue.profile_update(change(id, vec![set], &["old"])).await.unwrap();
    assert_eq!(updated.version, 2, "a secret is part of its profile");

    let states =
        profile_secrets::states(&mut *catalogue.begin().await, &[id]).await.unwrap().remove(&id).unwrap();
    let hints: Vec<_> = states.iter().map(|state| (state.name.as_str(), state.hint.as_deref())).collect();
    assert_eq!(hints, [("kept", Some("aple")), ("new", Some("cdef"))]);
    assert!(states[1].updated_at > states[0].updated_at);
    assert_eq!(states[0].expires_at, None);
    assert_eq!(states[1].expires_at.unwrap().timestamp_millis(), expires_at.timestamp_millis());

    let after = sealed(&catalogue, id).await;
    assert_eq!(after["kept"], before["kept"]);
    let opened = catalogue.keyring.open(Owner::ProfileSecret(id, "new"), &after["new"]).unwrap();
    assert_eq!(opened.expose_secret(), "0123456789abcdef");
}

#[tokio::test]
async fn invalid_removals_are_refused() {
    let catalogue = catalogue().await;
    let id = with_secrets(&catalogue, "a", vec![secret("a", "x"), secret("b", "x")]).await;
    let result = catalogue
        .profile_update(change(id, vec![secret("a", "y")], &["a", "unknown", "b", "b", "x\0"]))
        .await;
    let expected_refusals = expected(&[
        (Invalid, "removeSecrets/0"),
        (NotFound, "removeSecrets/1"),
        (Invalid, "removeSecrets/3"),
        (NotFound, "removeSecrets/4"),
    ]);
    assert_eq!(refusals(result), expected_refusals);
    assert_eq!(sealed(&catalogue, id).await.len(), 2, "nothing was removed");
}

#[tokio::test]
async fn a_profile_has_at_most_a_hundred_secrets() {
    let catalogue = catalogue().await;
    let id = with_secrets(&catalogue, "a", (0..100).map(|n| secret(&format!("s{n}"), "x")).collect()).await;
    let more = catalogue.profile_update(change(id, vec![secret("s0", "y"), secret("more", "x")], &[])).await;
    assert_eq!(refusals(more), expected(&[(TooMany, "secrets")]));
    catalogue
        .profile_update(change(id, vec![secret("more", "x")], &["s0"]))
        .await
        .expect("removing one makes room for another");
}

#[tokio::test]
async fn no_row_contains_a_secret_in_plain_text() {
    let catalogue = catalogue().await;
    with_secrets(&catalogue, "a", vec![secret("a", PLAIN)]).await;
    let create = ServiceCreate { name: "s".into(), token: Some(PLAIN.into()), ..ServiceCreate::default() };
    let service = catalogue.service_create(create).await.unwrap();
    let refresh = TokenRefresh { id: service.id, token: PLAIN.into(), expires_at: None };
    catalogue.service_token_refresh(refresh).await.unwrap();
    let create = ProxyCreate { username: Some(PLAIN.into()), password: Some(PLAIN.into()), ..a_proxy("p") };
    catalogue.proxy_create(create).await.unwrap();

    // All rows of these tables as text, where bytea is hexadecimal. Looks for the parts of the
    // plain text in both spellings.
    let dump: String = catalogue
        .value(
            "SELECT string_agg(each::text, ' ') FROM (
                 SELECT to_jsonb(profile_secrets) AS each FROM profile_secrets
                 UNION ALL SELECT to_jsonb(services) FROM services
                 UNION ALL SELECT to_jsonb(proxies) FROM proxies
                 UNION ALL SELECT to_jsonb(profiles) FROM profiles) row",
        )
        .await;
    assert!(dump.contains("aple"), "the hint is visible, so the dump has the right rows");
    for word in PLAIN.split('-') {
        let hex: Vec<String> = word.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.contains(word) && !dump.contains(&hex.concat()), "{word}");
    }
}

#[tokio::test]
async fn a_ciphertext_moved_to_another_row_does_not_open() {
    let catalogue = catalogue().await;
    let one = with_secrets(&catalogue, "one", vec![secret("a", PLAIN), secret("b", "other")]).await;
    let two = with_secrets(&catalogue, "two", vec![secret("a", "other")]).await;
    catalogue
        .execute(
            "UPDATE profile_secrets
             SET sealed = (SELECT sealed FROM profile_secrets WHERE profile_id = $1 AND name = 'a')
             WHERE NOT (profile_id = $1 AND name = 'a')",
            &[one.uuid()],
        )
        .await;
    let (of_one, of_two) = (sealed(&catalogue, one).await, sealed(&catalogue, two).await);
    assert_eq!(of_one["a"], of_two["a"], "it was moved");
    let open = |id, name, sealed: &[u8]| catalogue.keyring.open(Owner::ProfileSecret(id, name), sealed);
    assert_eq!(open(one, "a", &of_one["a"]).unwrap().expose_secret(), PLAIN);
    assert!(open(one, "b", &of_one["b"]).is_err(), "another name");
    assert!(open(two, "a", &of_two["a"]).is_err(), "another profile");

    let create = ProxyCreate { username: Some("name".into()), password: Some("word".into()), ..a_proxy("p") };
    let proxy = catalogue.proxy_create(create).await.unwrap().id;
    let wanted = ingredients::Wanted { proxies: vec![proxy], ..ingredients::Wanted::default() };
    let found = ingredients::load(&mut *catalogue.begin().await, &wanted).await.unwrap();
    let credentials = found.proxies[&proxy].credentials.clone();
    let (username, password) = (credentials.username.unwrap(), credentials.password.unwrap());
    let open = |owner: Owner<'_>, sealed: &[u8]| catalogue.keyring.open(owner, sealed);
    assert_eq!(open(Owner::ProxyUsername(proxy), &username).unwrap().expose_secret(), "name");
    assert_eq!(open(Owner::ProxyPassword(proxy), &password).unwrap().expose_secret(), "word");
    assert!(open(Owner::ProxyUsername(proxy), &password).is_err(), "another column");
    assert!(open(Owner::ServiceToken(catalogue.ids.make()), &password).is_err(), "another table");
}
