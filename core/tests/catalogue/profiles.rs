//! `profile_create` and `profile_update`.

use callboard::{
    catalogue::{ProfileChanges, ProfileCreate, ProfileUpdate, SecretInput},
    clock,
    ids::{ProfileId, ProxyId, ServiceId},
    patch::Patch,
    profile::ProxySelection,
    refusal::RefusalCode::{Invalid, NotFound, StaleVersion, Taken, TooMany},
    store::catalogue::{profile_relations, profiles},
};
use serde_json::json;

use crate::database::{a_profile, catalogue, expected, refusals};

fn secret(name: &str, value: &str) -> SecretInput {
    SecretInput { name: name.into(), value: value.into(), expires_at: None }
}

fn update(id: ProfileId, changes: ProfileChanges) -> ProfileUpdate {
    ProfileUpdate { id, version: None, changes }
}

#[tokio::test]
async fn a_created_profile_reads_back_with_its_lists_in_order() {
    let catalogue = catalogue().await;
    let services = [catalogue.service("b").await, catalogue.service("a").await];
    let proxies = [catalogue.proxy("z").await, catalogue.proxy("y").await, catalogue.proxy("x").await];
    let made = catalogue
        .profile_create(ProfileCreate {
            name: "Alice".into(),
            chrome_profile_path: "team/alice".into(),
            description: Some("First".into()),
            labels: vec!["b".into(), "a".into(), "b".into()],
            environment: Some(json!({ "LANG": "de", "_X": "" })),
            secrets: Vec::new(),
            service_ids: services.to_vec(),
            proxy_ids: proxies.to_vec(),
            proxy_selection: ProxySelection::LeastBusy,
            caps: Vec::new(),
        })
        .await
        .unwrap();
    assert_eq!((made.name.as_str(), made.chrome_profile_path.as_str()), ("Alice", "team/alice"));
    assert_eq!(made.description.as_deref(), Some("First"));
    assert_eq!(made.labels, ["a", "b"]);
    assert_eq!(
        made.environment.into_iter().collect::<Vec<_>>(),
        [("LANG".into(), "de".into()), ("_X".into(), String::new())]
    );
    assert_eq!((made.proxy_selection, made.version), (ProxySelection::LeastBusy, 1));
    assert_eq!(made.created_at, made.updated_at);

    let mut reader = catalogue.begin().await;
    let loaded = profiles::load(&mut reader, &[made.id]).await.unwrap();
    assert_eq!(loaded[0].id, made.id);
    assert_eq!(profiles::load_by_name(&mut reader, &["Alice".into(), "x\0".into()]).await.unwrap(), loaded);
    assert_eq!(profile_relations::services(&mut reader, &[made.id]).await.unwrap()[&made.id], services);
    assert_eq!(profile_relations::proxies(&mut reader, &[made.id]).await.unwrap()[&made.id], proxies);
}

#[tokio::test]
async fn all_refusals_are_returned_at_once() {
    let catalogue = catalogue().await;
    let service = catalogue.service("a").await;
    let unknown: (ServiceId, ProxyId) = (catalogue.ids.make(), catalogue.ids.make());
    let expired = SecretInput { expires_at: Some(clock::now()), ..secret("gone", "x") };
    let result = catalogue
        .profile_create(ProfileCreate {
            name: " x".into(),
            chrome_profile_path: "../x".into(),
            description: Some("d".repeat(2001)),
            labels: vec!["ok".into(), String::new()],
            environment: Some(
                json!({ "A.B": "", "CALLBOARD_JOB": "", "N": 1, "L": "x".repeat(32 * 1024 + 1), "Z": "\0" }),
            ),
            secrets: vec![
                secret("1x", "v"),
                secret("a", ""),
                secret("a", "v"),
                expired,
                secret("big", &"x".repeat(65537)),
            ],
            service_ids: vec![service, unknown.0, service],
            proxy_ids: vec![unknown.1],
            proxy_selection: ProxySelection::default(),
            caps: Vec::new(),
        })
        .await;
    let expected = expected(&[
        (Invalid, "description"),
        (Invalid, "labels/1"),
        (Invalid, "environment/A.B"),
        (Invalid, "environment/CALLBOARD_JOB"),
        (Invalid, "environment/N"),
        (Invalid, "environment/L"),
        (Invalid, "environment/Z"),
        (Invalid, "secrets/0/name"),
        (Invalid, "secrets/1/value"),
        (Invalid, "secrets/2/name"),
        (Invalid, "secrets/3/expiresAt"),
        (Invalid, "secrets/4/value"),
        (Invalid, "name"),
        (Invalid, "chromeProfilePath"),
        (NotFound, "serviceIds/1"),
        (Invalid, "serviceIds/2"),
        (NotFound, "proxyIds/0"),
    ]);
    assert_eq!(refusals(result), expected);
    assert_eq!(catalogue.value::<i64>("SELECT count(*) FROM profiles").await, 0);
}

#[tokio::test]
async fn counts_are_bounded() {
    let catalogue = catalogue().await;
    let many = |count: usize| (0..count).map(|n| (format!("V{n}"), json!("")));
    let ids = |count: usize| (0..count).map(|_| catalogue.ids.make()).collect::<Vec<ServiceId>>();
    let create = ProfileCreate { environment: Some(many(100).collect()), ..a_profile("fine") };
    catalogue.profile_create(create).await.unwrap();
    let result = catalogue
        .profile_create(ProfileCreate {
            environment: Some(many(101).collect()),
            secrets: (0..101).map(|n| secret(&format!("s{n}"), "v")).collect(),
            service_ids: ids(101),
            ..a_profile("many")
        })
        .await;
    assert_eq!(
        refusals(result),
        expected(&[(TooMany, "environment"), (TooMany, "secrets"), (TooMany, "serviceIds")])
    );
    let list = ProfileCreate { environment: Some(json!(["A"])), ..a_profile("list") };
    assert_eq!(refusals(catalogue.profile_create(list).await), expected(&[(Invalid, "environment")]));
}

#[tokio::test]
async fn a_name_and_a_directory_belong_to_one_profile() {
    let catalogue = catalogue().await;
    let first = catalogue.profile("a").await;
    let second = catalogue.profile("b").await;
    assert_eq!(
        refusals(catalogue.profile_create(a_profile("a")).await),
        expected(&[(Taken, "name"), (Taken, "chromeProfilePath")])
    );
    let path =
        ProfileChanges { chrome_profile_path: Patch::Set("test/a".into()), ..ProfileChanges::default() };
    assert_eq!(
        refusals(catalogue.profile_update(update(second, path.clone())).await),
        expected(&[(Taken, "chromeProfilePath")])
    );
    catalogue.profile_update(update(first, path)).await.expect("a profile can keep its own directory");
}

#[tokio::test]
async fn an_update_keeps_clears_and_sets_fields() {
    let catalogue = catalogue().await;
    let (service, proxy) = (catalogue.service("s").await, catalogue.proxy("p").await);
    let create = ProfileCreate {
        description: Some("d".into()),
        labels: vec!["l".into()],
        environment: Some(json!({ "A": "1" })),
        service_ids: vec![service],
        proxy_ids: vec![proxy],
        proxy_selection: ProxySelection::RoundRobin,
        ..a_profile("a")
    };
    let made = catalogue.profile_create(create).await.unwrap();

    let renamed = ProfileChanges { name: Patch::Set("b".into()), ..ProfileChanges::default() };
    let updated = catalogue.profile_update(update(made.id, renamed)).await.unwrap();
    assert!(updated.updated_at > made.updated_at);
    let updated_at = updated.updated_at;
    let same = callboard::profile::Profile { name: "b".into(), version: 2, updated_at, ..made.clone() };
    assert_eq!(updated, same, "all other fields are unchanged");

    let cleared = ProfileChanges {
        description: Patch::Clear,
        labels: Patch::Clear,
        environment: Patch::Clear,
        service_ids: Patch::Clear,
        proxy_ids: Patch::Clear,
        proxy_selection: Patch::Clear,
        ..ProfileChanges::default()
    };
    let updated = catalogue.profile_update(update(made.id, cleared)).await.unwrap();
    assert_eq!((updated.description, updated.labels.len(), updated.environment.len()), (None, 0, 0));
    assert_eq!((updated.proxy_selection, updated.version), (ProxySelection::FirstHealthy, 3));
    let mut reader = catalogue.begin().await;
    assert!(profile_relations::services(&mut reader, &[made.id]).await.unwrap().is_empty());
    assert!(profile_relations::proxies(&mut reader, &[made.id]).await.unwrap().is_empty());

    let nothing =
        ProfileChanges { name: Patch::Clear, chrome_profile_path: Patch::Clear, ..ProfileChanges::default() };
    assert_eq!(
        refusals(catalogue.profile_update(update(made.id, nothing)).await),
        expected(&[(Invalid, "name"), (Invalid, "chromeProfilePath")])
    );
}

#[tokio::test]
async fn each_change_raises_the_version_and_is_guarded_by_it() {
    let catalogue = catalogue().await;
    let id = catalogue.profile("a").await;
    let (one, two) = (catalogue.service("one").await, catalogue.service("two").await);
    let describe = |text: &str, version| ProfileUpdate {
        id,
        version,
        changes: ProfileChanges { description: Patch::Set(text.into()), ..ProfileChanges::default() },
    };
    assert_eq!(catalogue.profile_update(describe("x", Some(1))).await.unwrap().version, 2);
    assert_eq!(
        refusals(catalogue.profile_update(describe("y", Some(1))).await),
        expected(&[(StaleVersion, "version")])
    );
    assert_eq!(catalogue.profile_update(describe("x", Some(2))).await.unwrap().version, 2, "nothing changed");
    let list = |ids: &[ServiceId]| {
        update(id, ProfileChanges { service_ids: Patch::Set(ids.to_vec()), ..ProfileChanges::default() })
    };
    assert_eq!(catalogue.profile_update(list(&[one, two])).await.unwrap().version, 3);
    assert_eq!(catalogue.profile_update(list(&[one, two])).await.unwrap().version, 3, "nothing changed");
    assert_eq!(
        catalogue.profile_update(list(&[two, one])).await.unwrap().version,
        4,
        "a new order is a change"
    );

    let worse = ProfileUpdate {
        version: Some(9),
        ..update(id, ProfileChanges { name: Patch::Set(String::new()), ..ProfileChanges::default() })
    };
    assert_eq!(
        refusals(catalogue.profile_update(worse).await),
        expected(&[(StaleVersion, "version"), (Invalid, "name")])
    );
    let unknown = update(catalogue.ids.make(), ProfileChanges::default());
    assert_eq!(refusals(catalogue.profile_update(unknown).await), expected(&[(NotFound, "id")]));
}
