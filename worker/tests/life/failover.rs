//! Failovers of Postgres: a primary that is read-only for a while, and one that is replaced.
//!
//! What has happened is not done again because it could not be written down for a while, no line of
//! a log is lost, and the API answers within a second of the database being back.

use std::{
    fs,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use callboard_test_support::{Server, eventually, private_postgres, private_redis};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::system::{PATIENCE, Settings, System};

/// Longer than a failover should take, and longer than the API would wait for a connection.
const OUTAGE: Duration = Duration::from_secs(8);
/// The API has to answer this soon after the database is back.
const BACK_WITHIN: Duration = Duration::from_secs(1);
const JOBS: usize = 8;
const LINES: usize = 20;

/// A name that stays while the server behind it changes: a relay on a port of its own.
struct Relay {
    port: u16,
    target: Arc<AtomicU16>,
    cut: Arc<Notify>,
}

impl Relay {
    async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (target, cut) = (Arc::new(AtomicU16::new(target)), Arc::new(Notify::new()));
        let (to, cuts) = (target.clone(), cut.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (port, cut) = (to.load(Ordering::Relaxed), cuts.clone());
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                        return;
                    };
                    tokio::select! {
                        copied = tokio::io::copy_bidirectional(&mut client, &mut server) => drop(copied),
                        () = cut.notified() => {}
                    }
                });
            }
        });
        Self { port, target, cut }
    }

    /// Cuts all connections. New ones go to `target`.
    fn point_to(&self, target: u16) {
        self.target.store(target, Ordering::Relaxed);
        self.cut.notify_waiters();
    }
}

/// A system whose Postgres is behind a relay, with jobs that end at different moments of the
/// outage.
struct Drill {
    postgres: Server,
    relay: Relay,
    system: System,
    jobs: Vec<String>,
}

impl Drill {
    async fn start() -> Self {
        let (postgres, redis) = tokio::join!(private_postgres(), private_redis());
        let relay = Relay::to(postgres.port()).await;
        let url = postgres.url().replace(&format!(":{}/", postgres.port()), &format!(":{}/", relay.port));
        let settings = Settings::new(&url, redis.url());
        let mut system = System::with(settings, redis, None, 0).await;
        system.add_worker(JOBS as u16).await;
        // Each job writes lines all the time, and leaves a mark when it has done its work.
        let marks = system.home().join("marks");
        fs::create_dir(&marks).unwrap();
        fs::set_permissions(&marks, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let script = format!(
            "n=0; while [ $n -lt {LINES} ]; do n=$((n + 1)); echo line $n; sleep $1; done; \
             echo done >> {}/$CALLBOARD_JOB; echo '{{\"ok\": true}}'",
            marks.display()
        );
        let command = system.shell("work", &script, json!({ "maxAttempts": 3 })).await;
        // From 1 to 4 seconds, so that most end before the lease does.
        let word = |index: usize| format!("{:.3}", (1.0 + 3.0 * index as f64 / JOBS as f64) / LINES as f64);
        let inputs = (0..JOBS).map(|index| json!({ "commandId": command, "input": { "word": word(index) } }));
        let jobs = system.enqueue_all(inputs.collect()).await;
        for job in &jobs {
            system.until(job, "RUNNING", PATIENCE).await;
        }
        Self { postgres, relay, system, jobs }
    }

    /// Waits until a change is accepted again, and returns how long that took.
    async fn answers_after(&self, back_at: Instant) -> Duration {
        let query = "mutation($input: QueuePauseInput!) { queuePause(input: $input) { queue { name } } }";
        eventually(PATIENCE, || async {
            let answer = self.system.ask(query, json!({ "input": { "name": "other" } })).await.unwrap();
            answer.get("errors").is_none()
        })
        .await;
        back_at.elapsed()
    }

    /// No job that did its work was run again, and no line of its log is missing.
    async fn check(&self) {
        let mut succeeded_late = 0;
        for id in &self.jobs {
            let job = self.system.until(id, "SUCCEEDED", PATIENCE).await;
            let attempts = job["attempts"]["nodes"].as_array().unwrap();
            let marks = fs::read_to_string(self.system.home().join("marks").join(id)).unwrap_or_default();
            assert_eq!(marks, "done\n", "the work of {id} was done more than once: {job:#}");
            let last = attempts.iter().filter_map(|attempt| attempt["number"].as_i64()).max().unwrap();
            let lines = self.lines(id, last).await;
            let expected: Vec<String> = (1..=LINES).map(|n| format!("line {n}")).collect();
            assert_eq!(lines, expected, "lines of {id} are missing");
            succeeded_late += usize::from(attempts.len() == 1);
        }
        assert!(succeeded_late > JOBS / 2, "most jobs end within the outage, in their first attempt");
    }

    async fn lines(&self, job: &str, attempt: i64) -> Vec<String> {
        let query = "query($id: ID!) { job(id: $id) { log(first: 1000) { nodes { text stream attempt } } } }";
        let answer = self.system.data(query, json!({ "id": job })).await;
        let nodes = answer["job"]["log"]["nodes"].as_array().unwrap().clone();
        let is_meant = |node: &&Value| node["stream"] == "STDOUT" && node["attempt"] == attempt;
        let texts = nodes.iter().filter(is_meant).map(|node| node["text"].as_str().unwrap().to_owned());
        texts.filter(|text| text.starts_with("line")).collect()
    }
}

async fn set_read_only(postgres: &Server, is_read_only: bool) {
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    for statement in [
        "SET default_transaction_read_only = off",
        if is_read_only {
            "ALTER SYSTEM SET default_transaction_read_only = on"
        } else {
            "ALTER SYSTEM RESET default_transaction_read_only"
        },
        "SELECT pg_reload_conf()",
    ] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_primary_that_is_read_only_for_a_while_costs_nothing() {
    let drill = Drill::start().await;
    set_read_only(&drill.postgres, true).await;
    tokio::time::sleep(OUTAGE).await;
    set_read_only(&drill.postgres, false).await;
    let took = drill.answers_after(Instant::now()).await;
    assert!(took < BACK_WITHIN, "the API answered after {took:?}");
    drill.check().await;
}

#[tokio::test]
async fn a_primary_that_is_replaced_behind_its_name_costs_nothing() {
    let drill = Drill::start().await;
    drill.postgres.kill();
    tokio::time::sleep(OUTAGE).await;
    let port = drill.postgres.start_elsewhere().await;
    drill.relay.point_to(port);
    let took = drill.answers_after(Instant::now()).await;
    assert!(took < BACK_WITHIN, "the API answered after {took:?}");
    drill.check().await;
}
