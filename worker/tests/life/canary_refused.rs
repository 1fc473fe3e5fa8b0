//! What the API refuses, with a secret in every place.

use serde_json::json;

use crate::canary::{Canary, secret};

/// Asks for what is refused, with a secret in every place. The log, the audit and the answers must
/// not repeat it.
pub(crate) async fn refused(canary: &mut Canary, profile: &str, services: &[String]) {
    let mark = json!({ "type": "integer", "writeOnly": true });
    let schema = json!({ "properties": { "password": mark, "deep": { "properties": { "pin": mark } } } });
    let spec = json!({ "program": { "program": "/bin/true" } });
    let command = json!({ "name": "refuses", "spec": spec, "inputSchema": schema });
    let command = canary.make("commandCreate", "command", command).await;
    let bad_url = format!("ftp://x:{}@h/", secret("profile plain"));
    let bad_link = format!("vless://{}@h", secret("profile plain"));
    let long = secret("profile plain").repeat(10_000);
    for (mutation, input) in [
        ("jobEnqueue", json!({ "commandId": command, "input": { "password": secret("input") } })),
        ("jobEnqueue", json!({ "commandId": command, "input": { "deep": { "pin": secret("input deep") } } })),
        ("jobEnqueue", json!({ "commandId": command, "profileId": command, "input": { "password": long } })),
        ("jobEnqueue", json!({ "commandId": command, "runAt": secret("input"), "input": {} })),
        ("serviceCreate", json!({ "name": "one", "token": secret("token") })),
        ("serviceCreate", json!({ "name": "bad", "baseUrl": bad_url, "token": secret("token") })),
        ("serviceUpdate", json!({ "id": profile, "token": secret("token") })),
        ("serviceTokenRefresh", json!({ "id": services[0], "token": long })),
        ("profileUpdate", json!({ "id": profile, "secrets": [{ "name": "a b", "value": secret("token") }] })),
        ("proxyImport", json!({ "link": bad_link })),
        (
            "proxyCreate",
            json!({ "name": "bad", "protocol": "HTTP", "address": "x", "username": "u:v",
            "password": secret("proxy password") }),
        ),
    ] {
        let name = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!(
            "mutation($input: {name}!) {{ {mutation}(input: $input) {{ userErrors {{ code message path }} }} }}"
        );
        let answer = canary.system.ask(&query, json!({ "input": input })).await.unwrap();
        let errors = &answer["data"][mutation]["userErrors"];
        let is_refused =
            answer["errors"].is_array() || errors.as_array().is_some_and(|errors| !errors.is_empty());
        assert!(is_refused, "{mutation}: {input} -> {answer}");
        canary.answers.push_str(&answer.to_string());
    }
}
