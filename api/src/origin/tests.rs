//! Which pages are own, configured and foreign, and where a cookie counts.

use super::*;

#[test]
fn own_and_configured_origins_are_distinguished_from_foreign_ones() {
    let origins = Origins::parse(["https://dash.example.com", " http://localhost:5173/ ", ""]).unwrap();
    for (origin, host, from) in [
        (None, "127.0.0.1:4000", PageOrigin::Own),
        (Some("http://127.0.0.1:4000"), "127.0.0.1:4000", PageOrigin::Own),
        (Some("https://api.example.com"), "api.example.com", PageOrigin::Own),
        (Some("https://dash.example.com"), "127.0.0.1:4000", PageOrigin::Configured),
        (Some("http://localhost:5173"), "127.0.0.1:4000", PageOrigin::Configured),
        (Some("http://localhost:4000"), "127.0.0.1:4000", PageOrigin::Foreign),
        (Some("http://127.0.0.1:4001"), "127.0.0.1:4000", PageOrigin::Foreign),
        (Some("http://dash.example.com"), "127.0.0.1:4000", PageOrigin::Foreign),
        (Some("https://dash.example.com.evil.net"), "127.0.0.1:4000", PageOrigin::Foreign),
        (Some("null"), "127.0.0.1:4000", PageOrigin::Foreign),
        (Some(""), "127.0.0.1:4000", PageOrigin::Foreign),
        (Some("file://"), "", PageOrigin::Foreign),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        assert_eq!(origins.of(&headers, false), from, "{origin:?} at {host}");
    }
    let here = Origins::default().with_loopback();
    for (origin, from) in [
        ("http://127.0.0.1:4000", PageOrigin::Own),
        ("http://localhost:5173", PageOrigin::Configured),
        ("https://localhost", PageOrigin::Configured),
        ("http://dash.localhost:3000", PageOrigin::Configured),
        ("http://127.0.0.1:3000", PageOrigin::Configured),
        ("http://127.1.2.3:3000", PageOrigin::Configured),
        ("http://[::1]:3000", PageOrigin::Configured),
        ("http://localhost.evil.net", PageOrigin::Foreign),
        ("http://notlocalhost:3000", PageOrigin::Foreign),
        ("http://128.0.0.1:3000", PageOrigin::Foreign),
        ("http://192.168.0.1:3000", PageOrigin::Foreign),
        ("ws://localhost:3000", PageOrigin::Foreign),
        ("null", PageOrigin::Foreign),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:4000".parse().unwrap());
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        assert_eq!(here.of(&headers, false), from, "{origin}");
    }
    let public = origins.with_public(&Url::parse("https://callboard.example/base").unwrap());
    for (headers, expected) in [
        (&[][..], true),
        (&[("origin", "http://127.0.0.1:4000")], true),
        (&[("origin", "https://callboard.example")], true),
        (&[("origin", "https://callboard.example"), ("sec-fetch-site", "same-origin")], true),
        (&[("origin", "http://localhost:5173")], false),
        (&[("origin", "http://127.0.0.1:4001")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("origin", "http://127.0.0.1:4000"), ("sec-fetch-site", "cross-site")], false),
    ] {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, "127.0.0.1:4000".parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        assert_eq!(public.cookie_refusal(&map, false).is_none(), expected, "{headers:?}");
    }
    for bad in ["example.com", "*", "https://a.example/path", "null", "file:///x"] {
        assert!(Origins::parse([bad]).is_err(), "{bad}");
    }
}

/// A request with these headers, separated by lines.
fn headers(lines: &str) -> HeaderMap {
    let pairs = lines.lines().map(|line| line.split_once(':').unwrap());
    let named = |name: &str| header::HeaderName::from_bytes(name.as_bytes()).unwrap();
    pairs.map(|(name, value)| (named(name), value.trim().parse().unwrap())).collect()
}

#[test]
fn a_cookie_counts_for_the_address_that_the_browser_has_opened() {
    let plain = Origins::default();
    let development = Origins::parse(["http://localhost:4870"]).unwrap().with_loopback();
    let public = Origins::default().with_public(&Url::parse("https://cb.example/callboard/").unwrap());
    let lists = [("plain", &plain), ("development", &development), ("public", &public)];
    let allowing = |request: &str, is_via_proxy: bool| -> Vec<&str> {
        let headers = headers(request);
        let counts = |list: &&(&str, &Origins)| list.1.cookie_refusal(&headers, is_via_proxy).is_none();
        lists.iter().filter(counts).map(|(name, _)| *name).collect()
    };
    let all = ["plain", "development", "public"];
    // Whatever name the page was opened by, and whatever is listed.
    for host in ["localhost:4870", "127.0.0.1:4870", "[::1]:4870", "127.0.0.2:4870", "cb.test", "a.localhost"]
    {
        for scheme in ["http", "https"] {
            for more in ["", "\nsec-fetch-site: same-origin"] {
                let request = format!("host: {host}\norigin: {scheme}://{host}{more}");
                assert_eq!(allowing(&request, false), all, "{request}");
            }
        }
    }
    // A proxy that asks for another host than the browser: by itself, and as a trusted one.
    let rewritten = "host: 127.0.0.1:4870\norigin: https://cb.example";
    let none: [&str; 0] = [];
    for (headers, direct, trusted) in [
        ("", &["public"][..], &["public"][..]),
        ("x-forwarded-host: cb.example", &["public"], &all),
        ("x-forwarded-host: CB.example:443", &["public"], &all),
        ("x-forwarded-host: evil.example, cb.example", &["public"], &all),
        ("x-forwarded-host: cb.example, evil.example", &["public"], &["public"]),
        ("x-forwarded-host: evil.example\nx-forwarded-host: cb.example", &["public"], &all),
        ("x-forwarded-host: ", &["public"], &["public"]),
        ("forwarded: for=192.0.2.1;host=cb.example;proto=https", &["public"], &all),
        ("forwarded: host=evil.example, for=192.0.2.1; Host=\"cb.example\"", &["public"], &all),
        ("forwarded: host=cb.example, for=192.0.2.1", &["public"], &["public"]),
        ("x-forwarded-host: cb.example\nsec-fetch-site: cross-site", &none, &none),
    ] {
        let request = format!("{rewritten}\n{headers}");
        let request = request.trim_end_matches('\n');
        assert_eq!(allowing(request, false), direct, "{request}");
        assert_eq!(allowing(request, true), trusted, "{request}");
    }
    for foreign in [
        "host: 127.0.0.1:4870\norigin: http://localhost:4870",
        "host: localhost:4870\norigin: http://localhost:5173",
        "host: localhost:4870\norigin: http://localhost:4870.evil.example",
        "host: localhost:4870\norigin: null",
        "host: localhost:4870\norigin: http://localhost:4870\nsec-fetch-site: same-site",
        "host: evil.example\norigin: https://other.example",
        "origin: https://other.example",
    ] {
        assert_eq!(allowing(foreign, false), none, "{foreign}");
    }
}

#[test]
fn an_origin_that_does_not_stand_alone_is_foreign() {
    let plain = Origins::default();
    for foreign in [
        "host: localhost:4870\norigin: http://localhost:4870\norigin: http://evil.example",
        "host: localhost:4870\norigin: http://evil.example\norigin: http://localhost:4870",
        "host: localhost:4870\norigin: http://localhost:4870\norigin: http://localhost:4870",
        "host: localhost:4870\norigin: http://localhost:4870/, http://evil.example",
        "host: localhost:4870\norigin: http://localhost:4870, http://evil.example",
        "host: localhost:4870\norigin: http://localhost:4870 http://evil.example",
        "host: localhost:4870\norigin: http://localhost:4870/path",
        "host: localhost:4870\norigin: http://localhost:4870?x",
        "host: localhost:4870\norigin: http://localhost:4870#x",
        "host: localhost:4870\norigin: http://user@localhost:4870",
        "host: localhost:4870\norigin: http://localhost:4870\nsec-fetch-site: same-origin, cross-site",
    ] {
        let headers = headers(foreign);
        assert!(plain.cookie_refusal(&headers, false).is_some(), "{foreign}");
        let is_own_page = foreign.contains("sec-fetch-site");
        assert_eq!(plain.allow_socket(&headers, false), is_own_page, "{foreign}");
    }
    // What a proxy has added cannot be hidden by what its client wrote.
    let counts = |name: &'static str, value: &[u8]| {
        let mut map = headers("host: 127.0.0.1:4870\norigin: https://cb.example");
        map.append(name, HeaderValue::from_bytes(value).unwrap());
        plain.cookie_refusal(&map, true).is_none()
    };
    assert!(counts("x-forwarded-host", b"\xff, cb.example"));
    assert!(!counts("x-forwarded-host", b"cb.example, \xff"));
    assert!(counts("forwarded", b"host=\xff, host=cb.example"));
}

#[test]
fn a_refused_cookie_says_which_page_was_expected_and_what_to_set() {
    let plain = Origins::default();
    let public = Origins::default().with_public(&Url::parse("https://cb.example").unwrap());
    for (origins, is_via_proxy, request, parts) in [
        (
            &plain,
            false,
            "host: 127.0.0.1:4870\norigin: http://localhost:4870",
            &[
                "this page is of http://localhost:4870",
                "Open http://127.0.0.1:4870",
                "CALLBOARD_PUBLIC_URL to http://localhost:4870",
            ][..],
        ),
        (
            &plain,
            true,
            "host: 127.0.0.1:4870\nx-forwarded-host: in.example\nx-forwarded-proto: https\norigin: null",
            &["this page is of null", "pages of https://in.example"],
        ),
        // The scheme of another page says nothing of this address.
        (&plain, false, "host: a\norigin: https://b", &["pages of http://a,", "of https://b."]),
        (&public, false, "host: a\norigin: http://b", &["pages of https://cb.example", "of http://b"]),
        (&plain, false, "host: a\nsec-fetch-site: same-site", &["pages of http://a", "same-site"]),
        (&plain, false, "origin: http://b", &["this server's address"]),
    ] {
        let why = origins.cookie_refusal(&headers(request), is_via_proxy).unwrap();
        for part in parts {
            assert!(why.contains(part), "{request}: {why}");
        }
    }
}
