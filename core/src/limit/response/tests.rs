//! Tests: every family of headers, as seen in the wild, and malformed ones.

use super::*;

const NOW: i64 = 1_800_000_000; // Fri, 15 Jan 2027 08:00:00 GMT

fn now() -> Time {
    Time::from_timestamp(NOW, 0).unwrap()
}

fn observe(status: u16, headers: &[(&str, &str)], body: Option<&str>) -> Option<Observation> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    ServiceResponse { status, headers: &headers, body, at: now() }.observe()
}

fn after(milliseconds: i64) -> Time {
    now() + chrono::TimeDelta::milliseconds(milliseconds)
}

fn limit(name: &str, limit: i64, remaining: i64, reset_ms: i64) -> Observed {
    let resets_at = Some(after(reset_ms));
    Observed { name: name.into(), limit: Some(limit), remaining: Some(remaining), resets_at }
}

/// Headers as they come over the wire, one a line.
fn expect_limits(what: &str, headers: &str, expected: &[Observed]) {
    let headers: Vec<_> = headers.lines().filter_map(|line| line.trim().split_once(": ")).collect();
    let found = observe(200, &headers, None);
    assert_eq!(found, Some(Observation { limits: expected.to_vec(), closed: None }), "{what}");
}

#[test]
fn a_header_for_each_field() {
    let github = "x-ratelimit-limit: 5000
        x-ratelimit-remaining: 4987
        x-ratelimit-reset: 1800000090
        x-ratelimit-used: 13
        x-ratelimit-resource: core";
    expect_limits("GitHub: seconds since 1970", github, &[limit("core", 5000, 4987, 90_000)]);
    let openai = "x-ratelimit-limit-requests: 60
        x-ratelimit-limit-tokens: 150000
        x-ratelimit-remaining-requests: 59
        x-ratelimit-remaining-tokens: 149984
        x-ratelimit-reset-requests: 1s
        x-ratelimit-reset-tokens: 6m0s";
    let (requests, tokens) = (limit("requests", 60, 59, 1_000), limit("tokens", 150_000, 149_984, 360_000));
    expect_limits("OpenAI: durations as Go writes them", openai, &[requests, tokens]);
    for (reset, milliseconds) in [
        ("1800000090000", 90_000),
        ("30", 30_000),
        ("0.25", 250),
        ("2027-01-15T08:00:20Z", 20_000),
        ("1h2m3.5s", 3_723_500),
        ("7.66s", 7_660),
        ("120ms", 120),
    ] {
        let headers =
            format!("x-rate-limit-limit: 9\nx-rate-limit-remaining: 1\nx-rate-limit-reset: {reset}");
        expect_limits(reset, &headers, &[limit("default", 9, 1, milliseconds)]);
    }
    let named = "x-ratelimit-limit-requests-1h: 60
        x-ratelimit-remaining-requests-1h: 5
        x-ratelimit-reset-requests-1h: 9";
    expect_limits("names with hyphens", named, &[limit("requests-1h", 60, 5, 9_000)]);
    let ahead = "x-ratelimit-limit: 9
        x-ratelimit-remaining: 1
        x-ratelimit-reset: 1800003690
        date: Fri, 15 Jan 2027 09:00:00 GMT";
    expect_limits("a service whose clock is an hour ahead", ahead, &[limit("default", 9, 1, 90_000)]);
}

#[test]
fn families_with_names_of_their_own() {
    let anthropic = "anthropic-ratelimit-requests-limit: 1000
        anthropic-ratelimit-requests-remaining: 999
        anthropic-ratelimit-requests-reset: 2027-01-15T08:00:20Z
        anthropic-ratelimit-input-tokens-limit: 80000
        anthropic-ratelimit-input-tokens-remaining: 79000
        anthropic-ratelimit-input-tokens-reset: 2027-01-15T08:01:00Z";
    let (requests, tokens) =
        (limit("requests", 1000, 999, 20_000), limit("input-tokens", 80_000, 79_000, 60_000));
    expect_limits("Anthropic: the name before the field", anthropic, &[requests, tokens]);
    let discord = "x-ratelimit-limit: 5
        x-ratelimit-remaining: 0
        x-ratelimit-reset: 1800000002.123
        x-ratelimit-reset-after: 2.5
        x-ratelimit-bucket: abcd1234";
    expect_limits("Discord: a bucket, and seconds from now", discord, &[limit("abcd1234", 5, 0, 2_500)]);
    let linear = "x-ratelimit-complexity-limit: 250000
        x-ratelimit-complexity-remaining: 249999
        x-ratelimit-complexity-reset: 1800000030000";
    expect_limits(
        "Linear: milliseconds since 1970",
        linear,
        &[limit("complexity", 250_000, 249_999, 30_000)],
    );
    let x = "x-app-limit-24hour-limit: 50\nx-app-limit-24hour-remaining: 49\nx-app-limit-24hour-reset: 1800000060";
    expect_limits("X: an app's day", x, &[limit("24hour", 50, 49, 60_000)]);
    let atlassian = "x-ratelimit-limit: 9\nx-ratelimit-remaining: 1\nx-ratelimit-reset: 2027-01-15T08:02Z";
    expect_limits("Atlassian: a time without seconds", atlassian, &[limit("default", 9, 1, 120_000)]);
    let bare = |name: &str, limit, remaining| Observed {
        name: name.into(),
        limit,
        remaining: Some(remaining),
        resets_at: None,
    };
    let azure = "x-ms-ratelimit-remaining-subscription-reads: 11999
        x-ms-ratelimit-remaining-resource: Microsoft.Compute/HighCostGet3Min;107,Microsoft.Compute/Get30Min;551";
    let expected = [
        bare("subscription-reads", None, 11_999),
        bare("Microsoft.Compute/HighCostGet3Min", None, 107),
        bare("Microsoft.Compute/Get30Min", None, 551),
    ];
    expect_limits("Azure: what remains", azure, &expected);
    expect_limits(
        "Shopify: used of all",
        "x-shopify-shop-api-call-limit: 32/40",
        &[bare("default", Some(40), 8)],
    );
    expect_limits(
        "Salesforce",
        "sforce-limit-info: api-usage=18/5000",
        &[bare("api-usage", Some(5000), 4982)],
    );
    expect_limits(
        "Zendesk",
        "x-rate-limit: 700\nx-rate-limit-remaining: 699",
        &[bare("default", Some(700), 699)],
    );
    for name in
        ["retry-after", "retry-after-ms", "x-ms-retry-after-ms", "ratelimit", "x-ratelimit-retry-after"]
    {
        assert!(is_limit_header(name), "{name}");
    }
    for name in ["etag", "x-pirate-limits", "x-shopify-stage", "x-retry-afterwards"] {
        assert!(!is_limit_header(name), "{name}");
    }
}

#[test]
fn the_three_drafts_of_rate_limit() {
    let draft_6 = "ratelimit-limit: 100, 100;w=60, 1000;w=3600
        ratelimit-remaining: 50
        ratelimit-reset: 30";
    expect_limits("draft 6 and before", draft_6, &[limit("default", 100, 50, 30_000)]);
    let draft_7 = "ratelimit: limit=100, remaining=50, reset=30
        ratelimit-policy: 100;w=60, 10000;w=86400";
    expect_limits("draft 7: a dictionary", draft_7, &[limit("default", 100, 50, 30_000)]);
    let draft_8 = r#"ratelimit: "burst";r=50;t=30, "daily";r=0;t=7200
        ratelimit-policy: "burst";q=100;w=60,"daily";q=1000;w=86400,"monthly";q=9"#;
    let (burst, daily) = (limit("burst", 100, 50, 30_000), limit("daily", 1000, 0, 7_200_000));
    expect_limits("draft 8 and since: lists of names", draft_8, &[burst.clone(), daily]);
    let tokens = "ratelimit: burst;r=50;t=30\nratelimit-policy: burst;q=100;w=60";
    expect_limits("the same with tokens for names", tokens, &[burst]);
}

#[test]
fn impossible_values_are_ignored() {
    for headers in [
        &[("content-type", "text/html")][..],
        &[("x-ratelimit-limit", "-1"), ("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "-1")],
        &[("x-ratelimit-limit", "0"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "")],
        &[("x-ratelimit-limit", "many"), ("x-ratelimit-remaining", "NaN"), ("x-ratelimit-reset", "inf")],
        &[("x-ratelimit-limit", "1e3"), ("x-ratelimit-remaining", "+4")],
        &[("x-ratelimit-resource", "core"), ("x-ratelimit-used", "3")],
        &[("x-ratelimit-reset", "10")],
        &[("ratelimit", "\"open"), ("ratelimit-policy", ";;;")],
        &[("ratelimit", "(1 2);r=3"), ("ratelimit-policy", "\"daily\";q=5")],
        &[("ratelimit", "remaining=?1")],
        &[("retry-after", "10")],
    ] {
        assert_eq!(observe(200, headers, None), None, "{headers:?}");
    }
    let far = observe(200, &[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "99999999")], None);
    assert_eq!(far.unwrap().limits[0].resets_at, None, "a reset years ahead is ignored");
    let long = "n".repeat(100);
    let named = observe(200, &[(&format!("x-ratelimit-limit-{long}"), "5")], None);
    assert_eq!(named.unwrap().limits[0].name, long[..64]);
    let many: Vec<_> = (0..40).map(|n| (format!("x-ratelimit-limit-{n}"), "5".to_owned())).collect();
    let answer = ServiceResponse { status: 200, headers: &many, body: None, at: now() };
    assert_eq!(answer.observe().unwrap().limits.len(), OBSERVED_MAX);
}

/// Status, headers, body, and the expected result.
type Refusal<'a> = (u16, &'a [(&'a str, &'a str)], Option<&'a str>, Option<Closed>);

#[test]
fn a_refusal_says_how_long_it_lasts() {
    let (until, at_least) =
        (|ms| Closed::Until(after(ms)), |seconds| Closed::AtLeast(Duration::from_secs(seconds)));
    let used_up = [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "90")];
    let secondary = r#"{"message": "You have exceeded a secondary rate limit."}"#;
    let later = r#"{"error": {"code": "rate_limit_exceeded", "message": "Limit 3. Please try again in 41.724s. Visit"}}"#;
    let (discord, telegram) =
        (r#"{"retry_after": 64.5, "global": false}"#, r#"{"parameters": {"retry_after": 35}}"#);
    let google = r#"{"error": {"code": 429, "details": [{"@type": "x"}, {"retryDelay": "34s"}]}}"#;
    let azure = r#"{"error": {"code": "429", "message": "Please retry after 6 seconds."}}"#;
    let cases: [Refusal<'_>; 28] = [
        (429, &[("retry-after", "7")], None, Some(until(7_000))),
        (429, &[("retry-after", "7, 9")], None, Some(until(9_000))),
        (429, &[("retry-after", "0.5")], None, Some(until(500))),
        (429, &[("retry-after", "Fri, 15 Jan 2027 08:00:09 GMT")], None, Some(until(9_000))),
        (429, &[("retry-after", "Friday, 15-Jan-27 08:00:09 GMT")], None, Some(until(9_000))),
        (
            429,
            &[("retry-after", "Fri, 15 Jan 2027 09:00:09 GMT"), ("date", "Fri, 15 Jan 2027 09:00:00 GMT")],
            None,
            Some(until(9_000)),
        ),
        // No time, or none of use.
        (429, &[], None, Some(at_least(1))),
        (429, &[("retry-after", "0")], None, Some(at_least(1))),
        (429, &[("retry-after", "-5")], None, Some(at_least(1))),
        (429, &[("retry-after", "soon")], None, Some(at_least(1))),
        (429, &[("retry-after", "Fri, 15 Jan 2027 07:59:00 GMT")], None, Some(at_least(1))),
        (429, &[("retry-after", "99999999")], None, Some(at_least(1))),
        // GitHub: exhausted until the reset, then secondary limits with and without a time.
        (403, &used_up, None, Some(until(90_000))),
        (429, &used_up, None, Some(until(90_000))),
        (403, &[("retry-after", "120")], Some(secondary), Some(until(120_000))),
        (403, &[("x-ratelimit-remaining", "14")], Some(secondary), Some(at_least(60))),
        (403, &[("x-ratelimit-remaining", "14")], Some(r#"{"message": "Not yours."}"#), None),
        // OpenAI's message, unless a header is exact.
        (429, &[], Some(later), Some(until(41_724))),
        // Milliseconds are more exact.
        (429, &[("retry-after-ms", "1250"), ("retry-after", "2")], None, Some(until(1_250))),
        (429, &[("x-ms-retry-after-ms", "300")], None, Some(until(300))),
        (429, &[("x-rate-limit-retry-after-seconds", "3")], None, Some(until(3_000))),
        (429, &[("retry-after-ms", "soon"), ("retry-after", "2")], None, Some(until(2_000))),
        // Only the body tells.
        (429, &[], Some(discord), Some(until(64_500))),
        (429, &[], Some(telegram), Some(until(35_000))),
        (429, &[], Some(google), Some(until(34_000))),
        (429, &[], Some(azure), Some(until(6_000))),
        (503, &[("retry-after", "30")], None, Some(until(30_000))),
        (503, &[], None, None),
    ];
    for (status, headers, body, expected) in cases {
        let found = observe(status, headers, body).and_then(|observation| observation.closed);
        assert_eq!(found, expected, "{status} {headers:?} {body:?}");
    }
    assert_eq!(observe(200, &used_up, None).unwrap().closed, None, "it answered");
}

#[test]
fn a_wait_is_read_without_a_service() {
    for (status, name, value, expected) in [
        (500, "retry-after", "7", Some(7_000)),
        (502, "retry-after-ms", "1500", Some(1_500)),
        (503, "retry-after", "Fri, 15 Jan 2027 08:00:09 GMT", Some(9_000)),
        (429, "etag", "7", None),
        (429, "retry-after", "Fri, 15 Jan 2027 07:00:09 GMT", None),
    ] {
        let headers = [(name.to_owned(), value.to_owned())];
        let answer = ServiceResponse { status, headers: &headers, body: None, at: now() };
        assert_eq!(wait(&answer), expected.map(Duration::from_millis), "{status} {name}");
    }
}

#[test]
fn an_exhausted_quota_suspends() {
    let body = |code: &str, kind: &str| {
        format!(
            r#"{{"error": {{"code": {code}, "type": {kind}, "message": "You exceeded your current quota."}}}}"#
        )
    };
    let suspended = Some(Closed::Suspended { reason: "You exceeded your current quota.".into() });
    let closed = |status, body: &str| {
        observe(status, &[("retry-after", "1")], Some(body)).and_then(|observation| observation.closed)
    };
    assert_eq!(closed(429, &body("\"insufficient_quota\"", "\"insufficient_quota\"")), suspended);
    assert_eq!(closed(429, &body("null", "\"insufficient_quota\"")), suspended);
    assert_eq!(closed(403, &body("\"project_spend_limit_exceeded\"", "null")), suspended);
    assert_eq!(closed(200, &body("\"insufficient_quota\"", "null")), None, "it answered");
    for other in [&body("\"rate_limit_exceeded\"", "\"requests\""), "{}", "insufficient_quota", "[", ""] {
        assert_eq!(closed(429, other), Some(Closed::Until(after(1_000))), "{other}");
    }
}
