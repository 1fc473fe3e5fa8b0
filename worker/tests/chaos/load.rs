//! The work: jobs of many kinds, enqueued all through the storm by a caller that does not take no for an answer.

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

/// Time between two jobs, as long as fewer wait than this: what comes in must not outrun what the storm lets through.
const EVERY: Duration = Duration::from_millis(120);
const WAITING_MAX: u64 = 40;
/// Time between two looks at how many wait.
const COUNT_EVERY: Duration = Duration::from_secs(1);
const PROFILES: u64 = 4;
/// A service of some jobs: how many of them may run at once, and how many may start in a second and at once.
pub(crate) const NARROW: (u32, u32, u32) = (3, 5, 5);
/// How long nothing may end, once the storm is over, while something is left. Jobs on one profile run one after the other.
const END_PATIENCE: Duration = Duration::from_mins(2);
const ENQUEUE: &str = "mutation($input: JobEnqueueInput!) { jobEnqueue(input: $input) {
    job { id } userErrors { code message path } } }";

/// What was asked for, by idempotency key, and the job that it became once the API has said so.
type Orders = BTreeMap<String, (Value, Option<String>)>;

pub(crate) struct Load {
    dice: Dice,
    command: String,
    browser: String,
    /// How many of a hundred jobs run in a browser.
    browsers: u64,
    profiles: Vec<String>,
    /// A service with narrow limits.
    narrow: String,
    pub(crate) ledger: PathBuf,
    orders: Arc<Mutex<Orders>>,
    next_at: Instant,
    made: u64,
    /// As of the last look, which may be old when Postgres is down.
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
        let (orders, now, waiting) = (Arc::default(), Instant::now(), Arc::default());
        Self {
            dice,
            command,
            browser,
            browsers,
            profiles,
            narrow,
            ledger,
            orders,
            next_at: now,
            made: 0,
            waiting,
            count_at: now,
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock()
    }

    /// The jobs that have been accepted.
    pub(crate) fn jobs(&self) -> Vec<String> {
        self.orders().values().filter_map(|(_, job)| job.clone()).collect()
    }

    /// Enqueues the next job, if it is time, and now and then cancels one. Waits for no answer.
    pub(crate) fn go_on(&mut self, system: &System) {
        self.count_waiting(system);
        if self.next_at > Instant::now() || self.waiting.load(Ordering::Relaxed) > WAITING_MAX {
            return;
        }
        self.next_at = Instant::now() + EVERY;
        let (key, input) = self.next_order();
        self.orders().insert(key.clone(), (input.clone(), None));
        let (asker, orders) = (system.asker(), Arc::clone(&self.orders));
        tokio::spawn(async move {
            let Ok(answer) = asker.ask(ENQUEUE, json!({ "input": input })).await else { return };
            if let Some(job) = answer["data"]["jobEnqueue"]["job"]["id"].as_str() {
                let mut orders = orders.lock();
                orders.get_mut(&key).unwrap().1 = Some(job.to_owned());
            }
        });
        if self.dice.percent(3)
            && let Some(job) = self.dice.of(&self.jobs()).cloned()
        {
            let asker = system.asker();
            tokio::spawn(async move {
                let query = "mutation($id: ID!) { jobCancel(input: { id: $id }) { userErrors { code } } }";
                // Whether it comes in time, or at all, is chance.
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

    fn next_order(&mut self) -> (String, Value) {
        self.made += 1;
        let key = format!("order-{}", self.made);
        // A tick is a tenth of a second; some jobs are longer than a lease.
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

    /// Sends again what was never answered: it must become one job, not two.
    pub(crate) async fn settle_up(&mut self, system: &System) {
        let open: Vec<(String, Value)> = self
            .orders()
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
            self.orders().get_mut(&key).unwrap().1 = Some(job);
        }
    }

    /// Waits for the end of every job, as long as there is progress; answers how many have not ended.
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
