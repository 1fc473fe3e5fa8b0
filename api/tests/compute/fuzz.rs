//! Fuzz targets of what callers bring as texts: it is parsed in time, and nothing panics.

use std::time::{Duration, Instant};

use callboard::{
    ids::{CommandId, JobId, ProfileId},
    schedule::{Cron, Zone},
};
use callboard_test_support::fuzz::fuzz;
use chrono::DateTime;
use proptest::prelude::*;
use serde_json::json;

use crate::{
    grammar::{Dice, template},
    server::TestServer,
};

/// Longest time of one parse, in an unoptimised build on a busy machine.
const ONE_MAX: Duration = Duration::from_secs(1);

/// A text of up to `most` of these parts.
fn text(parts: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(parts), 1..=most).prop_map(|parts| parts.concat())
}

/// Calls `one` with texts, each of which must be done in time.
fn many(parts: &'static [&'static str], most: usize, mut one: impl FnMut(&str)) {
    for given in fuzz(text(parts, most)) {
        let began = Instant::now();
        one(&given);
        assert!(began.elapsed() < ONE_MAX, "{:?}: {given}", began.elapsed());
    }
}

#[test]
fn cron_patterns_are_parsed_and_followed_in_time() {
    const PARTS: [&str; 38] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "29", "30", "31", "59", "*", "*/", "-", ",", " ",
        " ", " ", "  ", "L", "W", "#", "#5", "MON", "FRI", "FEB", "@yearly", "@", "?", "~", "\t", "ä", "+",
        "1L", "15W",
    ];
    let zone = Zone::parse("Europe/Berlin").unwrap();
    let from = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    many(&PARTS, 40, |pattern| {
        if let Ok(cron) = Cron::parse(pattern) {
            let mut at = from;
            for _ in 0..5 {
                let Some(next) = cron.next(&zone, at) else { break };
                assert!(next > at, "{pattern}: {next} is not after {at}");
                at = next;
            }
        }
    });
}

#[test]
fn patterns_that_rarely_or_never_occur_are_followed_in_time() {
    let zone = Zone::parse("America/New_York").unwrap();
    let from = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    for pattern in [
        "0 0 30 2 *",
        "0 0 31 2,4,6,9,11 *",
        "59 59 23 30 2 *",
        "* * 29 2 *",
        "* * * 29 2 *",
        "0 0 29 2 *",
        "0 0 29W 2 *",
        "0 0 * 2 MON#5",
        "* * * 2 MON#5",
        "0 0 31 4 *",
        "* * * 31 4 *",
        "0 0 L 2 *",
        "59 59 23 L 2 SUN#5",
        "0 0 30 2 MON#5",
        "0 0 1-31 2 *",
    ] {
        let began = Instant::now();
        if let Ok(cron) = Cron::parse(pattern) {
            let mut at = from;
            for _ in 0..100 {
                let Some(next) = cron.next(&zone, at) else { break };
                at = next;
            }
        }
        println!("{pattern}: {:?}", began.elapsed());
        assert!(began.elapsed() < 5 * ONE_MAX, "{pattern}: {:?}", began.elapsed());
    }
}

#[test]
fn zones_are_parsed_in_time() {
    many(&["Europe", "/", "Berlin", "UTC", "..", "\0", "ä", " ", "posix", "_", "Etc", "+9"], 20, |name| {
        drop(Zone::parse(name));
    });
}

#[test]
fn ids_read_back_as_themselves_or_not_at_all() {
    const PARTS: [&str; 16] = [
        "job",
        "_",
        "command",
        "profile",
        "0",
        "7",
        "z",
        "01h455vb4pex5vsknk084sn02q",
        "8",
        "O",
        "Z",
        "ä",
        " ",
        "-",
        "\0",
        "=",
    ];
    many(&PARTS, 12, |text| {
        if let Ok(id) = text.parse::<JobId>() {
            assert_eq!(id.to_string(), text);
        }
        if let Ok(id) = text.parse::<CommandId>() {
            assert_eq!(id.to_string(), text);
        }
        if let Ok(id) = text.parse::<ProfileId>() {
            assert_eq!(id.to_string(), text);
        }
    });
}

#[tokio::test]
async fn cursors_and_share_links_are_answered_in_time() {
    const CURSOR: [&str; 11] = ["AA", "eyJ", "==", "_", "-", "x", "0", "9", "MDE", "/", "+"];
    const LINK: [&str; 18] = [
        "http://",
        "socks5://",
        "u",
        ":",
        "@",
        "h",
        "[",
        "]",
        "::1",
        "%",
        "%41",
        "#",
        "/",
        "?",
        "1080",
        "ä",
        "xn--",
        "\t",
    ];
    let server = TestServer::start().await;
    let list = "query($after: String) { jobs(first: 1, after: $after) { nodes { id } } }";
    let import = "mutation($link: String!) { proxyImport(input: { name: \"p\", link: $link }) { userErrors { message } } }";
    let link = prop_oneof![9 => text(&LINK, 20), 1 => text(&LINK, 20_000)];
    for (after, link) in fuzz((text(&CURSOR, 30), link)) {
        let answer = server.ask(list, json!({ "after": after })).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(answer["data"]["jobs"].is_object() || code == "BAD_CURSOR", "{after}: {answer}");
        let answer = server.ask(import, json!({ "link": link })).await;
        assert_eq!(answer.get("errors"), None, "{link}: {answer}");
    }
    server.health().await;
}

#[tokio::test]
async fn templates_are_composed_or_refused_and_the_api_lives() {
    let mut server = TestServer::start().await;
    for seed in fuzz(any::<u64>()) {
        let preview = server.preview(&template(&mut Dice::new(seed))).await.0;
        let is_refused = preview["userErrors"].as_array().is_some_and(|errors| !errors.is_empty());
        assert_ne!(preview["composed"].is_object(), is_refused, "seed {seed}: {preview}");
    }
    assert!(server.is_running(), "the API has died");
}
