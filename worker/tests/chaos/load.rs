//! The load: jobs of many kinds, enqueued during the whole storm by a client that repeats its
//! requests until they are answered.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use callboard_test_support::eventually;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

use crate::{
    dice::Dice,
    ledger,
    system::{PATIENCE, System},
};

/// Time between two jobs, and most waiting jobs, because the storm slows down how many jobs end.
const EVERY: Duration = Duration::from_millis(120);
const WAITING_MAX: u64 = 40;
/// Time between two counts of waiting jobs.
const COUNT_EVERY: Duration = Duration::from_secs(1);
const PROFILES: u64 = 4;
/// The limits of a service of some jobs: concurrency, starts per second, and burst.
pub(crate) const NARROW: (u32, u32, u32) = (3, 5, 5);
/// After the storm, a job must end at least this often until none is left. Jobs on one profile run
/// one after the other.
const END_PATIENCE: Duration = Duration::from_mins(2);
const ENQUEUE: &str = "mutation($input: JobEnqueueInput!) { jobEnqueue(input: $input) {
    job { id } userErrors { code message path } } }";

/// Requested jobs by idempotency key: the input, and the job's id once the API has returned it.
type Requests = BTreeMap<String, (Value, Option<String>)>;

pub(crate) struct Load {
    dice: Dice,
    command: String,
    browser: String,
    /// Percentage of jobs that run in a browser.
    browsers: u64,
    profiles: Vec<String>,
    /// A service with narrow limits.
    narrow: String,
    pub(crate) ledger: PathBuf,
    requests: Arc<Mutex<Requests>>,
    next_at: Instant,
    made: u64,
    /// As of the last count, which may be old when Postgres is down.
    waiting: Arc<AtomicU64>,
    count_at: Instant,
}

impl Load {
    pub(crate) async fn prepare(system: &System, dice: Dice, browsers: u64) -> Self {
        let ledger = system.home().join("ledger");
        File::create(&ledger).unwrap();
        fs::set_permissions(&ledger, Permissions::from_mode(0o666)).unwrap();
        let arguments = ["-c", &ledger::script(&ledger), "sh", "{{ input.ticks }}", "{{ input.fails }}"];
        let command = json!({
            "name": "ticks",
            "spec": { "program": { "program": "/bin/sh", "arguments": arguments } },
            "policy": { "maxAttempts": 2, "timeout": "PT60S", "grace": "PT1S",
                "backoff": { "strategy": "CONSTANT", "initial": "PT0.2S" } },
        });
        let command = system.make("commandCreate", "command", command).await;
        let policy = json!({ "maxAttempts": 2, "timeout": "PT60S", "grace": "PT1S",
            "backoff": { "strategy": "CONSTANT", "initial": "PT0.2S" } });
        let browser = system.browser("browses", &ledger::browser_script(&ledger), policy).await;
        let mut profiles = Vec::new();
        for number in 0..PROFILES {
            profiles.push(system.profile(&format!("p{number}")).await);
        }
        let (at_once, limit, burst) = NARROW;
        let limits = json!([{ "limit": limit, "per": "PT1S", "burst": burst }]);
        let narrow = json!({ "name": "narrow", "maxConcurrency": at_once, "rateLimits": limits });
        let narrow = system.make("serviceCreate", "service", narrow).await;
        let (requests, now, waiting) = (Arc::default(), Instant::now(), Arc::default());
        Self {
            dice,
            command,
            browser,
            browsers,
            profiles,
            narrow,
            ledger,
            requests,
            next_at: now,
            made: 0,
            waiting,
            count_at: now,
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock()
    }

    /// The accepted jobs.
    pub(crate) fn jobs(&self) -> Vec<String> {
        self.requests().values().filter_map(|(_, job)| job.clone()).collect()
    }

    /// Enqueues the next job if it is time, and sometimes cancels one. Does not wait for an answer.
    pub(crate) fn go_on(&mut self, system: &System) {
        self.count_waiting(system);
        if self.next_at > Instant::now() || self.waiting.load(Ordering::Relaxed) > WAITING_MAX {
            return;
        }
        self.next_at = Instant::now() + EVERY;
        let (key, input) = self.next_request();
        self.requests().insert(key.clone(), (input.clone(), None));
        let (asker, requests) = (system.asker(), Arc::clone(&self.requests));
        tokio::spawn(async move {
            let Ok(answer) = asker.ask(ENQUEUE, json!({ "input": input })).await else { return };
            if let Some(job) = answer["data"]["jobEnqueue"]["job"]["id"].as_str() {
                let mut requests = requests.lock();
                requests.get_mut(&key).unwrap().1 = Some(job.to_owned());
            }
        });
        if self.dice.percent(3)
            && let Some(job) = self.dice.of(&self.jobs()).cloned()
        {
            let asker = system.asker();
            tokio::spawn(async move {
                let query = "mutation($id: ID!) { jobCancel(input: { id: $id }) { userErrors { code } } }";
                // It may come too late or fail.
                drop(asker.ask(query, json!({ "id": job })).await);
            });
        }
    }

    fn count_waiting(&mut self, system: &System) {
        if self.count_at > Instant::now() {
            return;
        }
        self.count_at = Instant::now() + COUNT_EVERY;
        let (asker, waiting) = (system.asker(), Arc::clone(&self.waiting));
        tokio::spawn(async move {
            let query =
                "{ jobs(first: 0, filter: { states: [BLOCKED, SCHEDULED, QUEUED] }) { countAtLeast } }";
            let Ok(answer) = asker.ask(query, json!({})).await else { return };
            if let Some(count) = answer["data"]["jobs"]["countAtLeast"].as_u64() {
                waiting.store(count, Ordering::Relaxed);
            }
        });
    }

    fn next_request(&mut self) -> (String, Value) {
        self.made += 1;
        let key = format!("request-{}", self.made);
        // A tick is a tenth of a second. Some jobs take longer than a lease.
        let ticks = match self.dice.between(1, 100) {
            1..=70 => self.dice.between(0, 5),
            71..=90 => self.dice.between(6, 40),
            _ => self.dice.between(100, 200),
        };
        let fails = u64::from(self.dice.percent(5));
        let command = if self.dice.percent(self.browsers) { &self.browser } else { &self.command };
        let mut input = json!({
            "commandId": command, "idempotencyKey": key, "input": { "ticks": ticks, "fails": fails },
            "priority": self.dice.between(0, 9),
        });
        if self.dice.percent(20) {
            input["profileId"] = json!(self.dice.of(&self.profiles));
        }
        if self.dice.percent(20) {
            input["serviceIds"] = json!([self.narrow]);
        }
        if self.dice.percent(8)
            && let Some(job) = self.dice.of(&self.jobs())
        {
            input["dependsOn"] = json!([job]);
        }
        (key, input)
    }

    /// Repeats requests without an answer. Each must become one job, not two.
    pub(crate) async fn settle_up(&mut self, system: &System) {
        let open: Vec<(String, Value)> = self
            .requests()
            .iter()
            .filter(|(_, (_, job))| job.is_none())
            .map(|(key, (input, _))| (key.clone(), input.clone()))
            .collect();
        for (key, input) in open {
            let job = eventually(PATIENCE, || async {
                let answer = system.ask(ENQUEUE, json!({ "input": input })).await.ok()?;
                answer["data"]["jobEnqueue"]["job"]["id"].as_str().map(str::to_owned)
            })
            .await;
            self.requests().get_mut(&key).unwrap().1 = Some(job);
        }
    }

    /// Waits until every job has ended, as long as there is progress. Returns the number of jobs
    /// that have not.
    pub(crate) async fn until_all_have_ended(&self, system: &System) -> u64 {
        let (mut since, mut least) = (Instant::now(), u64::MAX);
        loop {
            let live = system.count(&["BLOCKED", "SCHEDULED", "QUEUED", "RUNNING"]).await;
            if live < least {
                (since, least) = (Instant::now(), live);
            }
            if live == 0 || since.elapsed() > END_PATIENCE {
                return live;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
