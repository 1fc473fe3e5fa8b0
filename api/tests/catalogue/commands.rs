//! Commands: create, read, update, delete, every kind of spec, lines, and every refusal.

use serde_json::{Value, json};

use crate::api::{TestApi, reasons, set};

const ALL: &str = "id name description kind inputSchema queue version createdAt updatedAt
    profile { name } proxy { name } services { name }
    policy { maxAttempts backoff { strategy initial max jitter } timeout grace expiresAfter }
    spec { __typename ... on PlaywrightSpec { script viewport trace video screenshot headless }
        ... on HttpSpec { method url headers body expectStatus redirects }
        ... on ProgramSpec { program arguments environment stdin } }";

/// Creates a command with this spec and returns the stored spec.
async fn spec_of(api: &TestApi, name: &str, spec: Value) -> Value {
    api.mutate_ok("commandCreate", ALL, json!({ "name": name, "spec": spec })).await["spec"].take()
}

/// Returns the reasons why a command with this spec is refused.
async fn refused_spec(api: &TestApi, spec: Value) -> Vec<String> {
    api.refused("commandCreate", json!({ "name": "bad", "spec": spec })).await
}

#[tokio::test]
async fn a_command_reads_back_as_created() {
    let api = TestApi::start().await;
    let (profile, proxy) = (api.create("profile", "p").await, api.create("proxy", "x").await);
    let (first, second) = (api.create("service", "a").await, api.create("service", "b").await);
    let schema = json!({ "type": "object", "properties": { "q": { "type": "string" } }, "required": ["q"] });
    let input = json!({
        "name": "Search", "description": "finds", "inputSchema": schema, "queue": "slow.lane",
        "spec": {
            "http": {
                "method": "POST", "url": "https://{{ input.q }}.test",
                "headers": { "Authorization": "Bearer {{ service_token }}" }, "body": "{}",
                "expectStatus": [200, 404],
            },
        },
        "profileId": profile, "proxyId": proxy, "serviceIds": [second, first],
        "policy": {
            "maxAttempts": 7, "backoff": { "strategy": "LINEAR", "jitter": 0 }, "timeout": "PT90S",
            "expiresAfter": "P1D",
        },
    });
    let created = api.mutate_ok("commandCreate", ALL, input).await;
    assert!(created["id"].as_str().unwrap().starts_with("command_"));
    assert_eq!(
        json!(["kind", "queue", "version"].map(|field| &created[field])),
        json!(["HTTP", "slow.lane", 1])
    );
    assert_eq!(created["inputSchema"], schema);
    assert_eq!((&created["profile"]["name"], &created["proxy"]["name"]), (&json!("p"), &json!("x")));
    assert_eq!(created["services"], json!([{ "name": "b" }, { "name": "a" }]));
    let policy = json!({
        "maxAttempts": 7,
        "backoff": { "strategy": "LINEAR", "initial": "PT1S", "max": "PT5M", "jitter": 0.0 },
        "timeout": "PT1M30S", "grace": "PT5S", "expiresAfter": "P1D",
    });
    assert_eq!(created["policy"], policy);
    let query = format!(
        "query($id: ID!) {{ a: command(id: $id) {{ {ALL} }} b: command(name: \"Search\") {{ {ALL} }}
         c: node(id: $id) {{ ... on Command {{ {ALL} }} }} gone: command(id: \"job_x\") {{ id }} }}"
    );
    let read = api.data(&query, json!({ "id": created["id"] })).await;
    for alias in ["a", "b", "c"] {
        assert_eq!(read[alias], created, "{alias}");
    }
    assert_eq!(read["gone"], Value::Null);
}

#[tokio::test]
async fn every_kind_takes_its_defaults() {
    let api = TestApi::start().await;
    let created = api
        .mutate_ok(
            "commandCreate",
            ALL,
            json!({ "name": "c", "spec": { "http": { "url": "https://a.test" } } }),
        )
        .await;
    assert_eq!((&created["queue"], &created["inputSchema"]), (&json!("default"), &json!({})));
    assert_eq!(
        (&created["policy"]["maxAttempts"], &created["policy"]["expiresAfter"]),
        (&json!(3), &Value::Null)
    );
    let http = json!({
        "__typename": "HttpSpec", "method": "GET", "url": "https://a.test", "headers": {}, "body": null,
        "expectStatus": [], "redirects": "FOLLOW",
    });
    assert_eq!(created["spec"], http);
    let nulls = json!({
        "http": {
            "url": "https://a.test", "method": null, "headers": null, "body": null, "expectStatus": null,
            "redirects": null,
        },
    });
    assert_eq!(spec_of(&api, "nulls", nulls).await, http);
    for redirects in ["FOLLOW", "SAME_ORIGIN", "NONE"] {
        let spec = json!({ "http": { "url": "https://a.test", "redirects": redirects } });
        assert_eq!(spec_of(&api, redirects, spec).await["redirects"], redirects);
    }
    assert_eq!(
        spec_of(&api, "p", json!({ "playwright": { "script": "export default () => {}" } })).await,
        json!({
            "__typename": "PlaywrightSpec", "script": "export default () => {}",
            "viewport": { "width": 1280, "height": 720 }, "trace": "OFF",
            "video": "OFF", "screenshot": "ON_FAILURE", "headless": true,
        })
    );
    let window = json!({ "playwright": { "script": "1", "viewport": null } });
    assert_eq!(spec_of(&api, "window", window).await["viewport"], json!(null));
    let sized = json!({
        "playwright": {
            "script": "1", "viewport": { "width": 800, "height": 600 }, "trace": "ALWAYS", "headless": false,
        },
    });
    let sized = spec_of(&api, "sized", sized).await;
    assert_eq!(
        json!([sized["viewport"], sized["trace"], sized["headless"]]),
        json!([{ "width": 800, "height": 600 }, "ALWAYS", false])
    );
    let program = json!({
        "program": {
            "program": "/usr/bin/env", "arguments": ["{{ input.a }}"],
            "environment": { "T": "{{ service_token }}" }, "stdin": "x",
        },
    });
    assert_eq!(
        spec_of(&api, "e", program).await,
        json!({
            "__typename": "ProgramSpec", "program": "/usr/bin/env", "arguments": ["{{ input.a }}"],
            "environment": { "T": "{{ service_token }}" }, "stdin": "x",
        })
    );
}

#[tokio::test]
async fn a_line_is_parsed_into_a_playwright_or_program_spec() {
    let api = TestApi::start().await;
    let line = "playwright --profile {{ chrome_profile }} --proxy {{ proxy_address }} \
                --service {{ service_token }} --trace always";
    let playwright =
        spec_of(&api, "browse", json!({ "line": { "line": line, "script": "export default 1" } })).await;
    assert_eq!(
        json!([playwright["__typename"], playwright["script"], playwright["trace"]]),
        json!(["PlaywrightSpec", "export default 1", "ALWAYS"])
    );

    let line = "env 'two words' {{ input.q }} --token {{ service_token }} {{ services['my-api'].token }}";
    let program = spec_of(&api, "run", json!({ "line": { "line": line } })).await;
    assert_eq!(program["program"], "/usr/bin/env");
    assert_eq!(
        program["arguments"],
        json!(["two words", "{{ input.q }}", "--token", "$SERVICE_TOKEN", "$SERVICE_MY_API_TOKEN"])
    );
    let environment = json!({
        "SERVICE_TOKEN": "{{ service_token }}", "SERVICE_MY_API_TOKEN": "{{ services['my-api'].token }}",
    });
    assert_eq!(program["environment"], environment);

    for (spec, reason) in [
        (json!({ "line": "" }), "INVALID spec.line.line"),
        (json!({ "line": "no-such-program-here" }), "INVALID spec.line.line"),
        (json!({ "line": "env 'open" }), "INVALID spec.line.line"),
        (json!({ "line": "{{ input.program }}" }), "INVALID spec.line.line"),
        (json!({ "line": "playwright" }), "INVALID spec.line.script"),
        (json!({ "line": "playwright --colour", "script": "1" }), "INVALID spec.line.line"),
        (json!({ "line": "playwright --profile mine", "script": "1" }), "INVALID spec.line.line"),
        (json!({ "line": "env a", "script": "1" }), "INVALID spec.line.script"),
        (json!({ "line": "env {{ service_token | upper }}" }), "INVALID spec.line.line"),
        (json!({ "line": "env {{ input. }}" }), "INVALID spec.line.line"),
    ] {
        assert_eq!(refused_spec(&api, json!({ "line": spec })).await, [reason], "{spec}");
    }
}

#[tokio::test]
async fn an_invalid_spec_is_refused_with_its_path() {
    let api = TestApi::start().await;
    for (spec, expected) in [
        (json!({ "http": { "url": "https://a.test", "headers": [1] } }), vec!["INVALID spec.http.headers"]),
        (
            json!({ "http": { "url": "https://a.test", "headers": { "X": 1, "Y.z": null } } }),
            vec!["INVALID spec.http.headers.X", "INVALID spec.http.headers.Y.z"],
        ),
        (
            json!({ "http": { "url": "a.test", "method": "FETCH", "expectStatus": [200, 70000, -1] } }),
            vec![
                "INVALID spec.http.expectStatus.1",
                "INVALID spec.http.expectStatus.2",
                "INVALID spec.http.method",
                "INVALID spec.http.url",
            ],
        ),
        (
            json!({ "http": { "url": "https://a.test/{{ x", "body": "{% if %}" } }),
            vec!["INVALID spec.http.body", "INVALID spec.http.url"],
        ),
        (json!({ "playwright": { "script": "" } }), vec!["INVALID spec.playwright.script"]),
        (
            json!({ "playwright": { "script": "1", "viewport": { "width": 800 } } }),
            vec!["INVALID spec.playwright.viewport"],
        ),
        (
            json!({ "playwright": { "script": "1", "viewport": { "width": 800, "height": "600" } } }),
            vec!["INVALID spec.playwright.viewport"],
        ),
        (
            json!({ "playwright": { "script": "1", "viewport": { "width": 1, "height": 1, "depth": 1 } } }),
            vec!["INVALID spec.playwright.viewport"],
        ),
        (json!({ "program": { "program": "/opt/tool" } }), vec!["INVALID spec.program.program"]),
        (json!({ "program": { "program": "env" } }), vec!["INVALID spec.program.program"]),
        (
            json!({ "program": { "program": "/usr/bin/env", "environment": { "CALLBOARD_X": "1" } } }),
            vec!["INVALID spec.program.environment.CALLBOARD_X"],
        ),
        (
            json!({ "program": { "program": "/usr/bin/env", "environment": "A=1" } }),
            vec!["INVALID spec.program.environment"],
        ),
        (
            json!({ "program": { "program": "/usr/bin/env", "arguments": vec!["x"; 257] } }),
            vec!["TOO_MANY spec.program.arguments"],
        ),
    ] {
        assert_eq!(
            set(refused_spec(&api, spec.clone()).await.iter().map(String::as_str)),
            set(expected),
            "{spec}"
        );
    }
    let template = json!({
        "name": "t",
        "spec": { "program": { "program": "/usr/bin/env", "arguments": ["fine", "a\nb {{ x y }}"] } },
    });
    let payload = api.mutate("commandCreate", "command { id }", template).await;
    assert_eq!(reasons(&payload["userErrors"]), ["INVALID spec.program.arguments.1"]);
    let message = payload["userErrors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("line 2, column 8: "), "{message}");
    for none_or_two in [json!({}), json!({ "line": { "line": "env" }, "http": { "url": "https://a.test" } })]
    {
        let query = "mutation($s: CommandSpecInput!) {
            commandCreate(input: { name: \"n\", spec: $s }) { command { id } } }";
        let code = api.error(query, json!({ "s": none_or_two })).await;
        assert!(["VALIDATION_FAILED", "BAD_REQUEST"].contains(&code.as_str()), "{code}");
    }
}

#[tokio::test]
async fn all_problems_of_a_command_are_reported_at_once() {
    let api = TestApi::start().await;
    let (profile, service) = (api.create("profile", "p").await, api.create("service", "s").await);
    api.create("command", "taken").await;
    let input = json!({
        "name": "", "description": "x".repeat(2001), "spec": { "http": { "url": "x" } },
        "inputSchema": { "type": "nonsense" },
        "profileId": service, "proxyId": "garbage", "serviceIds": [service, service, profile],
        "queue": "Upper",
        "policy": {
            "maxAttempts": 0, "backoff": { "jitter": 2 }, "timeout": "PT0S", "grace": "P1D",
            "expiresAfter": "PT0S",
        },
    });
    let refused = api.refused("commandCreate", input).await;
    let expected = set([
        "INVALID name",
        "INVALID description",
        "INVALID spec.http.url",
        "INVALID inputSchema.type",
        "NOT_FOUND profileId",
        "NOT_FOUND proxyId",
        "INVALID serviceIds.1",
        "NOT_FOUND serviceIds.2",
        "INVALID queue",
        "INVALID policy.maxAttempts",
        "INVALID policy.backoff.jitter",
        "INVALID policy.timeout",
        "INVALID policy.grace",
        "INVALID policy.expiresAfter",
    ]);
    assert_eq!(set(refused.iter().map(String::as_str)), expected);
    let taken = json!({ "name": "taken", "spec": { "http": { "url": "https://a.test" } } });
    assert_eq!(api.refused("commandCreate", taken).await, ["TAKEN name"]);
    let bad = "mutation { commandCreate(input: {
        name: \"n\", spec: { line: { line: \"env\" } }, policy: { timeout: \"5 minutes\" }
    }) { command { id } } }";
    let (_, response) = api.execute(Some("cb_admin"), bad, json!({})).await;
    assert!(response["errors"][0]["message"].as_str().unwrap().contains("ISO 8601"), "{response}");
}

#[tokio::test]
async fn an_update_keeps_absent_fields_and_clears_null_ones() {
    let api = TestApi::start().await;
    let (profile, proxy, service) =
        (api.create("profile", "p").await, api.create("proxy", "x").await, api.create("service", "s").await);
    let created = json!({
        "name": "c", "description": "d", "spec": { "http": { "url": "https://a.test" } },
        "inputSchema": { "type": "object" },
        "profileId": profile, "proxyId": proxy, "serviceIds": [service], "queue": "q",
        "policy": { "maxAttempts": 5, "grace": "PT1S" },
    });
    let created = api.mutate_ok("commandCreate", ALL, created).await;
    let id = &created["id"];
    assert_eq!(api.mutate_ok("commandUpdate", ALL, json!({ "id": id })).await, created);
    let spec = json!({
        "id": id, "version": 1, "spec": { "line": { "line": "env" } },
        "policy": { "maxAttempts": null, "timeout": "PT9S" },
    });
    let changed = api.mutate_ok("commandUpdate", ALL, spec).await;
    assert_eq!(
        json!([changed["kind"], changed["version"], changed["description"]]),
        json!(["PROGRAM", 2, "d"])
    );
    let policy = &changed["policy"];
    assert_eq!(
        json!([policy["maxAttempts"], policy["grace"], policy["timeout"]]),
        json!([3, "PT1S", "PT9S"])
    );
    let clear = json!({
        "id": id, "description": null, "inputSchema": null, "profileId": null, "proxyId": null,
        "serviceIds": null,
        "queue": null, "policy": null,
    });
    let cleared = api.mutate_ok("commandUpdate", ALL, clear).await;
    let fields =
        ["description", "inputSchema", "profile", "proxy", "services", "queue"].map(|field| &cleared[field]);
    assert_eq!(json!(fields), json!([null, {}, null, null, [], "default"]));
    assert_eq!(cleared["policy"]["grace"], "PT5S");
    let nulls = api.refused("commandUpdate", json!({ "id": id, "name": null, "spec": null })).await;
    assert_eq!(set(nulls.iter().map(String::as_str)), set(["INVALID name", "INVALID spec"]));
    let stale = json!({ "id": id, "version": 2, "name": "x" });
    assert_eq!(api.refused("commandUpdate", stale).await, ["STALE_VERSION version"]);
    assert_eq!(
        api.refused("commandDelete", json!({ "id": id, "version": 2 })).await,
        ["STALE_VERSION version"]
    );
    let deleted = api.mutate("commandDelete", "deletedId", json!({ "id": id, "version": 3 })).await;
    assert_eq!(&deleted["deletedId"], id);
    for gone in [id, &json!(profile), &json!("")] {
        assert_eq!(api.refused("commandDelete", json!({ "id": gone })).await, ["NOT_FOUND id"]);
        assert_eq!(api.refused("commandUpdate", json!({ "id": gone, "name": "y" })).await, ["NOT_FOUND id"]);
    }
}
