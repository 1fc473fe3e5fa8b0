//! The master key is rotated while jobs run, and no process shows it.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    time::Duration,
};

use callboard_test_support::{Child, Database, eventually, private_redis};
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::system::{Asker, PATIENCE, Settings, System};

const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OLD_ID: &str = "630dcd29";
const NEW: &str = "qrvM3e7/ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJk=";
const NEW_ID: &str = "13216bdb";
const JOBS_BEFORE: usize = 3000;
const ENQUEUE: &str = "mutation($input: JobEnqueueInput!) { jobEnqueue(input: $input) {
    job { id } wasDuplicate userErrors { code message } } }";
/// Every column with sealed values, by the key that they name.
const KEYS: &str = "SELECT encode(substr(sealed, 2, 4), 'hex') AS key, count(*) FROM (
    SELECT sealed FROM profile_secrets UNION ALL SELECT token_sealed FROM services
    UNION ALL SELECT username_sealed FROM proxies UNION ALL SELECT password_sealed FROM proxies
    UNION ALL SELECT input_sealed FROM schedules UNION ALL SELECT input_sealed FROM jobs) AS all_of_them
    WHERE sealed IS NOT NULL GROUP BY 1 ORDER BY 1";

impl Settings {
    /// `callboard-api keys rotate-master`, whose output goes to a pipe.
    fn keys(&self) -> Command {
        let mut command = self.api_command(&["keys", "rotate-master"]);
        command.stdout(Stdio::piped());
        command
    }
}

impl System {
    /// Stops the API and the workers as a deployment does, and starts them with what is set now.
    async fn restart(&mut self) {
        let workers = self.workers.len();
        for process in self.workers.iter_mut().chain([&mut self.api]) {
            process.signal(Signal::TERM);
            process.ended(PATIENCE).await;
        }
        self.workers.clear();
        self.api = Child::spawn(&mut self.settings.api());
        self.until_ready().await;
        for _ in 0..workers {
            self.add_worker(4).await;
        }
    }

    /// The processes of the API and the workers.
    fn pids(&self) -> Vec<u32> {
        [&self.api].into_iter().chain(&self.workers).map(Child::pid).collect()
    }
}

/// Runs `keys rotate-master` to its end. Returns whether it succeeded, and its output.
async fn rotate(settings: &Settings) -> (bool, String) {
    let mut command = Child::spawn(&mut settings.keys());
    let ended = command.ended(PATIENCE).await;
    let mut output = String::new();
    command.streams().stdout.take().unwrap().read_to_string(&mut output).unwrap();
    (ended.success(), output)
}

async fn keys(connection: &mut PgConnection) -> Vec<(String, i64)> {
    sqlx::query_as(KEYS).fetch_all(connection).await.unwrap()
}

/// A command that fails unless it is given a token and a PIN.
async fn command(system: &System) -> String {
    let service = json!({ "name": "svc", "token": "token-of-the-service" });
    let service = system.make("serviceCreate", "service", service).await;
    let secrets = json!([{ "name": "login", "value": "login-of-the-profile" }]);
    let profile = json!({ "name": "p", "chromeProfilePath": "p", "secrets": secrets });
    system.make("profileCreate", "profile", profile).await;
    let proxy = json!({ "name": "x", "protocol": "HTTP", "address": "proxy.example:3128",
        "username": "user-of-the-proxy", "password": "password-of-the-proxy" });
    system.make("proxyCreate", "proxy", proxy).await;
    let script = "[ \"$PIN\" = 1234-pin ] && [ \"$TOKEN\" = token-of-the-service ]";
    let spec = json!({ "program": {
        "program": "/bin/sh", "arguments": ["-c", script],
        "environment": { "PIN": "{{ input.pin }}", "TOKEN": "{{ services.svc.token }}" },
    } });
    let schema =
        json!({ "properties": { "pin": { "type": "string", "writeOnly": true } }, "required": ["pin"] });
    let command = json!({ "name": "needs secrets", "spec": spec, "inputSchema": schema,
        "serviceIds": [service], "policy": { "maxAttempts": 1 } });
    system.make("commandCreate", "command", command).await
}

/// Enqueues the job with this key until it is accepted, whatever is started again meanwhile.
/// Returns its id.
async fn keyed(asker: &Asker, command: &str, key: &str) -> String {
    let input = json!({ "commandId": command, "input": { "pin": "1234-pin" }, "idempotencyKey": key });
    eventually(PATIENCE, || async {
        let answer = asker.ask(ENQUEUE, json!({ "input": input })).await.ok()?["data"]["jobEnqueue"].take();
        assert!(answer["userErrors"].as_array().is_none_or(Vec::is_empty), "no conflict: {answer}");
        answer["job"]["id"].as_str().map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn the_master_key_is_rotated_while_jobs_run() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let url = database.url().to_owned();
    let settings = Settings::new(database.url(), redis.url());
    let mut system = System::with(settings, redis, Some(database), 2).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let command = command(&system).await;
    let job = json!({ "commandId": command, "input": { "pin": "1234-pin" } });
    for _ in 0..JOBS_BEFORE / 1000 {
        system.enqueue_all(vec![job.clone(); 1000]).await;
    }
    let (asker, enqueued) = (system.asker(), command.clone());
    let load = tokio::spawn(async move {
        let mut ids = Vec::new();
        for number in 0..150 {
            ids.push(keyed(&asker, &enqueued, &format!("key {number}")).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ids
    });

    // Everybody gets to know the new key before anybody seals with it.
    system.set("CALLBOARD_OTHER_MASTER_KEYS", NEW);
    system.restart().await;
    system.set("CALLBOARD_MASTER_KEY", NEW);
    system.set("CALLBOARD_OTHER_MASTER_KEYS", OLD);
    system.restart().await;
    killed_in_the_middle(&system, &mut connection, &url).await;

    let (is_done, output) = rotate(&system.settings).await;
    assert!(is_done && output.contains(&format!("Every value is sealed with key {NEW_ID}")), "{output}");
    assert!(output.contains("inputs of jobs"), "{output}");
    let (is_done, output) = rotate(&system.settings).await;
    assert!(is_done && output.contains("Nothing is left to do"), "{output}");
    let count = "SELECT count(*) FROM audit_events WHERE action = 'keys rotate-master' AND object_id = $1";
    let starts: i64 = sqlx::query_scalar(count).bind(NEW_ID).fetch_one(&mut connection).await.unwrap();
    assert_eq!(starts, 2, "the one that was killed, and the one that did the rest");
    system.set("CALLBOARD_OTHER_MASTER_KEYS", "");
    system.restart().await;

    let ids = load.await.unwrap();
    for (number, id) in ids.iter().enumerate().step_by(30) {
        assert_eq!(*id, keyed(&system.asker(), &command, &format!("key {number}")).await);
    }
    let all = (JOBS_BEFORE + ids.len()) as u64;
    eventually(4 * PATIENCE, || async { system.count(&["SUCCEEDED", "FAILED"]).await == all }).await;
    assert_eq!(system.count(&["FAILED"]).await, 0);
    assert!(keys(&mut connection).await.iter().all(|(key, _)| key == NEW_ID));
    refused_without_the_key(&system).await;
}

/// The rotation is killed while it waits for the jobs, which another transaction has locked.
async fn killed_in_the_middle(system: &System, connection: &mut PgConnection, url: &str) {
    let mut locking = PgConnection::connect(url).await.unwrap();
    let mut locked = locking.begin().await.unwrap();
    sqlx::query("LOCK TABLE jobs IN EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let mut rotation = Child::spawn(&mut system.settings.keys());
    let waits = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'callboard-api keys' AND wait_event_type = 'Lock'";
    loop {
        assert!(rotation.is_running(), "it waits for the jobs");
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&mut *connection).await.unwrap();
        if waiting > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rotation.signal(Signal::KILL);
    rotation.ended(PATIENCE).await;
    locked.rollback().await.unwrap();
    let keys = keys(connection).await;
    let keys: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, [NEW_ID, OLD_ID], "some values are sealed with the new key, and some with the old");
}

/// Neither the API nor a worker starts without a key that is in use.
async fn refused_without_the_key(system: &System) {
    let settings = &system.settings;
    for mut command in [settings.api(), settings.worker(&[]), settings.keys()] {
        std::fs::write(settings.log(), "").unwrap();
        command.env("CALLBOARD_MASTER_KEY", OLD).env("CALLBOARD_LISTEN", "127.0.0.1:0");
        let mut process = Child::spawn(&mut command);
        assert_eq!(process.ended(PATIENCE).await.code(), Some(1));
        let log = std::fs::read_to_string(settings.log()).unwrap();
        for word in [NEW_ID, "not configured", "CALLBOARD_OTHER_MASTER_KEYS", "inputs of jobs"] {
            assert!(log.contains(word), "{word}: {log}");
        }
    }
}

#[tokio::test]
async fn neither_environment_nor_arguments_show_a_secret() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let mut settings = Settings::new(database.url(), redis.url());
    settings.set("CALLBOARD_OTHER_MASTER_KEYS", NEW);
    let (database_url, redis_url) = (database.url().to_owned(), redis.url().to_owned());
    let mut system = System::with(settings, redis, Some(database), 1).await;
    let flagged = &["--database-url", &database_url, &format!("--master-key={OLD}")];
    let mut flagged = Child::spawn(&mut system.settings.worker(flagged));
    let script = "cat /proc/$PPID/environ /proc/$PPID/cmdline; env; sleep 1";
    let command = system.shell("looks around", script, json!({})).await;
    let job = system.enqueue(json!({ "commandId": command })).await;
    eventually(PATIENCE, || async {
        let workers = system.data("{ workers { processId } }", json!({})).await["workers"].take();
        let pid = json!({ "processId": flagged.pid() });
        workers.as_array().is_some_and(|workers| workers.contains(&pid))
    })
    .await;
    let mut pids = system.pids();
    pids.push(flagged.pid());
    for parent in pids.clone() {
        pids.extend(crate::system::family(parent));
    }
    assert!(pids.len() > 3, "with the shims");
    for pid in pids {
        let of = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let shown = String::from_utf8_lossy(&[of("environ"), of("cmdline")].concat()).into_owned();
        for secret in [OLD, NEW, &database_url, &redis_url, "cb_0123456789abcdef"] {
            assert!(!shown.contains(secret), "process {pid} shows a secret: {shown}");
        }
        if system.pids().contains(&pid) {
            assert!(shown.contains("CALLBOARD_ENV=development"), "what is no secret stays: {shown}");
            let status = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let core = status.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            assert!(core.contains(" 0 "), "it dumps no core: {core}");
        }
    }
    system.until(&job, "SUCCEEDED", PATIENCE).await;
    let log: Value = system
        .data("query($id: ID!) { job(id: $id) { log(first: 100) { nodes { text } } } }", json!({ "id": job }))
        .await;
    for secret in [OLD, NEW, &database_url, &redis_url] {
        assert!(!log.to_string().contains(secret), "{log}");
    }
    flagged.signal(Signal::TERM);
    system.workers[0].signal(Signal::TERM);
}
