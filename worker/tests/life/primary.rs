//! A Postgres primary behind a name that stays, and jobs whose work leaves marks when it fails
//! over.

use std::{
    fs::{self, Permissions},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
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
pub(crate) const OUTAGE: Duration = Duration::from_secs(8);
/// The API has to accept changes this soon after the database is back.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(1);
/// Lines that each job writes.
pub(crate) const LINES: usize = 20;

/// What a failover looks like from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failover {
    /// The primary takes no writes for a while.
    ReadOnly,
    /// The primary is killed. Another one takes over its data, behind the same name.
    Replaced,
}

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

/// A system whose Postgres is behind a relay.
pub(crate) struct Primary {
    postgres: Server,
    relay: Relay,
    pub(crate) system: System,
}

impl Primary {
    /// With one worker that has `slots` slots.
    pub(crate) async fn start(slots: u16) -> Self {
        let (postgres, redis) = tokio::join!(private_postgres(), private_redis());
        let relay = Relay::to(postgres.port()).await;
        let url = postgres.url().replace(&format!(":{}/", postgres.port()), &format!(":{}/", relay.port));
        let settings = Settings::new(&url, redis.url());
        let mut system = System::with(settings, redis, None, 0).await;
        system.add_worker(slots).await;
        Self { postgres, relay, system }
    }

    /// Fails over, and returns how long the API took to accept a change once Postgres was back.
    pub(crate) async fn fail_over(&self, failover: Failover) -> Duration {
        match failover {
            Failover::ReadOnly => {
                self.set_read_only(true).await;
                tokio::time::sleep(OUTAGE).await;
                self.set_read_only(false).await;
            }
            Failover::Replaced => {
                self.postgres.kill();
                tokio::time::sleep(OUTAGE).await;
                self.relay.point_to(self.postgres.start_elsewhere().await);
            }
        }
        let back_at = Instant::now();
        let query = "mutation($input: QueuePauseInput!) { queuePause(input: $input) { queue { name } } }";
        eventually(PATIENCE, || async {
            let answer = self.system.ask(query, json!({ "input": { "name": "other" } })).await.unwrap();
            answer.get("errors").is_none()
        })
        .await;
        back_at.elapsed()
    }

    async fn set_read_only(&self, is_read_only: bool) {
        let mut connection = PgConnection::connect(self.postgres.url()).await.unwrap();
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
}

/// A command whose jobs write lines all the time, and leave a mark when they have done their work.
pub(crate) struct MarkedJobs {
    command: String,
    marks: PathBuf,
}

/// What became of some marked jobs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Jobs that succeeded in their first attempt.
    pub(crate) at_once: usize,
    /// Jobs whose attempt ended with the lease, before its work was done.
    pub(crate) released: usize,
    /// Jobs whose work was done more than once.
    pub(crate) repeated: Vec<String>,
    /// Attempts that miss a line which they wrote, and jobs that miss their file.
    pub(crate) incomplete: Vec<String>,
}

impl MarkedJobs {
    pub(crate) async fn of(system: &System) -> Self {
        let marks = system.home().join("marks");
        fs::create_dir(&marks).unwrap();
        fs::set_permissions(&marks, Permissions::from_mode(0o777)).unwrap();
        let script = format!(
            "n=0; while [ $n -lt {LINES} ]; do n=$((n + 1)); echo line $n; sleep $1; done; \
             echo done >> {}/$CALLBOARD_JOB; echo kept > $CALLBOARD_ARTIFACTS/a; echo '{{\"ok\": true}}'",
            marks.display()
        );
        let command = system.shell("work", &script, json!({ "maxAttempts": 3 })).await;
        Self { command, marks }
    }

    /// Starts one job for each duration, and waits until all of them run.
    pub(crate) async fn start(&self, system: &System, durations: &[Duration]) -> Vec<String> {
        let input = |duration: &Duration| {
            let word = format!("{:.3}", duration.as_secs_f64() / LINES as f64);
            json!({ "commandId": self.command, "input": { "word": word } })
        };
        let jobs = system.enqueue_all(durations.iter().map(input).collect()).await;
        for job in &jobs {
            system.until(job, "RUNNING", PATIENCE).await;
        }
        jobs
    }

    /// Waits until all have succeeded.
    pub(crate) async fn tally(&self, system: &System, jobs: &[String]) -> Tally {
        let mut tally = Tally::default();
        for id in jobs {
            let job = system.until(id, "SUCCEEDED", PATIENCE).await;
            let attempts = job["attempts"]["nodes"].as_array().unwrap();
            tally.at_once += usize::from(attempts.len() == 1);
            tally.released += usize::from(attempts.iter().any(|attempt| attempt["outcome"] == "RELEASED"));
            if fs::read_to_string(self.marks.join(id)).unwrap_or_default() != "done\n" {
                tally.repeated.push(id.clone());
            }
            if artifacts(system, id).await != ["a"] {
                tally.incomplete.push(format!("the file of {id}"));
            }
            let lines = lines(system, id).await;
            for attempt in attempts {
                let of_attempt = lines.iter().filter(|(number, _)| attempt["number"] == *number);
                let of_attempt: Vec<&str> = of_attempt.map(|(_, text)| text.as_str()).collect();
                let written = if attempt["outcome"] == "SUCCEEDED" { LINES } else { of_attempt.len() };
                let expected: Vec<String> = (1..=written).map(|number| format!("line {number}")).collect();
                if of_attempt != expected {
                    tally.incomplete.push(format!("attempt {} of {id}: {of_attempt:?}", attempt["number"]));
                }
            }
        }
        tally
    }
}

/// The names of a job's artifacts.
async fn artifacts(system: &System, job: &str) -> Vec<String> {
    let query = "query($id: ID!) { job(id: $id) { artifacts { name } } }";
    let answer = system.data(query, json!({ "id": job })).await;
    let nodes = answer["job"]["artifacts"].as_array().unwrap().clone();
    nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
}

/// The numbered lines of a job, each with the number of its attempt.
async fn lines(system: &System, job: &str) -> Vec<(i64, String)> {
    let query = "query($id: ID!) { job(id: $id) { log(first: 1000) { nodes { text stream attempt } } } }";
    let answer = system.data(query, json!({ "id": job })).await;
    let nodes = answer["job"]["log"]["nodes"].as_array().unwrap().clone();
    let is_meant =
        |node: &&Value| node["stream"] == "STDOUT" && node["text"].as_str().unwrap().starts_with("line");
    let pair = |node: &Value| (node["attempt"].as_i64().unwrap(), node["text"].as_str().unwrap().to_owned());
    nodes.iter().filter(is_meant).map(pair).collect()
}
