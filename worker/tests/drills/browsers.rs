//! Runs a thousand browsers and kills every tenth in a random way. Nothing of them is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use callboard_test_support::Child;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    dice::Dice,
    ledger::Ledger,
    system::{PATIENCE, System, family},
};

const JOBS: usize = 1000;
const WORKERS: usize = 2;
const SLOTS: u16 = 4;
const PROFILES: usize = 20;
/// Several times as long as the drill takes.
const LIMIT: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Runner,
    PartOfTheBrowser,
    Shim,
    Worker,
    Cancel,
}

/// Writes its job, attempt and process when it has a page, and stays for half a second.
fn script(ledger: &Ledger) -> String {
    format!(
        "import {{ appendFileSync }} from 'node:fs';
        export default async ({{ page }}) => {{
            await page.goto('data:text/html,<title>here</title>');
            appendFileSync('{}', `${{process.env.CALLBOARD_JOB}} ${{process.env.CALLBOARD_ATTEMPT}} ${{process.pid}}\n`);
            await page.waitForTimeout(500);
            return await page.title();
        }};",
        ledger.path()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: script/drill browsers"]
async fn browsers() {
    let mut system = System::start(0).await;
    let ledger = Ledger::open(&system);
    let command = system.browser("browses", &script(&ledger), json!({ "maxAttempts": 5 })).await;
    let mut profiles = Vec::new();
    for number in 0..PROFILES {
        profiles.push(system.profile(&format!("p{number}")).await);
    }
    // Every other job runs on a profile, and must leave no lock there.
    let request = |number: usize| {
        let profile = (number % 2 == 1).then(|| &profiles[number / 2 % PROFILES]);
        json!({ "commandId": command, "profileId": profile })
    };
    let jobs = system.enqueue_all((0..JOBS).map(request).collect()).await;
    let victims: BTreeSet<&str> = jobs.iter().step_by(10).map(String::as_str).collect();

    let (mut dice, mut seen, mut ways) = (Dice::new(1), 0, BTreeMap::new());
    let work = async {
        while system.count(&["QUEUED", "SCHEDULED", "RUNNING"]).await > 0 {
            system.workers.retain_mut(Child::is_running);
            while system.workers.len() < WORKERS {
                let worker = system.spawn_worker(SLOTS);
                system.workers.push(worker);
            }
            let lines = ledger.lines();
            for line in &lines[seen..] {
                let words: Vec<&str> = line.split(' ').collect();
                let [job, "1", runner] = words[..] else { continue };
                if victims.contains(job) {
                    let way = end(&system, &mut dice, job, runner.parse().unwrap()).await;
                    *ways.entry(way).or_insert(0) += 1_usize;
                }
            }
            seen = lines.len();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, work).await.unwrap();

    let ended = [
        system.count(&["SUCCEEDED"]).await,
        system.count(&["FAILED"]).await,
        system.count(&["CANCELLED"]).await,
    ];
    println!("{JOBS} browsers, {} attempts had a page; killed: {ways:?}", ledger.lines().len());
    println!("succeeded, failed, cancelled: {ended:?}");
    assert_eq!(ended.iter().sum::<u64>(), JOBS as u64);
    assert_eq!(ended[1], 0, "five attempts are enough");
    system.until_clean(PATIENCE).await;
    assert_eq!(locks(&system), [""; 0], "browsers left locks");
    println!("no processes, zombies, temporary directories or locks are left");
}

async fn end(system: &System, dice: &mut Dice, job: &str, runner: u32) -> Way {
    let all = [Way::Runner, Way::PartOfTheBrowser, Way::Shim, Way::Worker, Way::Cancel];
    let way = *dice.of(&all).unwrap();
    let shim = parent(runner);
    let victim = match way {
        Way::Runner => Some(runner),
        Way::PartOfTheBrowser => dice.of(&family(runner)).copied(),
        Way::Shim => shim,
        // The worker whose forker has forked the shim.
        Way::Worker => shim.and_then(parent).and_then(parent).filter(|pid| is_worker(system, *pid)),
        Way::Cancel => {
            let query = "mutation($id: ID!) { jobCancel(input: { id: $id }) { userErrors { code } } }";
            system.data(query, json!({ "id": job })).await;
            None
        }
    };
    // It may have ended meanwhile, by itself or with its worker.
    if let Some(pid) = victim.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        kill_process(pid, Signal::KILL).ok();
    }
    way
}

fn is_worker(system: &System, pid: u32) -> bool {
    system.workers.iter().any(|worker| worker.pid() == pid)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// Chromium's locks in open profiles.
fn locks(system: &System) -> Vec<String> {
    let profiles = fs::read_dir(system.home().join("profiles")).unwrap().flatten();
    let files = profiles.flat_map(|profile| fs::read_dir(profile.path()).into_iter().flatten().flatten());
    let names = files.map(|file| file.path().display().to_string());
    names.filter(|name| name.contains("/Singleton")).collect()
}
