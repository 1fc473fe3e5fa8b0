//! Lists: sorted by name, searched, and paged by cursors that stay valid when rows are deleted.

use callboard::{
    catalogue::{ProfileChanges, ProfileCreate, ProfileUpdate},
    patch::Patch,
    profile::Profile,
    store::catalogue::{
        commands,
        name_pages::{NameCursor, NamePage, NamePageRequest, PageEnd},
        profile_relations, profiles, proxies, services,
    },
};

use crate::database::{TestCatalogue, a_profile, catalogue};

fn names(page: &NamePage<Profile>) -> Vec<&str> {
    page.items.iter().map(|profile| profile.name.as_str()).collect()
}

fn cursor(profile: &Profile) -> NameCursor {
    NameCursor { name: profile.name.clone(), id: profile.id.uuid() }
}

async fn page(catalogue: &TestCatalogue, request: &NamePageRequest) -> NamePage<Profile> {
    profiles::page(&mut *catalogue.begin().await, request).await.unwrap()
}

/// The names on a page, whether there are pages before and after it, and the number of matches.
fn shape(page: &NamePage<Profile>) -> (Vec<&str>, bool, bool, i64) {
    (names(page), page.has_previous, page.has_next, page.total)
}

#[tokio::test]
async fn a_list_can_be_paged_from_both_ends() {
    let catalogue = catalogue().await;
    for name in ["c", "a", "e", "b", "d"] {
        catalogue.profile(name).await;
    }
    let first = page(&catalogue, &NamePageRequest::first(2)).await;
    assert_eq!(shape(&first), (vec!["a", "b"], false, true, 5));
    let after = NamePageRequest { after: Some(cursor(&first.items[1])), ..NamePageRequest::first(2) };
    let second = page(&catalogue, &after).await;
    assert_eq!(shape(&second), (vec!["c", "d"], true, true, 5));
    let after = NamePageRequest { after: Some(cursor(&second.items[1])), ..NamePageRequest::first(2) };
    assert_eq!(shape(&page(&catalogue, &after).await), (vec!["e"], true, false, 5));
    let last = NamePageRequest { from: PageEnd::End, ..NamePageRequest::first(2) };
    let last = page(&catalogue, &last).await;
    assert_eq!(shape(&last), (vec!["d", "e"], true, false, 5));
    let before = NamePageRequest {
        before: Some(cursor(&last.items[0])),
        from: PageEnd::End,
        ..NamePageRequest::first(2)
    };
    assert_eq!(shape(&page(&catalogue, &before).await), (vec!["b", "c"], true, true, 5));
    let between = NamePageRequest {
        after: Some(cursor(&first.items[0])),
        before: Some(cursor(&last.items[1])),
        ..NamePageRequest::first(10)
    };
    assert_eq!(shape(&page(&catalogue, &between).await), (vec!["b", "c", "d"], true, true, 5));
    let beyond = NamePageRequest { after: Some(cursor(&last.items[1])), ..NamePageRequest::first(2) };
    assert_eq!(shape(&page(&catalogue, &beyond).await), (vec![], true, false, 5));
}

#[tokio::test]
async fn a_cursor_outlives_its_row_and_its_name() {
    let catalogue = catalogue().await;
    for name in ["a", "b", "c", "d"] {
        catalogue.profile(name).await;
    }
    let first = page(&catalogue, &NamePageRequest::first(2)).await;
    let rest = NamePageRequest { after: Some(cursor(&first.items[1])), ..NamePageRequest::first(5) };
    catalogue.profile_delete(first.items[1].id, None).await.unwrap();
    assert_eq!(shape(&page(&catalogue, &rest).await), (vec!["c", "d"], true, false, 3));
    let rest = NamePageRequest { after: Some(cursor(&first.items[0])), ..NamePageRequest::first(5) };
    let changes = ProfileChanges { name: Patch::Set("z".into()), ..ProfileChanges::default() };
    let rename = ProfileUpdate { id: first.items[0].id, version: None, changes };
    catalogue.profile_update(rename).await.unwrap();
    assert_eq!(shape(&page(&catalogue, &rest).await), (vec!["c", "d", "z"], false, false, 3));
}

#[tokio::test]
async fn a_search_matches_part_of_the_name_in_any_case() {
    let catalogue = catalogue().await;
    for (index, name) in ["Shop 100%", "shop_a", "shopping", "work\\shop", "other"].into_iter().enumerate() {
        let create = ProfileCreate { name: name.into(), ..a_profile(&format!("p{index}")) };
        catalogue.profile_create(create).await.unwrap();
    }
    let search = |text: &str| NamePageRequest { search: Some(text.into()), ..NamePageRequest::first(100) };
    let cases: [(&str, &[&str]); 8] = [
        ("SHOP", &["Shop 100%", "shop_a", "shopping", "work\\shop"]),
        ("0%", &["Shop 100%"]),
        ("%", &["Shop 100%"]),
        ("p_", &["shop_a"]),
        ("k\\s", &["work\\shop"]),
        ("nothing", &[]),
        ("a\0", &[]),
        ("", &["Shop 100%", "other", "shop_a", "shopping", "work\\shop"]),
    ];
    for (text, expected) in cases {
        let page = page(&catalogue, &search(text)).await;
        assert_eq!((names(&page), page.total), (expected.to_vec(), expected.len() as i64), "{text:?}");
    }
    let first = page(&catalogue, &NamePageRequest { limit: 1, ..search("shop") }).await;
    assert_eq!(shape(&first), (vec!["Shop 100%"], false, true, 4), "the total counts matches, not rows");
}

#[tokio::test]
async fn each_kind_has_a_list() {
    let catalogue = catalogue().await;
    for name in ["Bb", "A"] {
        catalogue.service(name).await;
        catalogue.proxy(name).await;
        catalogue.command(name).await;
    }
    let mut reader = catalogue.begin().await;
    let all = NamePageRequest::first(10);
    let backwards =
        NamePageRequest { from: PageEnd::End, search: Some("b".into()), ..NamePageRequest::first(10) };
    let services_all = services::page(&mut reader, &all).await.unwrap();
    let proxies_all = proxies::page(&mut reader, &all).await.unwrap();
    let commands_all = commands::page(&mut reader, &all).await.unwrap();
    let read = [
        services_all.items.iter().map(|each| each.name.clone()).collect::<Vec<_>>(),
        proxies_all.items.iter().map(|each| each.name.clone()).collect(),
        commands_all.items.iter().map(|each| each.name.clone()).collect(),
    ];
    assert!(read.iter().all(|names| names == &["A", "Bb"]), "{read:?}");
    assert_eq!((services_all.total, proxies_all.total, commands_all.total), (2, 2, 2));
    assert_eq!(services::page(&mut reader, &backwards).await.unwrap().items, services_all.items[1..]);
    assert_eq!(proxies::page(&mut reader, &backwards).await.unwrap().items, proxies_all.items[1..]);
    assert_eq!(commands::page(&mut reader, &backwards).await.unwrap().items, commands_all.items[1..]);
}

#[tokio::test]
async fn each_service_and_proxy_has_a_page_of_profiles() {
    let catalogue = catalogue().await;
    let (s1, s2, s3) =
        (catalogue.service("s1").await, catalogue.service("s2").await, catalogue.service("s3").await);
    let proxy = catalogue.proxy("x").await;
    for (name, listed) in [("c", vec![s1, s2]), ("a", vec![s1]), ("b", vec![s2, s1])] {
        let create = ProfileCreate { service_ids: listed, proxy_ids: vec![proxy], ..a_profile(name) };
        catalogue.profile_create(create).await.unwrap();
    }
    let mut reader = catalogue.begin().await;
    let pages = profile_relations::profiles_of_services(&mut reader, &[s1, s2, s3], None, 2).await.unwrap();
    assert_eq!(shape(&pages[&s1]), (vec!["a", "b"], false, true, 3));
    assert_eq!(shape(&pages[&s2]), (vec!["b", "c"], false, false, 2));
    assert!(!pages.contains_key(&s3), "no profile lists it");
    let after = cursor(&pages[&s1].items[1]);
    let pages =
        profile_relations::profiles_of_services(&mut reader, &[s1, s2], Some(&after), 2).await.unwrap();
    assert_eq!(shape(&pages[&s1]), (vec!["c"], true, false, 3));
    assert_eq!(shape(&pages[&s2]), (vec!["c"], true, false, 2));
    let pages =
        profile_relations::profiles_of_proxies(&mut reader, &[proxy], Some(&after), 100).await.unwrap();
    assert_eq!(shape(&pages[&proxy]), (vec!["c"], true, false, 3));
}
