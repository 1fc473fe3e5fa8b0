//! Ingredients of jobs, loaded for a batch.

use callboard::{
    catalogue::{CheckResult, ProfileCreate, ProxyCreate, SecretInput, ServiceCreate},
    clock,
    proxy::HealthStatus,
    secret::Owner,
    store::catalogue::ingredients::{self, Wanted},
};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::database::{a_profile, a_proxy, catalogue};

#[tokio::test]
async fn a_batch_loads_profiles_with_everything_they_list() {
    let catalogue = catalogue().await;
    let (listed, named) = (catalogue.proxy("listed").await, catalogue.proxy("named").await);
    let create =
        ProxyCreate { username: Some("me".into()), password: Some("word".into()), ..a_proxy("signed") };
    let signed = catalogue.proxy_create(create).await.unwrap().id;
    let up = CheckResult::Up { latency_ms: 7, exit_address: None };
    catalogue.proxy_record_check(listed, 1, up).await.unwrap();
    let create = ServiceCreate { name: "s".into(), token: Some("token".into()), ..ServiceCreate::default() };
    let (service, bare) =
        (catalogue.service_create(create).await.unwrap().id, catalogue.service("bare").await);
    let expires_at = Some(clock::now() + std::time::Duration::from_mins(1));
    let create = ProfileCreate {
        environment: Some(json!({ "A": "1" })),
        secrets: vec![
            SecretInput { name: "two".into(), value: "2".into(), expires_at: None },
            SecretInput { name: "one".into(), value: "1".into(), expires_at },
        ],
        service_ids: vec![service],
        proxy_ids: vec![signed, listed],
        ..a_profile("a")
    };
    let profile = catalogue.profile_create(create).await.unwrap();
    let plain = catalogue.profile("plain").await;

    let wanted = Wanted {
        profiles: vec![profile.id, plain, profile.id, catalogue.ids.make()],
        services: vec![bare, catalogue.ids.make()],
        proxies: vec![named, listed],
    };
    let found = ingredients::load(&mut *catalogue.begin().await, &wanted).await.unwrap();
    assert_eq!((found.profiles.len(), found.services.len(), found.proxies.len()), (2, 2, 3));
    let stored = &found.profiles[&profile.id];
    assert_eq!(stored.profile, profile);
    assert_eq!((&stored.services[..], &stored.proxies[..]), (&[service][..], &[signed, listed][..]));
    let secrets: Vec<_> =
        stored.secrets.iter().map(|each| (each.name.as_str(), each.expires_at.is_some())).collect();
    assert_eq!(secrets, [("one", true), ("two", false)]);
    for (secret, value) in stored.secrets.iter().zip(["1", "2"]) {
        let opened =
            catalogue.keyring.open(Owner::ProfileSecret(profile.id, &secret.name), &secret.sealed).unwrap();
        assert_eq!(opened.expose_secret(), value);
    }
    assert!(found.profiles[&plain].secrets.is_empty() && found.profiles[&plain].proxies.is_empty());

    assert_eq!(found.services[&bare].token, None);
    let token = found.services[&service].token.clone().unwrap();
    let opened = catalogue.keyring.open(Owner::ServiceToken(service), &token.sealed).unwrap();
    assert_eq!(opened.expose_secret(), "token");
    let health = &found.proxies[&listed].proxy.health;
    assert_eq!((health.status, health.latency_ms), (HealthStatus::Healthy, Some(7)));
    let password = found.proxies[&signed].credentials.password.clone().unwrap();
    assert_eq!(
        catalogue.keyring.open(Owner::ProxyPassword(signed), &password).unwrap().expose_secret(),
        "word"
    );
    assert!(found.proxies[&signed].proxy.has_credentials && !found.proxies[&named].proxy.has_credentials);
}

#[tokio::test]
async fn an_empty_batch_loads_nothing() {
    let catalogue = catalogue().await;
    let found = ingredients::load(&mut *catalogue.begin().await, &Wanted::default()).await.unwrap();
    assert!(found.profiles.is_empty() && found.services.is_empty() && found.proxies.is_empty());
}
