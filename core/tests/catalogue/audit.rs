//! The audit of changes: each has an entry in its transaction, and none holds a secret.

use std::sync::Arc;

use callboard::{
    audit::{Actor, Entry, Outcome},
    catalogue::{
        CheckResult, CommandChanges, CommandUpdate, ProfileChanges, ProfileCreate, ProfileUpdate,
        ProxyChanges, ProxyCreate, ProxyImport, ProxyUpdate, SecretInput, ServiceChanges, ServiceCreate,
        ServiceUpdate, TokenRefresh,
    },
    ids::AuditEventId,
    patch::Patch,
    refusal::RefusalCode,
    store::audit::{self, AuditEvent, Filter, PageRequest},
};
use serde_json::{Value, json};

use crate::database::{TestCatalogue, a_command, a_profile, a_proxy, catalogue, refusals};

/// Never in an entry.
const SECRETS: [&str; 4] =
    ["tok-first-0123456789", "tok-second-0123456789", "hunter2-hunter2", "proxy-pass-1"];

async fn events(catalogue: &TestCatalogue, filter: Filter) -> Vec<AuditEvent> {
    let request = PageRequest { filter, rows: 100, ..PageRequest::default() };
    let mut events = audit::page(&mut *catalogue.begin().await, &request).await.unwrap();
    events.reverse();
    events
}

fn by_alice() -> Arc<Actor> {
    Arc::new(Actor {
        name: "alice".into(),
        role: Some("admin"),
        address: Some("192.0.2.7".parse().unwrap()),
        transport: Some("http"),
        ..Actor::default()
    })
}

/// Each operation of the catalogue once, with secrets wherever one can be.
async fn change_everything(catalogue: &TestCatalogue) {
    let acting = catalogue.acting_for(by_alice());
    let create = ServiceCreate {
        name: "shop".into(),
        base_url: Some("https://shop.test".into()),
        token: Some(SECRETS[0].into()),
        ..ServiceCreate::default()
    };
    let service = acting.service_create(create).await.unwrap().id;
    let changes =
        ServiceChanges { base_url: Patch::Set("https://b.shop.test".into()), ..ServiceChanges::default() };
    acting
        .service_update(ServiceUpdate { id: service, version: None, changes: changes.clone() })
        .await
        .unwrap();
    acting.service_update(ServiceUpdate { id: service, version: None, changes }).await.unwrap();
    let refresh = TokenRefresh { id: service, token: SECRETS[1].into(), expires_at: None };
    acting.service_token_refresh(refresh).await.unwrap();

    let proxy = acting.proxy_create(a_proxy("exit")).await.unwrap();
    let create =
        ProxyCreate { username: Some("u".into()), password: Some(SECRETS[3].into()), ..a_proxy("signed") };
    let create = ProxyCreate { protocol: callboard::proxy::ProxyProtocol::Socks5, ..create };
    let signed = acting.proxy_create(create).await.unwrap();
    let link = format!("socks5://u:{}@127.0.0.1:1080", SECRETS[3]);
    acting.proxy_import(ProxyImport { name: Some("linked".into()), link: link.into() }).await.unwrap();
    let changes = ProxyChanges { password: Patch::Set("other".into()), ..ProxyChanges::default() };
    acting.proxy_update(ProxyUpdate { id: signed.id, version: None, changes }).await.unwrap();
    let up = CheckResult::Up { latency_ms: 3, exit_address: None };
    acting.proxy_record_check(proxy.id, proxy.version, up).await.unwrap();

    let secret = |name: &str| SecretInput { name: name.into(), value: SECRETS[2].into(), expires_at: None };
    let create = ProfileCreate { secrets: vec![secret("pw")], service_ids: vec![service], ..a_profile("me") };
    let profile = acting.profile_create(create).await.unwrap().id;
    let changes = ProfileChanges {
        description: Patch::Set("d".into()),
        secrets: vec![secret("pin")],
        remove_secrets: vec!["pw".into()],
        ..ProfileChanges::default()
    };
    acting.profile_update(ProfileUpdate { id: profile, version: None, changes }).await.unwrap();

    let command = acting.command_create(a_command("go")).await.unwrap().id;
    let changes = CommandChanges { is_private: Patch::Set(true), ..CommandChanges::default() };
    acting.command_update(CommandUpdate { id: command, version: None, changes }).await.unwrap();
    acting.command_delete(command, None).await.unwrap();
    acting.profile_delete(profile, None).await.unwrap();
    acting.proxy_delete(proxy.id, None).await.unwrap();
    acting.service_delete(service, None).await.unwrap();
}

#[tokio::test]
async fn every_change_has_an_entry_without_secrets() {
    let catalogue = catalogue().await;
    change_everything(&catalogue).await;
    let found = events(&catalogue, Filter::default()).await;
    let actions: Vec<(&str, Option<&str>)> =
        found.iter().map(|event| (event.action.as_str(), event.object_name.as_deref())).collect();
    let expected = [
        ("serviceCreate", Some("shop")),
        ("serviceUpdate", Some("shop")),
        ("serviceUpdate", Some("shop")),
        ("serviceTokenRefresh", Some("shop")),
        ("proxyCreate", Some("exit")),
        ("proxyCreate", Some("signed")),
        ("proxyImport", Some("linked")),
        ("proxyUpdate", Some("signed")),
        ("proxyCheck", Some("exit")),
        ("profileCreate", Some("me")),
        ("profileUpdate", Some("me")),
        ("commandCreate", Some("go")),
        ("commandUpdate", Some("go")),
        ("commandDelete", Some("go")),
        ("profileDelete", Some("me")),
        ("proxyDelete", Some("exit")),
        ("serviceDelete", Some("shop")),
    ];
    assert_eq!(actions, expected);
    for event in &found {
        let who = (event.actor.as_deref(), event.role.as_deref(), event.address.as_deref());
        assert_eq!(who, (Some("alice"), Some("admin"), Some("192.0.2.7")), "{event:?}");
        assert_eq!(
            (event.transport.as_deref(), event.outcome, event.count),
            (Some("http"), Outcome::Done, 1)
        );
        assert_eq!(event.object_ids.len(), 1, "{event:?}");
        let whole = format!("{event:?}");
        assert!(SECRETS.iter().all(|secret| !whole.contains(secret)), "a secret is in {whole}");
    }
    let change = |index: usize| (found[index].before.clone(), found[index].after.clone());
    assert_eq!(found[0].after.as_ref().unwrap()["token"], "***");
    let moved =
        (Some(json!({ "baseUrl": "https://shop.test" })), Some(json!({ "baseUrl": "https://b.shop.test" })));
    assert_eq!(change(1), moved);
    assert_eq!(change(2), (None, None), "the update changed nothing");
    assert_eq!(found[3].after, Some(json!({ "token": "***", "expiresAt": Value::Null })));
    assert_eq!(found[7].after, Some(json!({ "credentials": "***" })));
    assert_eq!(found[9].after.as_ref().unwrap()["secrets"], json!({ "pw": "***" }));
    let before = json!({ "description": null, "secrets": { "pw": "***" } });
    let after = json!({ "description": "d", "secrets": { "pin": "***" } });
    assert_eq!(change(10), (Some(before), Some(after)));
    let deleted = found[14].before.as_ref().unwrap();
    assert_eq!(
        (&deleted["secrets"], deleted["serviceIds"].as_array().unwrap().len()),
        (&json!({ "pin": "***" }), 1)
    );
    assert_eq!(change(12), (Some(json!({ "isPrivate": false })), Some(json!({ "isPrivate": true }))));
    assert_eq!(
        (found[16].before.as_ref().unwrap()["name"].clone(), &found[16].after),
        (json!("shop"), &None)
    );
}

#[tokio::test]
async fn a_refused_change_has_no_entry_and_filters_find_the_others() {
    let catalogue = catalogue().await;
    let first = catalogue.service("a").await;
    assert!(
        refusals(
            catalogue.service_create(ServiceCreate { name: "a".into(), ..ServiceCreate::default() }).await
        )
        .iter()
        .any(|(code, _)| *code == RefusalCode::Taken)
    );
    catalogue.profile("p").await;
    assert_eq!(events(&catalogue, Filter::default()).await.len(), 2);
    let of = |filter: Filter| events(&catalogue, filter);
    let object = Filter { object: Some(first.to_string()), ..Filter::default() };
    assert_eq!(of(object).await[0].action, "serviceCreate");
    let action = |action: &str| Filter { action: Some(action.into()), ..Filter::default() };
    assert_eq!(of(action("profileCreate")).await.len(), 1);
    assert!(of(Filter { actor: Some("alice".into()), ..Filter::default() }).await.is_empty());
    assert!(of(Filter { actor: Some("a\0".into()), ..Filter::default() }).await.is_empty());
    let all = of(Filter::default()).await;
    let from = |since, until| Filter { since, until, ..Filter::default() };
    assert_eq!(of(from(Some(all[1].at), None)).await.len(), 1, "at or after");
    assert_eq!(of(from(None, Some(all[1].at))).await.len(), 1, "before");
    assert_eq!(of(from(Some(all[0].at), Some(all[1].at))).await[0].id, all[0].id);
}

#[tokio::test]
async fn entries_are_only_added_and_old_ones_go() {
    let catalogue = catalogue().await;
    let entry = |id: AuditEventId| Entry::new(id, &Actor::default(), "signIn");
    let ids: Vec<AuditEventId> = (0..3).map(|_| catalogue.ids.make()).collect();
    let entries: Vec<Entry> = ids.iter().map(|id| entry(*id)).collect();
    audit::insert(&mut catalogue.store.connection().await.unwrap(), &entries).await.unwrap();
    let more = [entries.clone(), vec![entry(catalogue.ids.make())]].concat();
    audit::insert_missing(&mut catalogue.store.connection().await.unwrap(), &more, 60.0).await.unwrap();
    assert_eq!(events(&catalogue, Filter::default()).await.len(), 4, "a repeat adds only what is missing");
    for statement in
        ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"]
    {
        let refused = sqlx::query(statement).execute(&mut *catalogue.begin().await).await.unwrap_err();
        assert!(refused.to_string().contains("append only"), "{statement}: {refused}");
    }
    catalogue
        .execute(
            "INSERT INTO audit_events (at, id, action, outcome)
             SELECT now() - make_interval(days => day), gen_random_uuid(), 'signIn', 'done'
             FROM generate_series(20, 40) AS day",
            &[],
        )
        .await;
    let mut transaction = catalogue.begin().await;
    let before = callboard::clock::now() - chrono::Duration::days(35);
    assert_eq!(audit::delete_old(&mut transaction, before, 4).await.unwrap(), 4);
    assert_eq!(audit::delete_old(&mut transaction, before, 4).await.unwrap(), 2);
    transaction.commit().await.unwrap();
    assert_eq!(events(&catalogue, Filter::default()).await.len(), 19);
    let young = callboard::clock::now() - chrono::Duration::days(25);
    let refused = audit::delete_old(&mut *catalogue.begin().await, young, 100).await.unwrap_err();
    assert!(refused.to_string().contains("append only"), "{refused}");
}

#[tokio::test]
async fn a_change_whose_entry_cannot_be_written_does_not_happen() {
    let catalogue = catalogue().await;
    catalogue
        .execute("ALTER TABLE audit_events ADD CONSTRAINT no_room CHECK (action <> 'serviceCreate')", &[])
        .await;
    assert!(
        catalogue
            .service_create(ServiceCreate { name: "s".into(), ..ServiceCreate::default() })
            .await
            .is_err()
    );
    assert_eq!(catalogue.value::<i64>("SELECT count(*) FROM services").await, 0);
    catalogue.profile("p").await;
}

#[tokio::test]
async fn lists_and_replaced_secrets_of_a_profile_are_shown_before_and_after() {
    let catalogue = catalogue().await;
    let (one, other) = (catalogue.service("a").await, catalogue.service("b").await);
    let proxy = catalogue.proxy_create(a_proxy("exit")).await.unwrap().id;
    let profile = catalogue.profile_create(ProfileCreate { service_ids: vec![one], ..a_profile("me") }).await;
    let id = profile.unwrap().id;
    let secret = |value: &str| vec![SecretInput { name: "pw".into(), value: value.into(), expires_at: None }];
    let services = |ids: &[_]| ProfileChanges { service_ids: Patch::Set(ids.to_vec()), ..Default::default() };
    let secrets = |value: &str| ProfileChanges { secrets: secret(value), ..Default::default() };
    let cases = [
        (services(&[one, other]), json!({ "serviceIds": [one] }), json!({ "serviceIds": [one, other] })),
        (
            services(&[other, one]),
            json!({ "serviceIds": [one, other] }),
            json!({ "serviceIds": [other, one] }),
        ),
        (
            ProfileChanges { proxy_ids: Patch::Set(vec![proxy]), ..services(&[other, one]) },
            json!({ "proxyIds": [] }),
            json!({ "proxyIds": [proxy] }),
        ),
        (
            ProfileChanges { service_ids: Patch::Clear, ..Default::default() },
            json!({ "serviceIds": [other, one] }),
            json!({ "serviceIds": [] }),
        ),
        (secrets(SECRETS[0]), json!({ "secrets": {} }), json!({ "secrets": { "pw": "***" } })),
        (
            secrets(SECRETS[1]),
            json!({ "secrets": { "pw": "***" } }),
            json!({ "secrets": { "pw": "*** (new)" } }),
        ),
        (
            ProfileChanges { remove_secrets: vec!["pw".into()], ..Default::default() },
            json!({ "secrets": { "pw": "***" } }),
            json!({ "secrets": {} }),
        ),
    ];
    for (changes, before, after) in cases {
        catalogue.profile_update(ProfileUpdate { id, version: None, changes }).await.unwrap();
        let filter = Filter { action: Some("profileUpdate".into()), ..Filter::default() };
        let found = events(&catalogue, filter).await.pop().unwrap();
        assert_eq!((found.before, found.after), (Some(before), Some(after)));
    }
}
