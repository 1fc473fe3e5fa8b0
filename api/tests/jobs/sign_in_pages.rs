//! Sessions of pages: where a cookie counts, and what a socket is told whose sign-in does not.

use callboard::{catalogue::KeyCreate, clock, store::catalogue::api_keys::Role};
use reqwest::header::SET_COOKIE;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    client::WAIT_MAX,
    harness::Harness,
    sign_in::{ENDLESS, VIEWER, cookie},
    visitor::{Answer, Shown, Visitor},
};

#[tokio::test]
async fn a_session_is_a_cookie_that_scripts_and_other_sites_cannot_use() {
    const READ: &str = "{ queues { name } }";
    const WRITE: &str = "mutation { jobsCancel(input: { filter: { ids: [] } }) { affectedCount } }";
    let harness = Harness::new().await;
    let (_, key) = harness.create_key("ann", Role::Operator).await;
    let own = format!("http://{}", harness.address);
    let response = harness.sign_in(Shown::Nothing, &key, &[("origin", &own)]).await;
    let set = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        set.starts_with("callboard=cbs_") && set.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    let text = cookie(response.headers(), "callboard").unwrap();
    let body = response.text().await.unwrap();
    assert!(!body.contains(&text) && !body.contains(&key), "{body}");
    let payload: Value = serde_json::from_str(&body).unwrap();
    let viewer = &payload["data"]["sessionCreate"]["viewer"];
    assert_eq!((&viewer["name"], &viewer["role"]), (&json!("ann"), &json!("OPERATOR")), "{payload}");
    assert_eq!(viewer["isSession"], true);
    assert!(viewer["expiresAt"].is_string());
    let https = harness.sign_in(Shown::Nothing, &key, &[("x-forwarded-proto", "https")]).await;
    let set = https.headers()[SET_COOKIE].to_str().unwrap();
    assert!(set.starts_with("__Host-callboard=cbs_") && set.ends_with("; SameSite=Strict; Secure"), "{set}");

    let client = callboard::startup::http_client!().build().unwrap();
    let send = |method: reqwest::Method, query: &str, headers: &[(&str, &str)]| {
        let mut url: url::Url = format!("http://{}/graphql", harness.address).parse().unwrap();
        let body = json!({ "query": query }).to_string();
        if method == reqwest::Method::GET {
            url.query_pairs_mut().append_pair("query", query);
        }
        let mut request = client.request(method, url).header("cookie", format!("callboard={text}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/json").header("accept", "application/json");
        async move {
            let response = request.body(body).send().await.unwrap();
            (
                response.status(),
                Answer::of(&serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()),
            )
        }
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    let fine = Answer::Codes([].into());
    for headers in [
        &[("origin", own.as_str())][..],
        &[("origin", &own), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "same-origin")],
        &[],
    ] {
        for query in [READ, WRITE] {
            assert_eq!(send(post.clone(), query, headers).await.1, fine, "{headers:?}");
        }
        assert_eq!(send(get.clone(), READ, headers).await.1, fine, "{headers:?}");
        assert_eq!(send(get.clone(), WRITE, headers).await.0, 405, "{headers:?}");
    }
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", &own), ("sec-fetch-site", "cross-site")],
    ] {
        for (method, query) in [(&post, READ), (&post, WRITE), (&get, READ), (&get, WRITE)] {
            let (_, answer) = send(method.clone(), query, headers).await;
            assert!(answer.has("UNAUTHENTICATED"), "{headers:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_session_begins_only_where_its_cookie_counts() {
    const QUEUES: &str = "{ queues { name } }";
    let harness = Harness::new().await;
    let (_, key) = harness.create_key("ann", Role::Viewer).await;
    let own = harness.address.to_string();
    let here = format!("http://{own}");
    for (host, origin, site) in [
        ("localhost:4870", "http://localhost:4870", "same-origin"),
        ("127.0.0.1:4870", "http://127.0.0.1:4870", "none"),
        ("[::1]:4870", "http://[::1]:4870", "same-origin"),
        ("cb.example", "https://cb.example", "same-origin"),
        (&own, "http://localhost:4870", "same-origin"),
        (&own, "https://evil.example", "cross-site"),
        (&own, "null", "cross-site"),
        (&own, &here, "same-site"),
    ] {
        let case = format!("{origin} at {host}, {site}");
        let page = [("host", host), ("origin", origin), ("sec-fetch-site", site)];
        let response = harness.sign_in(Shown::Nothing, &key, &page).await;
        let set = ["callboard", "__Host-callboard"].map(|name| (name, cookie(response.headers(), name)));
        let set = set.into_iter().find_map(|(name, value)| Some(format!("{name}={}", value?)));
        let payload: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let payload = &payload["data"]["sessionCreate"];
        let is_own = origin.ends_with(host) && site != "same-site";
        assert_eq!((set.is_some(), payload["viewer"].is_object()), (is_own, is_own), "{case}: {payload}");
        if !is_own {
            let error = &payload["userErrors"][0];
            assert_eq!((&error["code"], &error["path"]), (&json!("INVALID"), &json!(["input"])), "{case}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(host), "{case}: {message}");
            assert!(message.contains(if site == "same-site" { site } else { origin }), "{case}: {message}");
        }
        // Whether the next request of the same page is signed in is what was said.
        let set = set.unwrap_or_else(|| "callboard=cbs_planted".to_owned());
        for (query, is_open) in [(VIEWER, true), (QUEUES, false)] {
            let mut request = harness.visitor(Shown::Nothing).request(query, &json!({}), "application/json");
            for (name, value) in page.into_iter().chain([("cookie", set.as_str())]) {
                request = request.header(name, value);
            }
            let response: Value =
                serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
            let answer = Answer::of(&response);
            assert_eq!(answer.has("UNAUTHENTICATED"), !is_own && !is_open, "{case}: {response}");
            if !is_own && is_open {
                assert_eq!(response["data"]["viewer"], Value::Null, "{case}");
            }
            if !is_own && !is_open {
                assert!(response.to_string().contains("counts only for pages of"), "{case}: {response}");
            }
        }
    }
}

#[tokio::test]
async fn a_socket_is_closed_for_the_reason_that_a_request_is_given() {
    let harness = Harness::new().await;
    let ends = Some(clock::now() + chrono::Duration::seconds(2));
    let long = "k".repeat(100);
    let (revoked, revoked_text) = harness.create_key(&long, Role::Viewer).await;
    let new = KeyCreate { name: "short".into(), role: Role::Viewer, expires_at: ends };
    let (_, expiring) = harness.keys.key_create(new).await.unwrap();
    let unknown = callboard::api_key::TextKind::Key.draw();
    let session = harness.visitor(Shown::Cookie(harness.open_session(&revoked_text).await));
    let mut open = session.socket().await;
    open.subscribe(ENDLESS, &json!({})).await;
    assert_eq!(open.answer().await, Answer::Codes([].into()));
    harness.keys.key_revoke(revoked).await.unwrap();
    harness.eventually_refused(&revoked_text).await;
    harness.eventually_refused(expiring.expose_secret()).await;
    let message = async |visitor: &Visitor| {
        let response = visitor.respond("{ queues { name } }", &json!({})).await;
        response["errors"][0]["message"].as_str().unwrap().to_owned()
    };
    for (key, part) in [
        (revoked_text.as_str(), "was revoked"),
        (expiring.expose_secret(), "has expired"),
        (unknown.expose_secret(), "is unknown"),
        ("two words", "not an API key"),
    ] {
        let visitor = harness.visitor(Shown::Key(key.to_owned()));
        let why = message(&visitor).await;
        assert!(why.contains(part), "{why}");
        let answer = visitor.over_socket(VIEWER, &json!({})).await;
        let Answer::Closed(4401, reason) = &answer else { panic!("{part}: {answer:?}") };
        let begun = reason.strip_suffix("...").filter(|_| why.len() > 123).unwrap_or(reason);
        assert!(why.starts_with(begun) && reason.len() <= 123, "{reason:?} of {why:?}");
    }
    // A session says what became of it, and a new socket with its cookie is told so as well.
    let end = open.end(WAIT_MAX).await;
    assert!(matches!(&end, Answer::Closed(4401, why) if why.contains("session has ended")), "{end:?}");
    assert!(message(&session).await.contains("was revoked"));
    let mut again = session.socket().await;
    again.subscribe("{ queues { name } }", &json!({})).await;
    assert!(again.answer().await.has("UNAUTHENTICATED"));
}
