//! Redirects: nothing that may hold a secret crosses to another origin.

use callboard::command::{HttpBuilder, HttpSpec, Redirects};
use serde_json::json;

use crate::{
    call::{DIRECT, TOKEN},
    site::{Reply, Seen, Site},
};

const CODES: [u16; 5] = [301, 302, 303, 307, 308];

/// A site that answers `/` with a redirect to `target` and anything else with what it got.
fn redirecting(status: u16, target: String) -> Site {
    Site::start(move |seen| {
        if seen.target == "/" { Reply::to(status, &target) } else { Reply::of(200, seen.target.clone()) }
    })
}

fn with_secrets(url: &str, method: &str) -> HttpBuilder {
    HttpSpec::builder(url)
        .method(method)
        .header("Authorization", "Bearer {{ services.s.token }}")
        .header("X-Api-Key", "{{ services.s.token }}")
        .header("Private-Token", "{{ services.s.token }}")
        .header("Cookie", "session={{ services.s.token }}")
        .header("Host", "virtual.test")
        .header("Referer", "https://from.test/secret?path")
        .header("Accept", "text/plain")
        .header("Accept-Language", "{{ services.s.token }}")
        .header("User-Agent", "mine/1")
}

#[test]
fn no_secret_crosses_to_another_origin() {
    for status in CODES {
        let other = Site::start(|_| Reply::of(200, "other"));
        let site = redirecting(status, format!("{}/there?x=1", other.url));
        let ended = DIRECT.run(with_secrets(&site.url, "GET"));
        assert_eq!(ended.result()["body"], "other", "{status}");
        let [first] = site.take().try_into().unwrap();
        assert_eq!(first.header("x-api-key"), Some(TOKEN));
        let [seen]: [Seen; 1] = other.take().try_into().unwrap();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/there?x=1"));
        let headers: Vec<(&str, &str)> =
            seen.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            headers,
            [("accept", "text/plain"), ("host", other.address.as_str()), ("user-agent", "mine/1")],
            "{status}"
        );
    }
}

#[test]
fn a_body_never_crosses_to_another_origin() {
    for status in CODES {
        let other = Site::start(|_| Reply::of(200, "other"));
        let site = redirecting(status, format!("{}/there", other.url));
        let ended =
            DIRECT.run(with_secrets(&site.url, "POST").body("the body").header("Content-Type", "text/x"));
        let seen = other.take();
        if matches!(status, 307 | 308) {
            assert_eq!((ended.code(), seen.len()), ("HTTP_STATUS", 0), "{status}");
            assert_eq!(ended.failure()["retryable"], json!(false));
            let why =
                format!("The redirect to {} was not followed, because it would carry the body", other.url);
            assert!(ended.message().contains(&why), "{}", ended.message());
        } else {
            assert_eq!((seen[0].method.as_str(), seen[0].body.len()), ("GET", 0), "{status}");
            assert_eq!((seen[0].header("content-type"), seen[0].header("content-length")), (None, None));
            assert!(!seen[0].whole().contains(TOKEN));
        }
        // Without a body there is nothing to carry.
        let ended = DIRECT.run(with_secrets(&site.url, "DELETE"));
        assert_eq!(ended.result()["body"], "other", "{status}");
        let expected = if status == 303 { "GET" } else { "DELETE" };
        assert_eq!(other.take()[0].method, expected, "{status}");
    }
}

#[test]
fn within_an_origin_everything_goes_along() {
    for status in CODES {
        let site = redirecting(status, "/there".to_owned());
        let ended = DIRECT.run(with_secrets(&site.url, "POST").body("the body"));
        assert_eq!(ended.result()["body"], "/there");
        let [first, second]: [Seen; 2] = site.take().try_into().unwrap();
        let keeps = matches!(status, 307 | 308);
        let expected = if keeps { ("POST", b"the body".as_slice()) } else { ("GET", [].as_slice()) };
        assert_eq!((second.method.as_str(), second.body.as_slice()), expected, "{status}");
        for name in ["authorization", "x-api-key", "cookie", "host", "accept-language"] {
            assert_eq!(second.header(name), first.header(name), "{status} {name}");
        }
    }
}

#[test]
fn what_was_dropped_stays_dropped() {
    let back = Site::start(|_| Reply::of(200, "never"));
    let home = back.url.clone();
    let other = Site::start(move |_| Reply::to(302, format!("{home}/again")));
    let target = other.url.clone();
    let first = Site::start(move |_| Reply::to(302, &target).with("set-cookie", "a=1; Path=/"));
    let ended = DIRECT.run(with_secrets(&first.url, "GET"));
    assert_eq!(ended.result()["body"], "never");
    assert!(!back.take()[0].whole().contains(TOKEN));
    assert_eq!(other.take()[0].header("cookie"), None);
}

#[test]
fn a_command_chooses_what_a_redirect_does() {
    let other = Site::start(|_| Reply::of(200, "other"));
    let there = other.url.clone();
    let site = Site::start(move |seen| match seen.target.as_str() {
        "/near" => Reply::to(302, "/end"),
        "/far" => Reply::to(302, &there),
        _ => Reply::of(200, "end"),
    });
    let spec = |path: &str, redirects| HttpSpec::builder(format!("{}{path}", site.url)).redirects(redirects);
    for (path, redirects, status) in [
        ("/near", Redirects::Follow, 200),
        ("/far", Redirects::Follow, 200),
        ("/near", Redirects::SameOrigin, 200),
        ("/far", Redirects::SameOrigin, 302),
        ("/near", Redirects::None, 302),
        ("/far", Redirects::None, 302),
    ] {
        let ended = DIRECT.run(spec(path, redirects).expect_status(status));
        assert_eq!(ended.result()["status"], status, "{path} {redirects:?}");
        if status == 302 {
            assert_eq!(other.take(), []);
            let ended = DIRECT.run(spec(path, redirects));
            assert!(ended.message().contains("was not followed, because"), "{}", ended.message());
        }
        other.take();
    }
}

#[test]
fn a_cookie_that_a_redirect_sets_is_sent_on_the_next_hop() {
    let site = Site::start(|seen| {
        if seen.target == "/login" {
            Reply::to(302, "/home")
                .with("set-cookie", "sid=1; Path=/; HttpOnly")
                .with("set-cookie", "b=2; Path=/x")
        } else {
            Reply::of(200, "home")
        }
    });
    let url = format!("{}/login", site.url);
    DIRECT.run(HttpSpec::builder(&url).header("Cookie", "given=0; sid=old")).result();
    assert_eq!(site.take()[1].header("cookie"), Some("given=0; sid=1"));
    DIRECT.run(HttpSpec::builder(&url)).result();
    assert_eq!(site.take()[1].header("cookie"), Some("sid=1"));
}

#[test]
fn what_a_redirect_responds_to_is_not_done_again() {
    let refused = format!("http://127.0.0.1:{}/", callboard_test_support::free_port());
    for (method, status, is_done) in [
        ("POST", 301, true),
        ("POST", 302, true),
        ("POST", 303, true),
        ("PATCH", 303, true),
        ("GET", 302, false),
        ("PUT", 303, false),
        ("DELETE", 303, false),
        // The request itself goes on, so that nothing was done.
        ("POST", 307, false),
        ("POST", 308, false),
    ] {
        for target in ["/503", "/429", "/broken", &refused] {
            let there = target.to_owned();
            let site = Site::start(move |seen| match seen.target.as_str() {
                "/" => Reply::to(status, &there),
                "/503" => Reply::of(503, "busy").with("retry-after", "9"),
                "/429" => Reply::of(429, "slow down"),
                _ => Reply::of(200, "short").with("content-length", "99"),
            });
            let ended = DIRECT.run(HttpSpec::builder(&site.url).method(method));
            if target == "/broken" && method != "GET" {
                assert_eq!(ended.result()["isTruncated"], true, "{method} {status}");
                continue;
            }
            assert_eq!(ended.failure()["retryable"], !is_done, "{method} {status} {target}");
            assert_eq!(ended.code() == "REDIRECT", is_done, "{method} {status}: {}", ended.message());
            let start = format!("the {method} got the status {status} and is not sent again");
            assert_eq!(ended.message().starts_with(&start), is_done, "{}", ended.message());
        }
    }
    // A status that no retry would change stays what it is.
    let site = Site::start(|seen| match seen.target.as_str() {
        "/" => Reply::to(303, "/missing"),
        _ => Reply::of(404, "none"),
    });
    assert_eq!(DIRECT.run(HttpSpec::builder(&site.url).method("POST")).code(), "HTTP_STATUS");
}

#[test]
fn the_headers_that_are_dropped_are_named() {
    let other = Site::start(|_| Reply::of(401, "who are you"));
    let site = redirecting(302, other.url.clone());
    let ended = DIRECT.run(with_secrets(&site.url, "GET"));
    let expected =
        format!("The redirect to {}, another origin, was followed without these headers", other.url);
    assert!(ended.output.contains(&expected), "{}", ended.output);
    assert!(ended.output.contains("authorization") && ended.output.contains("x-api-key"), "{}", ended.output);
    assert!(!ended.output.contains(TOKEN));
    let site = redirecting(302, other.url.clone());
    let ended = DIRECT.run(HttpSpec::builder(&site.url).header("Accept", "text/x"));
    assert!(!ended.output.contains("without these headers"), "{}", ended.output);
}

#[test]
fn nothing_about_a_body_stays_without_it() {
    let names = ["Content-Type", "Content-MD5", "Content-Disposition", "Content-Digest", "X-Kept"];
    let site = Site::start(|seen| match seen.target.as_str() {
        "/" => Reply::to(303, "/end"),
        _ => Reply::of(200, ""),
    });
    let spec = HttpSpec::builder(&site.url).method("POST").body("x");
    DIRECT.run(names.iter().fold(spec, |spec, name| spec.header(*name, "a/b"))).result();
    let seen = site.take();
    for name in names {
        let name = name.to_ascii_lowercase();
        assert_eq!(seen[0].header(&name), Some("a/b"));
        assert_eq!(seen[1].header(&name), (name == "x-kept").then_some("a/b"), "{name}");
    }
}

#[test]
fn a_location_is_read_as_browsers_read_it() {
    for (location, target) in [
        ("/plain", "/plain"),
        ("b?c#d", "/a/b?c"),
        ("?q=1", "/a/x?q=1"),
        ("../up", "/up"),
        ("/grüße?ä", "/gr%C3%BC%C3%9Fe?%C3%A4"),
        ("/a b", "/a%20b"),
        ("  /blank  ", "/blank"),
    ] {
        let site = Site::start(move |seen| match seen.target.as_str() {
            "/a/x" => Reply::to(302, location),
            _ => Reply::of(200, ""),
        });
        DIRECT.run(HttpSpec::builder(format!("{}/a/x", site.url))).result();
        assert_eq!(site.take()[1].target, target, "{location}");
    }
    // The credentials that it names are not sent, as with curl.
    let other = Site::start(|_| Reply::of(200, ""));
    let site = redirecting(302, format!("http://u:p@{}/there", other.address));
    DIRECT.run(HttpSpec::builder(&site.url)).result();
    assert_eq!(other.take()[0].header("authorization"), None);
    // An empty one is none.
    let site = redirecting(302, String::new());
    let ended = DIRECT.run(HttpSpec::builder(&site.url).expect_status(302));
    assert_eq!((&ended.result()["status"], site.take().len()), (&json!(302), 1));
}

#[test]
fn redirects_that_cannot_be_followed_are_told() {
    for location in ["file:///etc/passwd", "ftp://h/x", "http://[bad", "http://h/a\tb"] {
        let site = redirecting(302, location.to_owned());
        let ended = DIRECT.run(HttpSpec::builder(&site.url));
        assert_eq!((ended.code(), site.take().len()), ("HTTP_STATUS", 1), "{location}");
        assert!(ended.message().contains("not followed"), "{}", ended.message());
    }
    let site = Site::start(|seen| Reply::to(302, format!("{}x", seen.target)));
    let ended = DIRECT.run(HttpSpec::builder(&site.url));
    assert_eq!((ended.code(), site.take().len()), ("REDIRECT", 11));
    assert_eq!(ended.failure()["retryable"], json!(false));
    // A 304 or a 302 without a target is no redirect.
    let site = Site::start(|_| Reply::of(304, ""));
    assert_eq!(DIRECT.run(HttpSpec::builder(&site.url).expect_status(304)).result()["status"], 304);
}
