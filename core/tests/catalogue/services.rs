//! `service_create`, `service_update`, `service_token_refresh`.

use callboard::{
    catalogue::{ServiceChanges, ServiceCreate, ServiceUpdate, TokenRefresh},
    clock,
    ids::ServiceId,
    patch::{LimitsPatch, Patch},
    refusal::RefusalCode::{Invalid, NotFound, StaleVersion, Taken},
    secret::Owner,
    store::catalogue::{ingredients, services},
};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::database::{TestCatalogue, catalogue, expected, refusals};

fn a_service(name: &str) -> ServiceCreate {
    ServiceCreate { name: name.into(), ..ServiceCreate::default() }
}

fn update(id: ServiceId, changes: ServiceChanges) -> ServiceUpdate {
    ServiceUpdate { id, version: None, changes }
}

async fn token(catalogue: &TestCatalogue, id: ServiceId) -> String {
    let wanted = ingredients::Wanted { services: vec![id], ..ingredients::Wanted::default() };
    let found = ingredients::load(&mut *catalogue.begin().await, &wanted).await.unwrap();
    let sealed = found.services[&id].token.clone().unwrap().sealed;
    catalogue.keyring.open(Owner::ServiceToken(id), &sealed).unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn a_created_service_reads_back() {
    let catalogue = catalogue().await;
    let made = catalogue
        .service_create(ServiceCreate {
            name: "github".into(),
            base_url: Some("https://api.example/v3".into()),
            token: Some("0123456789abcdef".into()),
            settings: Some(json!({ "region": "eu" })),
            token_hosts: Vec::new(),
            limits: LimitsPatch::default(),
        })
        .await
        .unwrap();
    assert_eq!((made.name.as_str(), made.version), ("github", 1));
    assert_eq!(made.base_url.as_deref(), Some("https://api.example/v3"));
    assert_eq!(made.settings, json!({ "region": "eu" }));
    let bare = catalogue.service_create(a_service("bare")).await.unwrap();
    assert_eq!((bare.base_url, bare.settings), (None, json!({})));

    let mut reader = catalogue.begin().await;
    assert_eq!(services::load(&mut reader, &[made.id]).await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(
        services::load_by_name(&mut reader, &["github".into()]).await.unwrap(),
        std::slice::from_ref(&made)
    );
    let tokens = services::tokens(&mut reader, &[made.id, bare.id]).await.unwrap();
    assert_eq!(tokens.len(), 1, "the other service has no token");
    assert_eq!((tokens[&made.id].name.as_str(), tokens[&made.id].hint.as_deref()), ("token", Some("cdef")));
    assert_eq!(token(&catalogue, made.id).await, "0123456789abcdef");
}

#[tokio::test]
async fn all_refusals_are_returned_at_once() {
    let catalogue = catalogue().await;
    catalogue.service("a").await;
    let result = catalogue
        .service_create(ServiceCreate {
            name: "a b".into(),
            base_url: Some("https://me@api.example".into()),
            token: Some("".into()),
            settings: Some(json!([])),
            token_hosts: Vec::new(),
            limits: LimitsPatch::default(),
        })
        .await;
    let all = [(Invalid, "baseUrl"), (Invalid, "settings"), (Invalid, "token"), (Invalid, "name")];
    assert_eq!(refusals(result), expected(&all));
    let with_nul =
        ServiceCreate { settings: Some(json!({ "a": "\0" })), token: Some("\0".into()), ..a_service("a") };
    let all = [(Invalid, "settings"), (Invalid, "token"), (Taken, "name")];
    assert_eq!(refusals(catalogue.service_create(with_nul).await), expected(&all));
}

#[tokio::test]
async fn an_update_keeps_clears_and_sets_fields() {
    let catalogue = catalogue().await;
    let create = ServiceCreate {
        base_url: Some("https://api.example/".into()),
        settings: Some(json!({ "a": 1 })),
        ..a_service("a")
    };
    let made = catalogue.service_create(create).await.unwrap();
    catalogue.service("b").await;

    let renamed = ServiceChanges { name: Patch::Set("c".into()), ..ServiceChanges::default() };
    let updated = catalogue.service_update(update(made.id, renamed.clone())).await.unwrap();
    let updated_at = updated.updated_at;
    assert!(updated_at > made.updated_at);
    assert_eq!(
        updated,
        callboard::service::Service { name: "c".into(), version: 2, updated_at, ..made.clone() }
    );
    assert_eq!(
        catalogue.service_update(update(made.id, renamed)).await.unwrap().version,
        2,
        "nothing changed"
    );

    let cleared =
        ServiceChanges { base_url: Patch::Clear, settings: Patch::Clear, ..ServiceChanges::default() };
    let updated = catalogue.service_update(update(made.id, cleared)).await.unwrap();
    assert_eq!((updated.base_url, updated.settings, updated.version), (None, json!({}), 3));

    let refused =
        |changes, version| catalogue.service_update(ServiceUpdate { id: made.id, version, changes });
    let taken = ServiceChanges { name: Patch::Set("b".into()), ..ServiceChanges::default() };
    assert_eq!(refusals(refused(taken, Some(3)).await), expected(&[(Taken, "name")]));
    let none = ServiceChanges { name: Patch::Clear, ..ServiceChanges::default() };
    assert_eq!(
        refusals(refused(none, Some(2)).await),
        expected(&[(StaleVersion, "version"), (Invalid, "name")])
    );
    let unknown = update(catalogue.ids.make(), ServiceChanges::default());
    assert_eq!(refusals(catalogue.service_update(unknown).await), expected(&[(NotFound, "id")]));
}

#[tokio::test]
async fn a_refreshed_token_replaces_the_old_one_and_raises_the_version() {
    let catalogue = catalogue().await;
    let id = catalogue.service("a").await;
    let in_an_hour = clock::now() + std::time::Duration::from_hours(1);
    let refresh = |token: &str, expires_at| TokenRefresh { id, token: token.into(), expires_at };
    let first =
        catalogue.service_token_refresh(refresh("first-token-0123456789", Some(in_an_hour))).await.unwrap();
    assert_eq!(first.version, 2);
    let state = services::tokens(&mut *catalogue.begin().await, &[id]).await.unwrap().remove(&id).unwrap();
    assert_eq!((state.hint.as_deref(), state.expires_at.is_some()), (Some("6789"), true));
    let second = catalogue.service_token_refresh(refresh("short", None)).await.unwrap();
    assert_eq!(second.version, 3);
    assert!(second.updated_at > first.updated_at);
    let later = services::tokens(&mut *catalogue.begin().await, &[id]).await.unwrap().remove(&id).unwrap();
    assert_eq!((later.hint, later.expires_at), (None, None));
    assert!(later.updated_at > state.updated_at);
    assert_eq!(token(&catalogue, id).await, "short");

    let wrong = refresh("", Some(clock::now()));
    assert_eq!(
        refusals(catalogue.service_token_refresh(wrong).await),
        expected(&[(Invalid, "token"), (Invalid, "expiresAt")])
    );
    let unknown = TokenRefresh { id: catalogue.ids.make(), token: "x".into(), expires_at: None };
    assert_eq!(refusals(catalogue.service_token_refresh(unknown).await), expected(&[(NotFound, "id")]));
    assert_eq!(token(&catalogue, id).await, "short", "nothing was written");
}
