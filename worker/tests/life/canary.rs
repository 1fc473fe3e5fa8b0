//! Twenty secrets in every place that takes one, printed in every spelling by every kind of job,
//! and then looked for everywhere: the database, Redis, logs, GraphQL, streams, command lines,
//! artifacts, temporary directories and metrics.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use callboard_test_support::{Database, free_port, private_redis, redis_monitor};
use serde_json::{Value, json};

use crate::{
    canary_places::{database, files, redis, watch_command_lines},
    canary_refused::refused,
    needles::Needles,
    system::{API_KEY, PATIENCE, Settings, System},
};

/// Returns a list of every spelling of a text, in JavaScript.
const SPELL: &str = include_str!("spellings.mjs");

/// The secrets, by where they are.
const SECRETS: [(&str, &str); 20] = [
    ("token", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY/slash+x"),
    ("other token", "o7\"Kd2\" & <Fw5> 'Mz9' \\Bt4% 7Hq"),
    ("replaced token", "Wn5Td8Pu1zRk6Xo"),
    ("refreshed token", "Ho2Qe7Mj4bVs9Lc"),
    ("profile replaced", "Yi6Fa3Gk0tNw8Zd"),
    ("profile fresh", "Pr1Xh9Ub5mJe7Qo"),
    ("replaced proxy password", "Cs4Lv8Dy2nKi6Wg"),
    ("profile plain", "Zk3vQw9LrT2mNx8YpB5s"),
    ("profile unicode", "pä8ßQ€uR3-😀-Kj4Lm9"),
    ("profile lines", "Qx7Lk2Vn9Rb4Tz6W\nMw3Hc8Yd5Fj1Gp0S\r\nUe6Oi2Aa9Xs7Dq4Z"),
    ("profile shell", "i's5 $Hq `zd` \"x7\" \\n !v8Kq;|"),
    ("proxy user", "Vb6Nn3Hs0xQ2"),
    ("proxy password", "Jk8:Ty2@Wq/Lz?Ou#Rm5"),
    ("link user", "Rf5Ws1Gd9kUt"),
    ("link password", "Gh7Pl4Sc2mVo"),
    ("input", "Bx2Cv8Ae1wJy"),
    ("input deep", "Lm4Zx9 &Qp=1/Td6"),
    ("input list", "Nt6Ke3Iv8rXb"),
    ("input number", "7391048265"),
    ("schedule", "Yd9Ju5Fn0qCa"),
];

pub(crate) fn secret(name: &str) -> &'static str {
    SECRETS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).unwrap()
}

/// A program that prints every spelling of what it gets, leaves files, and ends with JSON.
const PROGRAM: &str = include_str!("canary-program.mjs");

/// A script that does the same in every way that the runner has.
const SCRIPT: &str = include_str!("canary-script.mjs");

/// What is asked of a job.
const JOB: &str = "query($id: ID!) { job(id: $id) { state input result labels progress { fraction message }
    failure { code message } composed { display environment } waiting { reason explanation }
    log(first: 1000) { nodes { stream text } }
    artifacts { name contentType mayHoldSecrets } events(first: 100) { nodes { kind message } }
    attempts(first: 20) { nodes { outcome signal failure { code message } composed { display environment } } } } }";

const CATALOGUE: &str = "{ services { nodes { name baseUrl settings suspendedReason token { isSet } } }
    profiles { nodes { name environment secrets { name } } }
    proxies { nodes { name address hasCredentials health { status failure } } }
    schedules { nodes { name job { input } } } commands { nodes { name inputSchema } }
    workers { hostname } queues { name } viewer { name role }
    auditEvents(first: 100) { nodes { action message before after } } }";

/// A server whose answers repeat the token that they get, in every spelling and across every cut.
async fn echo(spellings: fn(&str) -> Vec<String>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 16 * 1024];
                let count = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..count]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let line = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
                let token = line.unwrap_or_default().to_owned();
                let status = if path.starts_with("/fail") { "500 Oh" } else { "200 OK" };
                let kind = if path.contains("json") { "application/json" } else { "text/html" };
                let number: usize = path.rsplit('/').next().and_then(|end| end.parse().ok()).unwrap_or(0);
                let all = spellings(&token);
                let one = &all[number % all.len()];
                let body = if path.contains("json") {
                    let quoted: Vec<String> = all.iter().map(|text| json!(text).to_string()).collect();
                    format!("{{\"all\":[{}],\"php\":\"{}\"}}", quoted.join(","), token.replace('/', "\\/"))
                } else {
                    format!("{}{one} {}", "x".repeat(500 - 1 - one.len() / 2), all.join(" "))
                };
                let safe = |text: &str| !text.contains(['\n', '\r']) && text.is_ascii();
                let shown = if safe(one) { one.as_str() } else { "" };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nx-ratelimit-scope: {}{shown}\r\nx-echo: {shown}\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    "x".repeat(1000),
                    body.len()
                );
                drop(stream.write_all(answer.as_bytes()).await);
            });
        }
    });
    url
}

pub(crate) struct Canary {
    pub(crate) system: System,
    database: String,
    /// Ports of the API and of the worker's metrics.
    ports: (u16, u16),
    site: String,
    pub(crate) answers: String,
}

impl Canary {
    async fn start() -> (Self, Vec<String>) {
        let (database, redis) = tokio::join!(Database::create(), private_redis());
        let mut settings = Settings::new(database.url(), redis.url());
        let metrics = free_port();
        settings.set("CALLBOARD_LOG", "debug");
        settings.set("CALLBOARD_WORKER_LISTEN", &format!("127.0.0.1:{metrics}"));
        let master = "8f3d1c5b7a9e2046d8f1b3c5a7e9024668acf13579bdec02ea4c86d1f0b7395e";
        settings.set("CALLBOARD_MASTER_KEY", master);
        let of_url =
            |url: &str| url.split('@').next().and_then(|url| url.rsplit(':').next()).unwrap().to_owned();
        let own = vec![master.to_owned(), of_url(database.url()), of_url(redis.url()), API_KEY.to_owned()];
        let url = database.url().to_owned();
        let ports = (settings.port, metrics);
        let system = System::with(settings, redis, Some(database), 1).await;
        let site = echo(crate::needles::spellings).await;
        (Self { system, database: url, ports, site, answers: String::new() }, own)
    }

    pub(crate) async fn make(&self, mutation: &str, kind: &str, input: Value) -> String {
        self.system.make(mutation, kind, input).await
    }

    /// Everything that a stream of a job sends until it completes, as text.
    async fn stream(&self, query: &str, id: &str) -> String {
        let url = format!("http://127.0.0.1:{}/graphql", self.ports.0);
        let request =
            reqwest::Client::new().post(url).bearer_auth(API_KEY).header("accept", "text/event-stream");
        let request = request.timeout(PATIENCE).json(&json!({ "query": query, "variables": { "id": id } }));
        request.send().await.unwrap().text().await.unwrap()
    }

    /// Runs a job to its end, whatever that is, and keeps everything that the API says of it.
    async fn run(&mut self, input: Value, state: &str) -> Value {
        let id = self.system.enqueue(input).await;
        self.system.until(&id, state, PATIENCE).await;
        for stream in
            ["jobLog(jobId: $id) { lines { text } }", "jobEvents(jobId: $id) { kind message job { result } }"]
        {
            let query = format!("subscription($id: ID!) {{ {stream} }}");
            self.answers.push_str(&self.stream(&query, &id).await);
        }
        let job = self.system.data(JOB, json!({ "id": id })).await["job"].take();
        self.answers.push_str(&job.to_string());
        job
    }
}

#[tokio::test]
async fn no_secret_comes_out_anywhere() {
    let (mut canary, own) = Canary::start().await;
    let needles = Needles::new(SECRETS.iter().map(|(_, value)| *value), own);
    let is_over = Arc::new(AtomicBool::new(false));
    let lines = watch_command_lines(Arc::clone(&is_over));
    let heard = canary.system.home().join("monitor");
    let mut monitor = redis_monitor(&canary.system.redis, fs::File::create(&heard).unwrap());
    let (profile, services, proxies) = catalogue(&canary).await;
    programs(&mut canary, &profile, &services, &proxies).await;
    http(&mut canary, &services, &proxies).await;
    scripts(&mut canary, &profile, &services).await;
    refused(&mut canary, &profile, &services).await;
    let catalogue = canary.system.data(CATALOGUE, json!({})).await;
    canary.answers.push_str(&catalogue.to_string());
    canary.system.until_clean(PATIENCE).await;
    is_over.store(true, Ordering::Relaxed);

    let home = canary.system.home();
    let metrics = async |port: u16| {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap();
        assert_eq!(answer.status(), 200, "{port}");
        answer.text().await.unwrap()
    };
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let places = [
        ("the database", database(&canary.database).await),
        ("Redis", redis(&canary.system.redis)),
        ("what Redis was told", String::from_utf8_lossy(&fs::read(heard).unwrap()).into_owned()),
        ("the logs", fs::read_to_string(home.join("log")).unwrap()),
        ("answers and streams", std::mem::take(&mut canary.answers)),
        ("command lines", lines.join().unwrap().into_iter().collect::<Vec<_>>().join("\n")),
        ("artifacts", files(&home.join("artifacts"))),
        ("temporary directories", files(&home.join("t"))),
        ("metrics of the API", metrics(canary.ports.0).await),
        ("metrics of the worker", metrics(canary.ports.1).await),
    ];
    let mut hits = Vec::new();
    for (place, text) in &places {
        assert!(!text.is_empty() || ["temporary directories"].contains(place), "{place} is empty");
        hits.extend(needles.find(text).into_iter().map(|hit| format!("{place}: {hit}")));
    }
    assert!(hits.is_empty(), "{} hits: {:#?}", hits.len(), &hits[..hits.len().min(40)]);
}

async fn catalogue(canary: &Canary) -> (String, Vec<String>, [String; 2]) {
    let mut services = Vec::new();
    for (name, token) in [("one", "token"), ("two", "other token")] {
        let input = json!({ "name": name, "baseUrl": canary.site, "token": secret(token), "tokenHosts": ["example.test"] });
        services.push(canary.make("serviceCreate", "service", input).await);
    }
    let input = json!({ "name": "three", "token": secret("replaced token"), "tokenHosts": ["example.test"] });
    let three = canary.make("serviceCreate", "service", input).await;
    let refresh = json!({ "id": three, "token": secret("refreshed token") });
    canary.make("serviceTokenRefresh", "service", refresh).await;
    services.push(three);
    let secrets: Vec<Value> = ["replaced", "plain", "unicode", "lines", "shell"]
        .iter()
        .map(|name| json!({ "name": name, "value": secret(&format!("profile {name}")) }))
        .collect();
    let input = json!({ "name": "p", "chromeProfilePath": "p", "secrets": secrets });
    let profile = canary.make("profileCreate", "profile", input).await;
    let fresh = json!([{ "name": "replaced", "value": secret("profile fresh") }]);
    canary.make("profileUpdate", "profile", json!({ "id": profile, "secrets": fresh })).await;
    let address = format!("127.0.0.1:{}", free_port());
    let proxy = json!({ "name": "made", "protocol": "HTTP", "address": address,
        "username": secret("proxy user"), "password": secret("replaced proxy password") });
    let link = format!("socks5://{}:{}@{address}#linked", secret("link user"), secret("link password"));
    let made = canary.make("proxyCreate", "proxy", proxy).await;
    let other = json!({ "id": made, "password": secret("proxy password") });
    canary.make("proxyUpdate", "proxy", other).await;
    let proxies = [made, canary.make("proxyImport", "proxy", json!({ "link": link })).await];
    (profile, services, proxies)
}

/// The schema and the input of the jobs that have secrets in it.
fn input(canary: &Canary) -> (Value, Value) {
    let mark = json!({ "writeOnly": true });
    let schema = json!({ "allOf": [{ "properties": { "password": mark, "number": mark } }],
        "properties": { "deep": { "patternProperties": { "^pin$": mark } }, "list": { "items": mark } },
        "dependentSchemas": { "site": { "properties": { "deep": {} } } } });
    let number: u64 = secret("input number").parse().unwrap();
    let input = json!({ "password": secret("input"), "deep": { "pin": secret("input deep") },
        "list": ["x", secret("input list")], "number": number, "site": canary.site });
    (schema, input)
}

async fn programs(canary: &mut Canary, profile: &str, services: &[String], proxies: &[String]) {
    let file = canary.system.home().join("print.mjs");
    fs::write(&file, format!("const spell = {SPELL};\n{PROGRAM}")).unwrap();
    let (schema, input) = input(canary);
    for (how, state) in [("succeed", "SUCCEEDED"), ("fail", "FAILED")] {
        let environment = json!({ "S_1": "{{ services.one.token }}", "S_2": "{{ services.two.token }}",
            "S_3": "{{ profile.secrets.plain }}", "S_4": "{{ profile.secrets.unicode }}",
            "S_5": "{{ profile.secrets.lines }}", "S_6": "{{ profile.secrets.shell }}", "S_7": "{{ input.password }}",
            "S_R": "{{ services.three.token }}", "S_F": "{{ profile.secrets.replaced }}",
            "S_8": "{{ input.deep.pin }}", "S_9": "{{ input.number }}", "S_U": "{{ proxy.username }}",
            "S_P": "{{ proxy.password }}", "S_URL": "{{ proxy.url }}" });
        let spec = json!({ "program": { "program": "/usr/bin/node", "arguments": [file, how],
            "environment": environment } });
        let command =
            json!({ "name": how, "spec": spec, "inputSchema": schema, "policy": { "maxAttempts": 1 } });
        let command = canary.make("commandCreate", "command", command).await;
        for proxy in proxies {
            let job = json!({ "commandId": command, "profileId": profile, "serviceIds": services, "proxyId": proxy,
                "input": input });
            let job = canary.run(job, state).await;
            assert!(job["artifacts"].as_array().unwrap().len() >= 3, "{job:#}");
        }
        if how == "fail" {
            let mut input = input.clone();
            input["password"] = json!(secret("schedule"));
            let schedule = json!({ "name": "s", "cron": "0 0 1 1 *",
                "job": { "commandId": command, "profileId": profile, "serviceIds": services, "proxyId": proxies[0],
                    "input": input } });
            canary.make("scheduleCreate", "schedule", schedule).await;
        }
    }
}

async fn http(canary: &mut Canary, services: &[String], proxies: &[String]) {
    let policy = json!({ "maxAttempts": 1 });
    let header =
        |service: &str| json!({ "Authorization": format!("Bearer {{{{ services.{service}.token }}}}") });
    let spec = json!({ "http": { "url": "{{ input.url }}", "headers": header("one") } });
    let command = json!({ "name": "calls", "spec": spec, "policy": policy });
    let command = canary.make("commandCreate", "command", command).await;
    let job = |url: String| json!({ "commandId": command, "serviceIds": services, "input": { "url": url } });
    for path in ["ok", "json"] {
        canary.run(job(format!("{}/{path}", canary.site)), "SUCCEEDED").await;
    }
    for number in 0..24 {
        canary.run(job(format!("{}/fail/{number}", canary.site)), "FAILED").await;
    }
    for proxy in proxies {
        let mut through = job("http://example.test/".into());
        through["proxyId"] = json!(proxy);
        let id = canary.system.enqueue(through).await;
        callboard_test_support::eventually(PATIENCE, || async {
            let job = canary.system.data(JOB, json!({ "id": id })).await["job"].take();
            (job["attempts"]["nodes"][0]["outcome"] == "THROTTLED").then_some(())
        })
        .await;
        let job = canary.system.data(JOB, json!({ "id": id })).await;
        canary.answers.push_str(&job.to_string());
        canary
            .system
            .data(
                "mutation($id: ID!) { proxyCheck(input: { id: $id }) { proxy { health { failure } } } }",
                json!({ "id": proxy }),
            )
            .await;
        canary
            .system
            .data(
                "mutation($id: ID!) { jobCancel(input: { id: $id }) { job { state } } }",
                json!({ "id": id }),
            )
            .await;
    }
}

async fn scripts(canary: &mut Canary, profile: &str, services: &[String]) {
    let script = format!("const spell = {SPELL};\n{SCRIPT}");
    let (mut schema, input) = input(canary);
    schema["properties"]["fails"] = json!({});
    let command = canary.system.browser("browses", &script, json!({ "maxAttempts": 1 })).await;
    let update =
        "mutation($id: ID!, $schema: JSON!) { commandUpdate(input: { id: $id, inputSchema: $schema }) {
        userErrors { message } } }";
    canary.system.data(update, json!({ "id": command, "schema": schema })).await;
    for (fails, state) in [(false, "SUCCEEDED"), (true, "FAILED")] {
        let mut input = input.clone();
        input["fails"] = json!(fails);
        let job =
            json!({ "commandId": command, "profileId": profile, "serviceIds": services, "input": input });
        let job = canary.run(job, state).await;
        assert_eq!(job["artifacts"].as_array().unwrap().len(), 2, "{job:#}");
    }
    let update =
        "mutation($id: ID!, $spec: CommandSpecInput!) { commandUpdate(input: { id: $id, spec: $spec }) {
        userErrors { message } } }";
    let spec = json!({ "playwright": { "script": script, "screenshot": "ALWAYS", "trace": "ALWAYS", "video": "ALWAYS" } });
    let updated = canary.system.data(update, json!({ "id": command, "spec": spec })).await;
    assert_eq!(updated["commandUpdate"]["userErrors"], json!([]));
    let job = json!({ "commandId": command, "profileId": profile, "serviceIds": services, "input": input });
    let job = canary.run(job, "SUCCEEDED").await;
    // Clients are told of those that are no text, which `files` does not read.
    let mut kinds: Vec<_> = job["artifacts"].as_array().unwrap().iter().collect();
    kinds.retain(|artifact| artifact["mayHoldSecrets"] == true);
    kinds.sort_by_key(|artifact| artifact["contentType"].as_str());
    let kinds: Vec<_> = kinds.iter().map(|artifact| &artifact["contentType"]).collect();
    assert_eq!(kinds, ["application/zip", "image/png", "video/webm"]);
}
