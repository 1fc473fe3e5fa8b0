//! Concurrent requests: the database constraints decide, and their errors become the same refusals
//! as the checks.

use std::sync::Arc;

use callboard::{
    catalogue::{CommandCreate, ProfileChanges, ProfileCreate, ProfileUpdate, ServiceCreate},
    patch::Patch,
    refusal::RefusalCode::{NotFound, StaleVersion, Taken},
};
use uuid::Uuid;

use crate::database::{a_command, a_profile, a_proxy, catalogue, expected, message, refusals};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_concurrent_creates_with_the_same_name_one_wins() {
    let catalogue = Arc::new(catalogue().await);
    for round in 0..10 {
        let name = format!("n{round}");
        let create = || {
            let (catalogue, name) = (Arc::clone(&catalogue), name.clone());
            tokio::spawn(async move { catalogue.profile_create(a_profile(&name)).await })
        };
        let (one, two) = (create(), create());
        let results = [one.await.unwrap(), two.await.unwrap()];
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1), "round {round}");
        let lost = refusals(lost.into_iter().next().unwrap());
        assert!(lost.iter().all(|(code, _)| *code == Taken), "{lost:?}");
        assert_eq!(lost[0].1, "name");
    }
}

/// The checks do not see an uncommitted row, so only the constraint can refuse the name.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_taken_between_check_and_write_is_refused_by_the_constraint() {
    let catalogue = Arc::new(catalogue().await);
    let others = [
        ("INSERT INTO profiles (id, name, chrome_profile_path) VALUES ($1, 'n', 'elsewhere')", "name"),
        (
            "INSERT INTO profiles (id, name, chrome_profile_path) VALUES ($1, 'elsewhere', 'test/n')",
            "chromeProfilePath",
        ),
        ("INSERT INTO services (id, name) VALUES ($1, 'n')", "name"),
        ("INSERT INTO proxies (id, name, protocol, address) VALUES ($1, 'n', 'http', 'h:1')", "name"),
        (
            "WITH version AS (INSERT INTO command_versions VALUES ($1, $1, 1, 'n', 'http', '{}', '{}', '{}'))
             INSERT INTO commands (id, name, version_id) VALUES ($1, 'n', $1)",
            "name",
        ),
    ];
    for (index, (statement, path)) in others.into_iter().enumerate() {
        let mut other = catalogue.begin().await;
        let id: Uuid = catalogue.ids.make();
        sqlx::query(statement).bind(id).execute(&mut *other).await.unwrap();
        let mine = Arc::clone(&catalogue);
        let create = tokio::spawn(async move {
            match index {
                0 | 1 => refusals(mine.profile_create(a_profile("n")).await),
                2 => refusals(
                    mine.service_create(ServiceCreate { name: "n".into(), ..ServiceCreate::default() }).await,
                ),
                3 => refusals(mine.proxy_create(a_proxy("n")).await),
                _ => refusals(mine.command_create(a_command("n")).await),
            }
        });
        catalogue.until_a_lock_is_awaited().await;
        other.commit().await.unwrap();
        assert_eq!(create.await.unwrap(), expected(&[(Taken, path)]), "{statement}");
        if index == 0 {
            catalogue.execute("DELETE FROM profiles WHERE id = $1", &[id]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_to_a_name_just_taken_is_refused_by_the_constraint() {
    let catalogue = Arc::new(catalogue().await);
    let (one, two) = (catalogue.profile("one").await, catalogue.profile("two").await);
    let mut other = catalogue.begin().await;
    sqlx::query("UPDATE profiles SET name = 'n' WHERE id = $1")
        .bind(one.uuid())
        .execute(&mut *other)
        .await
        .unwrap();
    let mine = Arc::clone(&catalogue);
    let changes = ProfileChanges { name: Patch::Set("n".into()), ..ProfileChanges::default() };
    let rename =
        tokio::spawn(
            async move { mine.profile_update(ProfileUpdate { id: two, version: None, changes }).await },
        );
    catalogue.until_a_lock_is_awaited().await;
    other.commit().await.unwrap();
    assert_eq!(refusals(rename.await.unwrap()), expected(&[(Taken, "name")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_concurrent_updates_of_a_version_one_is_stale() {
    let catalogue = Arc::new(catalogue().await);
    let id = catalogue.profile("a").await;
    let update = |text: &'static str| {
        let mine = Arc::clone(&catalogue);
        let changes = ProfileChanges { description: Patch::Set(text.into()), ..ProfileChanges::default() };
        tokio::spawn(
            async move { mine.profile_update(ProfileUpdate { id, version: Some(1), changes }).await },
        )
    };
    let (one, two) = (update("one"), update("two"));
    let results = [one.await.unwrap(), two.await.unwrap()];
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert_eq!(refusals(lost.into_iter().next().unwrap()), expected(&[(StaleVersion, "version")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_waits_for_an_uncommitted_reference_and_names_it() {
    let catalogue = Arc::new(catalogue().await);
    let profile = catalogue.profile("p").await;
    let command = catalogue.command("c").await;
    let mut other = catalogue.begin().await;
    sqlx::query("UPDATE commands SET profile_id = $1 WHERE id = $2")
        .bind(profile.uuid())
        .bind(command.id.uuid())
        .execute(&mut *other)
        .await
        .unwrap();
    let mine = Arc::clone(&catalogue);
    let delete = tokio::spawn(async move { mine.profile_delete(profile, None).await });
    catalogue.until_a_lock_is_awaited().await;
    other.commit().await.unwrap();
    assert_eq!(message(delete.await.unwrap()), "the profile is used by 1 command: `c`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_to_a_row_being_deleted_waits_and_is_not_found() {
    let catalogue = Arc::new(catalogue().await);
    let (profile, proxy) = (catalogue.profile("p").await, catalogue.proxy("x").await);
    let (service, listed) = (catalogue.service("s").await, catalogue.proxy("listed").await);
    let cases = [
        ("DELETE FROM profiles WHERE id = $1", profile.uuid(), "profileId"),
        ("DELETE FROM proxies WHERE id = $1", proxy.uuid(), "proxyId"),
        ("DELETE FROM services WHERE id = $1", service.uuid(), "serviceIds/0"),
        ("DELETE FROM proxies WHERE id = $1", listed.uuid(), "proxyIds/0"),
    ];
    for (index, (statement, id, path)) in cases.into_iter().enumerate() {
        let mut other = catalogue.begin().await;
        sqlx::query(statement).bind(id).execute(&mut *other).await.unwrap();
        let mine = Arc::clone(&catalogue);
        let create = tokio::spawn(async move {
            match index {
                0 => refusals(
                    mine.command_create(CommandCreate { profile_id: Some(profile), ..a_command("c") }).await,
                ),
                1 => refusals(
                    mine.command_create(CommandCreate { proxy_id: Some(proxy), ..a_command("c") }).await,
                ),
                2 => refusals(
                    mine.profile_create(ProfileCreate { service_ids: vec![service], ..a_profile("q") }).await,
                ),
                _ => refusals(
                    mine.profile_create(ProfileCreate { proxy_ids: vec![listed], ..a_profile("q") }).await,
                ),
            }
        });
        catalogue.until_a_lock_is_awaited().await;
        other.commit().await.unwrap();
        assert_eq!(create.await.unwrap(), expected(&[(NotFound, path)]), "{statement}");
    }
}
