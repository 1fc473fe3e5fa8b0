//! `commandPreview`: composed commands, refusals, masked secrets, and agreement with jobEnqueue.

use callboard::{
    ids::CommandId,
    job::JobRequest,
    steps::{
        Done, StepError,
        enqueue::{context::SubmitContext, submit::submit},
    },
};
use serde_json::{Value, json};

use crate::api::{TestApi, reasons, set};

const TOKEN: &str = "ghp_0123456789abcdef";
const PASSWORD: &str = "correct horse battery staple";
const PIN: &str = "pin-4711-4711";

/// Starts an API with a profile `p` that has two services, a proxy and a secret, and returns the
/// profile's id.
async fn api_with_profile() -> (TestApi, Value) {
    let api = TestApi::start().await;
    let service = json!({
        "name": "github", "baseUrl": "https://api.github.test", "token": TOKEN, "settings": { "org": "acme" },
    });
    let service = api.mutate_ok("serviceCreate", "id", service).await;
    let other = api.create("service", "plain").await;
    let proxy = json!({
        "name": "x", "protocol": "HTTP", "address": "127.0.0.1:3128", "username": "an-odd-user",
        "password": "hush-hush",
    });
    let proxy = api.mutate_ok("proxyCreate", "id", proxy).await;
    let profile = json!({
        "name": "p", "chromeProfilePath": "team/p", "environment": { "LANG": "de" },
        "serviceIds": [other, service["id"]],
        "proxyIds": [proxy["id"]], "secrets": [{ "name": "password", "value": PASSWORD }],
    });
    let mut profile = api.mutate_ok("profileCreate", "id", profile).await;
    (api, profile["id"].take())
}

async fn preview(api: &TestApi, input: Value) -> Value {
    let query = "query($input: CommandPreviewInput!) { commandPreview(input: $input) {
        composed { kind program arguments environment http { method url headers body } display }
        userErrors { code path message } } }";
    api.data(query, json!({ "input": input })).await["commandPreview"].take()
}

async fn composed(api: &TestApi, input: Value) -> Value {
    let mut response = preview(api, input).await;
    assert_eq!(response["userErrors"], json!([]), "{response}");
    response["composed"].take()
}

async fn refused(api: &TestApi, input: Value) -> Vec<String> {
    let response = preview(api, input).await;
    assert_eq!(response["composed"], Value::Null, "{response}");
    reasons(&response["userErrors"])
}

#[tokio::test]
async fn secrets_are_masked_and_everything_else_is_shown() {
    let (api, profile) = api_with_profile().await;
    let schema =
        json!({ "properties": { "pin": { "type": "string", "writeOnly": true }, "n": { "default": 7 } } });
    let headers = json!({
        "Authorization": "Bearer {{ service_token }}", "X-Pin": "{{ input.pin }}",
        "X-Password": "{{ profile.secrets.password }}",
    });
    let spec = json!({
        "http": {
            "url": "{{ services.github.base_url }}/{{ input.n }}?org={{ services.github.settings.org }}",
            "headers": headers,
        },
    });
    let http = composed(
        &api,
        json!({ "spec": spec, "inputSchema": schema, "profileId": profile, "input": { "pin": PIN } }),
    )
    .await;
    assert_eq!(
        (&http["kind"], &http["program"], &http["arguments"]),
        (&json!("HTTP"), &Value::Null, &json!([]))
    );
    assert_eq!(http["http"]["url"], "https://api.github.test/7?org=acme");
    assert_eq!(
        http["http"]["headers"],
        json!({ "Authorization": "Bearer ***", "X-Password": "***", "X-Pin": "***" })
    );

    let line = "env {{ job.id }} {{ chrome_profile }} {{ proxy_address }} --token {{ service_token }}";
    let program = composed(&api, json!({ "spec": { "line": { "line": line } }, "profileId": profile })).await;
    assert_eq!(program["program"], "/usr/bin/env");
    assert_eq!(
        program["arguments"],
        json!(["{job.id}", "team/p", "127.0.0.1:3128", "--token", "$SERVICE_TOKEN"])
    );
    assert_eq!(
        (&program["environment"]["SERVICE_TOKEN"], &program["environment"]["LANG"]),
        (&json!("***"), &json!("de"))
    );
    assert!(program["display"].as_str().unwrap().ends_with("--token $SERVICE_TOKEN"), "{program}");

    let script = json!({ "playwright": { "script": "export default async () => {}" } });
    let playwright =
        composed(&api, json!({ "spec": script, "profileId": profile, "input": { "any": "thing" } })).await;
    assert_eq!(playwright["kind"], "PLAYWRIGHT");
    api.assert_never_returned(&[TOKEN, PASSWORD, PIN, "an-odd-user", "hush-hush"]);
}

#[tokio::test]
async fn a_caller_overrides_the_profile_proxy_and_services_of_a_command() {
    let (api, profile) = api_with_profile().await;
    let other = api.create("proxy", "other").await;
    api.mutate_ok("proxyUpdate", "id", json!({ "id": other, "address": "other.test:1" })).await;
    let spec = json!({
        "program": {
            "program": "/usr/bin/env",
            "arguments": ["{{ proxy_address if proxy else 'direct' }}", "{{ services | length }}"],
        },
    });
    let command = json!({ "name": "c", "spec": spec, "profileId": profile });
    let command = api.mutate_ok("commandCreate", "id", command).await["id"].take();
    let arguments = async |extra: Value| {
        let mut input = json!({ "commandId": command });
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        composed(&api, input).await["arguments"].take()
    };
    assert_eq!(arguments(json!({})).await, json!(["127.0.0.1:3128", "2"]), "the profile's choice");
    assert_eq!(arguments(json!({ "proxyId": other, "serviceIds": [] })).await, json!(["other.test:1", "0"]));
    let bare = api.create("profile", "bare").await;
    assert_eq!(arguments(json!({ "profileId": bare })).await, json!(["direct", "0"]));
    let service = api.create("service", "mine").await;
    api.mutate_ok("commandUpdate", "id", json!({ "id": command, "proxyId": other, "serviceIds": [service] }))
        .await;
    assert_eq!(arguments(json!({})).await, json!(["other.test:1", "1"]), "the command's choice");
}

#[tokio::test]
async fn a_template_that_does_not_compose_is_reported_with_its_path() {
    let (api, profile) = api_with_profile().await;
    let argument =
        |template: &str| json!({ "program": { "program": "/usr/bin/env", "arguments": ["fine", template] } });
    for (template, message) in [
        ("{{ input.missing }}", "line 1, column 4: "),
        ("{{ services.nobody.token }}", "no service nobody"),
        ("{{ service_token }}", "must not be used in"),
        ("{{ input.list }}", "is a list or an object"),
    ] {
        let input = json!({ "spec": argument(template), "profileId": profile, "input": { "list": [] } });
        let response = preview(&api, input).await;
        assert_eq!(
            reasons(&response["userErrors"]),
            ["NOT_COMPOSABLE spec.program.arguments.1"],
            "{template}"
        );
        let text = response["userErrors"][0]["message"].as_str().unwrap();
        assert!(text.contains(message), "{template}: {text}");
    }
    let unknown = preview(&api, json!({ "spec": argument("a\n b {{ inptu.x }}") })).await;
    assert_eq!(reasons(&unknown["userErrors"]), ["INVALID spec.program.arguments.1"]);
    assert!(unknown["userErrors"][0]["message"].as_str().unwrap().starts_with("line 2, column 7: "));
    let malformed =
        refused(&api, json!({ "spec": argument("{{ x y }}"), "inputSchema": { "type": 1 } })).await;
    let expected = set(["INVALID spec.program.arguments.1", "INVALID inputSchema.type"]);
    assert_eq!(set(malformed.iter().map(String::as_str)), expected);
    assert_eq!(
        refused(&api, json!({ "spec": { "program": { "program": "/opt/x" } } })).await,
        ["INVALID spec.program.program"]
    );
    assert_eq!(
        refused(&api, json!({ "spec": { "line": { "line": "" } } })).await,
        ["INVALID spec.line.line"]
    );
    let viewport = json!({ "spec": { "playwright": { "script": "1", "viewport": 7 } } });
    assert_eq!(refused(&api, viewport).await, ["INVALID spec.playwright.viewport"]);
    api.assert_never_returned(&[TOKEN]);
}

#[tokio::test]
async fn invalid_input_and_references_are_reported_at_once() {
    let (api, profile) = api_with_profile().await;
    let service = api.create("service", "s").await;
    let schema = json!({
        "properties": { "age": { "type": "integer" }, "pin": { "writeOnly": true, "minLength": 99 } },
        "required": ["name"],
    });
    let input = json!({
        "spec": { "line": { "line": "env" } }, "inputSchema": schema, "profileId": service,
        "proxyId": "nobody",
        "serviceIds": [service, service, profile], "input": { "age": "old", "pin": PIN },
    });
    let expected = set([
        "NOT_FOUND profileId",
        "NOT_FOUND proxyId",
        "INVALID serviceIds.1",
        "NOT_FOUND serviceIds.2",
        "INVALID input",
        "INVALID input.age",
        "INVALID input.pin",
    ]);
    assert_eq!(set(refused(&api, input).await.iter().map(String::as_str)), expected);
    let list = json!({ "spec": { "line": { "line": "env" } }, "input": [] });
    assert_eq!(refused(&api, list).await, ["INVALID input"]);
    api.assert_never_returned(&[PIN]);
}

#[tokio::test]
async fn a_preview_takes_either_a_command_or_a_spec() {
    let api = TestApi::start().await;
    let (command, spec) = (api.create("command", "c").await, json!({ "line": { "line": "env" } }));
    assert_eq!(refused(&api, json!({})).await, ["INVALID"]);
    assert_eq!(refused(&api, json!({ "commandId": command, "spec": spec })).await, ["INVALID"]);
    assert_eq!(
        refused(&api, json!({ "commandId": command, "inputSchema": {} })).await,
        ["INVALID inputSchema"]
    );
    for unknown in ["", "job_x", "command_01h455vb4pex5vsknk084sn02q"] {
        assert_eq!(refused(&api, json!({ "commandId": unknown })).await, ["NOT_FOUND commandId"]);
    }
}

/// Submits a job request and returns path and message of each refusal, as the API reports them.
async fn refusals_of_submit(
    api: &TestApi,
    context: &SubmitContext,
    request: JobRequest,
) -> Vec<(String, String)> {
    let Done { value: mut results, .. } = submit(context, &[vec![request]], false).await;
    match results.remove(0) {
        Ok(_) => Vec::new(),
        Err(StepError::Refused(refusals)) => {
            refusals.into_iter().map(|refusal| (refusal.path.join("."), refusal.message)).collect()
        }
        Err(error) => panic!("{error} {}", api.catalogue.store.ping().await.is_ok()),
    }
}

#[tokio::test]
async fn a_preview_reports_the_same_refusals_as_enqueuing() {
    // A loop is composed in a process of its own.
    const LOOP: &str = "{% for n in [1] %}{{ services['nobody'].base_url }}{% endfor %}";
    let api = TestApi::start().await;
    let submit = api.submit();
    let schema = json!({ "properties": { "q": { "type": "string" } } });
    for (number, (template, input, paths)) in [
        ("{{ input.q }}", json!({ "q": "fine" }), &[][..]),
        ("{{ input.q }}", json!({}), &["input.q"]),
        ("{{ input.user.name }}", json!({ "user": {} }), &["input.user.name"]),
        ("{{ input.q }}", json!({ "q": 7 }), &["input.q"]),
        ("{{ services.nobody.settings.x }}", json!({}), &["serviceIds"]),
        (LOOP, json!({}), &["serviceIds"]),
        ("{{ service_name }}", json!({}), &["serviceIds"]),
        ("{{ proxy.name }}", json!({}), &["proxyId"]),
        ("{{ proxy_address }}", json!({}), &["proxyId"]),
        ("{{ profile.environment.X }}", json!({}), &["profileId"]),
        ("{{ input.q | int }}", json!({ "q": "x" }), &["commandId.spec.program.arguments.0"]),
    ]
    .into_iter()
    .enumerate()
    {
        let spec = json!({ "program": { "program": "/usr/bin/env", "arguments": [template] } });
        let command = json!({
            "name": format!("c{number}"), "spec": spec, "inputSchema": schema,
        });
        let command = api.mutate_ok("commandCreate", "id", command).await["id"].take();
        let id: CommandId = command.as_str().unwrap().parse().unwrap();
        let own = JobRequest { services: Some(Vec::new()), ..JobRequest::new(id) };
        let request = JobRequest { input: Some(input.clone()), ..own };
        let response = preview(&api, json!({ "commandId": command, "serviceIds": [], "input": input })).await;
        let problems: Vec<(String, String)> = response["userErrors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| {
                let path = error["path"].as_array().unwrap()[1..].iter().map(|part| part.as_str().unwrap());
                (path.collect::<Vec<_>>().join("."), error["message"].as_str().unwrap().to_owned())
            })
            .collect();
        assert_eq!(refusals_of_submit(&api, &submit, request).await, problems, "{template}");
        assert_eq!(problems.is_empty(), response["composed"].is_object(), "{template}");
        let found: Vec<&str> = problems.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(found, paths, "{template}: {problems:?}");
        let names_place = |message: &str| message.starts_with("spec.program.arguments.0, line 1, column ");
        assert!(
            problems.iter().all(|(path, message)| path.starts_with("input.q")
                || path.starts_with("commandId")
                || names_place(message)),
            "{problems:?}"
        );
    }
    let alike = [api.create("service", "a-b").await, api.create("service", "a_b").await];
    let plain = json!({ "name": "plain", "spec": { "line": { "line": "env" } } });
    let plain = api.mutate_ok("commandCreate", "id", plain).await["id"].take();
    let both = json!({ "commandId": plain, "serviceIds": alike });
    assert_eq!(refused(&api, both).await, ["NOT_COMPOSABLE serviceIds"]);
}
