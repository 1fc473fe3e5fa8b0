//! `proxy_create`, `proxy_import`, `proxy_update`, `proxy_record_check`.

use callboard::{
    catalogue::{CheckResult, ProxyChanges, ProxyCreate, ProxyImport, ProxyUpdate},
    ids::ProxyId,
    patch::Patch,
    proxy::{HealthStatus, ProxyHealth, ProxyProtocol},
    refusal::RefusalCode::{Invalid, NotFound, StaleVersion, Taken},
    secret::Owner,
    store::catalogue::{ingredients, proxies},
};
use secrecy::ExposeSecret as _;

use crate::database::{TestCatalogue, a_proxy, catalogue, expected, message, refusals};

fn update(id: ProxyId, changes: ProxyChanges) -> ProxyUpdate {
    ProxyUpdate { id, version: None, changes }
}

fn import(link: &str) -> ProxyImport {
    ProxyImport { name: None, link: link.into() }
}

/// The user name and password, decrypted.
async fn credentials(catalogue: &TestCatalogue, id: ProxyId) -> (Option<String>, Option<String>) {
    let wanted = ingredients::Wanted { proxies: vec![id], ..ingredients::Wanted::default() };
    let found = ingredients::load(&mut *catalogue.begin().await, &wanted).await.unwrap();
    let sealed = found.proxies[&id].credentials.clone();
    let open = |owner: Owner<'_>, sealed: Option<Vec<u8>>| {
        sealed.map(|sealed| catalogue.keyring.open(owner, &sealed).unwrap().expose_secret().to_owned())
    };
    (open(Owner::ProxyUsername(id), sealed.username), open(Owner::ProxyPassword(id), sealed.password))
}

#[tokio::test]
async fn a_created_proxy_reads_back() {
    let catalogue = catalogue().await;
    let made = catalogue
        .proxy_create(ProxyCreate {
            protocol: ProxyProtocol::Socks5,
            username: Some("me:too".into()),
            password: Some("word".into()),
            ..a_proxy("p")
        })
        .await
        .unwrap();
    assert_eq!((made.protocol, made.address.as_str()), (ProxyProtocol::Socks5, "proxy.example:3128"));
    assert!(made.has_credentials);
    assert_eq!((made.health.clone(), made.version), (ProxyHealth::default(), 1));
    assert_eq!(credentials(&catalogue, made.id).await, (Some("me:too".into()), Some("word".into())));
    let mut reader = catalogue.begin().await;
    assert_eq!(proxies::load(&mut reader, &[made.id]).await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(proxies::load_by_name(&mut reader, &["p".into()]).await.unwrap(), [made]);
    let bare = catalogue.proxy("bare").await;
    assert!(!proxies::load(&mut reader, &[bare]).await.unwrap()[0].has_credentials);
}

#[tokio::test]
async fn all_refusals_are_returned_at_once() {
    let catalogue = catalogue().await;
    catalogue.proxy("p").await;
    let wrong = ProxyCreate {
        address: "proxy.example".into(),
        username: Some("a:b".into()),
        password: Some("x".repeat(256).into()),
        ..a_proxy("p")
    };
    assert_eq!(
        refusals(catalogue.proxy_create(wrong).await),
        expected(&[(Invalid, "address"), (Invalid, "password"), (Invalid, "username"), (Taken, "name")])
    );
    for bad in ["", "a\nb", "a\0"] {
        let wrong = ProxyCreate { username: Some(bad.into()), ..a_proxy("x") };
        assert_eq!(
            refusals(catalogue.proxy_create(wrong).await),
            expected(&[(Invalid, "username")]),
            "{bad:?}"
        );
    }
    let alone = ProxyCreate { password: Some("word".into()), ..a_proxy("\n") };
    assert_eq!(
        refusals(catalogue.proxy_create(alone).await),
        expected(&[(Invalid, "password"), (Invalid, "name")])
    );
}

#[tokio::test]
async fn user_name_and_password_are_kept_cleared_and_set_separately() {
    let catalogue = catalogue().await;
    let create = ProxyCreate { username: Some("me".into()), password: Some("word".into()), ..a_proxy("p") };
    let id = catalogue.proxy_create(create).await.unwrap().id;
    let change = |username, password| {
        catalogue.proxy_update(update(id, ProxyChanges { username, password, ..ProxyChanges::default() }))
    };
    assert_eq!(change(Patch::Leave, Patch::Leave).await.unwrap().version, 1, "nothing changed");
    assert_eq!(refusals(change(Patch::Clear, Patch::Leave).await), expected(&[(Invalid, "password")]));
    assert_eq!(change(Patch::Leave, Patch::Set("other".into())).await.unwrap().version, 2);
    assert_eq!(credentials(&catalogue, id).await, (Some("me".into()), Some("other".into())));
    assert!(change(Patch::Leave, Patch::Clear).await.unwrap().has_credentials, "the user name is kept");
    assert!(!change(Patch::Clear, Patch::Clear).await.unwrap().has_credentials);
    assert_eq!(
        refusals(change(Patch::Leave, Patch::Set("x".into())).await),
        expected(&[(Invalid, "password")])
    );
}

#[tokio::test]
async fn an_update_keeps_and_sets_fields() {
    let catalogue = catalogue().await;
    let made = catalogue.proxy_create(a_proxy("p")).await.unwrap();
    catalogue.proxy("q").await;
    let renamed = ProxyChanges { name: Patch::Set("r".into()), ..ProxyChanges::default() };
    let updated = catalogue.proxy_update(update(made.id, renamed)).await.unwrap();
    assert!(updated.updated_at > made.updated_at);
    assert_eq!((updated.name.as_str(), updated.address, updated.version), ("r", made.address, 2));
    let wrong = ProxyUpdate {
        version: Some(1),
        ..update(
            made.id,
            ProxyChanges { name: Patch::Set("q".into()), address: Patch::Clear, ..ProxyChanges::default() },
        )
    };
    assert_eq!(
        refusals(catalogue.proxy_update(wrong).await),
        expected(&[(StaleVersion, "version"), (Invalid, "address"), (Taken, "name")])
    );
    let unknown = update(catalogue.ids.make(), ProxyChanges::default());
    assert_eq!(refusals(catalogue.proxy_update(unknown).await), expected(&[(NotFound, "id")]));
}

#[tokio::test]
async fn a_link_is_imported() {
    let catalogue = catalogue().await;
    let made = catalogue.proxy_import(import("socks5://me:w%40rd@[2001:db8::1]:1080#Home")).await.unwrap();
    assert_eq!((made.name.as_str(), made.protocol), ("Home", ProxyProtocol::Socks5));
    assert_eq!((made.address.as_str(), made.has_credentials), ("[2001:db8::1]:1080", true));
    assert_eq!(credentials(&catalogue, made.id).await, (Some("me".into()), Some("w@rd".into())));
    let plain = catalogue.proxy_import(import("http://proxy.example:80")).await.unwrap();
    assert_eq!((plain.name.as_str(), plain.has_credentials), ("proxy.example:80", false));
    let named = ProxyImport { name: Some("Mine".into()), ..import("https://proxy.example:443#Theirs") };
    assert_eq!(catalogue.proxy_import(named).await.unwrap().name, "Mine");

    assert_eq!(
        refusals(catalogue.proxy_import(import("http://h:80#Mine")).await),
        expected(&[(Taken, "name")])
    );
    let reason = message(catalogue.proxy_import(import("vless://secret@h:443")).await);
    assert!(["http://", "https://", "socks5://"].iter().all(|scheme| reason.contains(scheme)), "{reason}");
    assert!(!reason.contains("secret"));
    let wrong = ProxyImport { name: Some(String::new()), ..import("ss://x") };
    assert_eq!(
        refusals(catalogue.proxy_import(wrong).await),
        expected(&[(Invalid, "link"), (Invalid, "name")])
    );
}

#[tokio::test]
async fn a_check_is_recorded_for_the_version_that_was_checked() {
    let catalogue = catalogue().await;
    let id = catalogue.proxy("p").await;
    let up = || CheckResult::Up { latency_ms: 42, exit_address: Some("192.0.2.1".into()) };
    let checked = catalogue.proxy_record_check(id, 1, up()).await.unwrap();
    assert_eq!((checked.health.status, checked.health.latency_ms), (HealthStatus::Healthy, Some(42)));
    assert_eq!(checked.health.exit_address.as_deref(), Some("192.0.2.1"));
    assert!(checked.health.checked_at.is_some());
    assert_eq!(
        (checked.version, checked.updated_at),
        (1, checked.created_at),
        "a check does not change the version"
    );

    let down = CheckResult::Down { failure: format!("refused\0{}", "x".repeat(1000)) };
    let health = catalogue.proxy_record_check(id, 1, down).await.unwrap().health;
    assert_eq!((health.status, health.latency_ms, health.exit_address), (HealthStatus::Down, None, None));
    assert!(health.checked_at > checked.health.checked_at);
    assert_eq!(health.failure.unwrap().len(), 500);

    let renamed = ProxyChanges { name: Patch::Set("q".into()), ..ProxyChanges::default() };
    let kept = catalogue.proxy_update(update(id, renamed)).await.unwrap();
    assert_eq!(kept.health.status, HealthStatus::Down, "the exit is the same");
    let moved = ProxyChanges { address: Patch::Set("other.example:1".into()), ..ProxyChanges::default() };
    let moved = catalogue.proxy_update(update(id, moved)).await.unwrap();
    assert_eq!(moved.health, ProxyHealth::default(), "the health of the new exit is unknown");
    catalogue.proxy_record_check(id, 3, up()).await.unwrap();
    let signed = ProxyChanges { username: Patch::Set("me".into()), ..ProxyChanges::default() };
    assert_eq!(catalogue.proxy_update(update(id, signed)).await.unwrap().health, ProxyHealth::default());

    assert_eq!(
        refusals(catalogue.proxy_record_check(id, 3, up()).await),
        expected(&[(StaleVersion, "version")])
    );
    let unknown = catalogue.ids.make();
    assert_eq!(refusals(catalogue.proxy_record_check(unknown, 1, up()).await), expected(&[(NotFound, "id")]));
}
