//! Whichever process of the worker is killed or stopped, no process of the attempt is left.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{
    PATIENCE, Place, alive, descendants, hours, leased, mark, run, seconds, shim_pool, start_to_first_line,
    stat, surviving, until,
};
use callboard_worker::process::{
    Ending, ProfileDirectory, RefusalCode, SpawnRequest, StartError, boottime_now,
};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};

/// A tree with a daemon, a stopped child and a stopped daemon. All of them have `$1` as an
/// argument. The shell itself becomes the last sleep, so that nothing is started after the line
/// `ready`.
const CLINGING: &str = "sleep $1 & (setsid sleep $1 >/dev/null 2>&1 &); sleep $1 & kill -STOP $!; \
    (setsid sh -c 'kill -STOP $$; :' sh $1 &); echo ready; exec sleep $1";

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn parent(pid: i32) -> i32 {
    stat(pid).unwrap()[1].parse().unwrap()
}

/// A process of this test binary that runs only this test.
fn test_process(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", test]);
    command
}

/// A worker in a process of its own.
struct Worker {
    pid: i32,
    /// Its parent, which exits after the last process of the worker.
    reaper: Child,
}

impl Worker {
    /// Starts a worker that runs [`CLINGING`] in `place` with a lease of `lease` seconds.
    fn start(place: &Path, mark: &str, lease: u64) -> Self {
        let mut reaper = test_process("crash::reaper_process")
            .env("PLACE", place)
            .env("MARK", mark)
            .env("LEASE", lease.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(reaper.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("running")), "the worker failed");
        let (pid, _) = descendants(reaper.id().try_into().unwrap())[0];
        Self { pid, reaper }
    }

    fn kill(&self) {
        signal(self.pid, Signal::KILL);
    }
}

/// The subreaper above a worker. Without it the forker of a killed worker becomes a child of the
/// tests' process, where a pool that clears up after a killed shim kills every child that it does
/// not know.
#[test]
#[ignore = "a part of the tests below"]
fn reaper_process() {
    set_child_subreaper(Some(getpid())).unwrap();
    test_process("crash::worker_process").status().unwrap();
    while wait(WaitOptions::empty()).is_ok() {}
}

#[tokio::test]
#[ignore = "a part of the tests below"]
async fn worker_process() {
    let variable = |name| std::env::var(name).unwrap();
    let shim_pool = leased(seconds(variable("LEASE").parse().unwrap()));
    let place = Place::new();
    let mut request = place.script(CLINGING, &variable("MARK"));
    request.temporary_directory = Path::new(&variable("PLACE")).join("temporary");
    request.keep_stdin_open = true;
    let mut running = start_to_first_line(&shim_pool, request).await;
    println!("running");
    println!("{:?}", running.wait().await);
}

#[tokio::test]
async fn a_killed_worker_leaves_nothing() {
    let (place, mark) = (Place::new(), mark());
    let mut worker = Worker::start(place.path(), &mark, 3600);
    let family = descendants(worker.pid);
    assert!(family.len() >= 8, "a forker, three shims, and a program with its children: {family:?}");
    worker.kill();
    let gone = || surviving(&family).is_empty() && alive(&mark).is_empty();
    println!("all gone after {:?}", until("all are dead", PATIENCE, gone).await);
    worker.reaper.wait().unwrap();
    assert!(!place.temporary().exists());
}

#[tokio::test]
async fn a_worker_killed_together_with_its_shim_leaves_nothing() {
    let (place, mark) = (Place::new(), mark());
    let mut worker = Worker::start(place.path(), &mark, 3600);
    let family = descendants(worker.pid);
    let program = family.iter().find(|(pid, _)| alive(&mark).contains(pid)).unwrap().0;
    signal(parent(program), Signal::KILL);
    worker.kill();
    let gone = || surviving(&family).is_empty() && alive(&mark).is_empty();
    println!("all gone after {:?}", until("all are dead", PATIENCE, gone).await);
    worker.reaper.wait().unwrap();
}

#[tokio::test]
async fn a_stopped_worker_loses_its_programs_when_its_lease_ends() {
    let (place, mark) = (Place::new(), mark());
    let began = boottime_now();
    let mut worker = Worker::start(place.path(), &mark, 3);
    signal(worker.pid, Signal::STOP);
    assert!(!alive(&mark).is_empty() || boottime_now() - began > seconds(3));
    until("all are dead", PATIENCE, || alive(&mark).is_empty()).await;
    let late = Duration::from_nanos((boottime_now() - began).saturating_sub(seconds(3)));
    println!("all gone at most {late:?} after the lease of the stopped worker");
    assert_eq!(stat(worker.pid).unwrap()[0], "T");
    until("cleaned up", PATIENCE, || !place.temporary().exists()).await;
    worker.kill();
    worker.reaper.wait().unwrap();
}

fn profile(place: &Path) -> ProfileDirectory {
    ProfileDirectory { root: place.to_owned(), relative: "profile".into() }
}

#[tokio::test]
async fn a_killed_shim_leaves_nothing() {
    let (place, mark) = (Place::new(), mark());
    let mut request = place.script(&format!("ln -s nowhere-1 $PROFILE/SingletonLock; {CLINGING}"), &mark);
    request.profile = Some(profile(place.path()));
    let directory = place.path().join("profile").to_str().unwrap().to_owned();
    request.environment.push(("PROFILE".to_owned(), directory.into()));
    let mut running = start_to_first_line(shim_pool(), request).await;
    assert!(place.path().join("profile/SingletonLock").is_symlink());
    signal(parent(running.pid), Signal::KILL);
    let exit = running.wait().await;
    assert_eq!((exit.ending, exit.residue), (Ending::ShimLost, None));
    assert_eq!(alive(&mark), [0; 0]);
    assert!(!place.temporary().exists());
    assert!(!place.path().join("profile/SingletonLock").is_symlink());
    let mut again = place.script("exit 0", "");
    again.profile = Some(profile(place.path()));
    assert_eq!(run(again).await.0.code(), Some(0));
}

#[tokio::test]
async fn other_attempts_survive_a_killed_shim() {
    let (place, other, mark, other_mark) = (Place::new(), Place::new(), mark(), mark());
    let shim_pool = leased(hours(1));
    let bystander = start_to_first_line(&shim_pool, other.script(CLINGING, &other_mark)).await;
    // While a process executes another program it has no arguments for a moment, but its id stays.
    let mut before = Vec::new();
    let all_there = || {
        before = alive(&other_mark);
        before.len() == 5
    };
    until("all of the other run", PATIENCE, all_there).await;
    let mut own_child = Command::new("/bin/sleep").arg("3600").spawn().unwrap();
    for _ in 0..5 {
        let mut running = start_to_first_line(&shim_pool, place.script(CLINGING, &mark)).await;
        signal(parent(running.pid), Signal::KILL);
        assert_eq!(running.wait().await.ending, Ending::ShimLost);
        assert_eq!(alive(&mark), [0; 0]);
    }
    until("all of the other still run", PATIENCE, || alive(&other_mark) == before).await;
    assert!(own_child.try_wait().unwrap().is_none());
    own_child.kill().unwrap();
    own_child.wait().unwrap();
    drop(bystander);
    until("the other is dead", PATIENCE, || alive(&other_mark).is_empty()).await;
}

#[tokio::test]
async fn a_killed_forker_is_replaced_and_its_shims_go_on() {
    let (place, other, mark, other_mark) = (Place::new(), Place::new(), mark(), mark());
    let shim_pool = leased(hours(1));
    let mut running = start_to_first_line(&shim_pool, place.script(CLINGING, &mark)).await;
    let shim = parent(running.pid);
    signal(parent(shim), Signal::KILL);
    // The first of these use idle shims, the others need the new forker.
    for _ in 0..5 {
        let mut running = start_to_first_line(&shim_pool, other.script("echo ready", &other_mark)).await;
        assert_eq!(running.wait().await.code(), Some(0));
    }
    assert!(stat(running.pid).is_some_and(|stat| stat[0] != "Z"));
    // Its orphans become children of the worker itself now.
    signal(shim, Signal::KILL);
    assert_eq!(running.wait().await.ending, Ending::ShimLost);
    assert_eq!(alive(&mark), [0; 0]);
    let mut last = start_to_first_line(&shim_pool, other.script("echo ready", &other_mark)).await;
    assert_eq!(last.wait().await.code(), Some(0));
}

#[tokio::test]
async fn a_forker_killed_together_with_its_shim_leaves_nothing() {
    let (place, mark) = (Place::new(), mark());
    let shim_pool = leased(hours(1));
    let mut running = start_to_first_line(&shim_pool, place.script(CLINGING, &mark)).await;
    let shim = parent(running.pid);
    signal(parent(shim), Signal::KILL);
    signal(shim, Signal::KILL);
    assert_eq!(running.wait().await.ending, Ending::ShimLost);
    assert_eq!(alive(&mark), [0; 0]);
    assert!(!place.temporary().exists());
}

#[tokio::test]
async fn a_stopped_shim_is_killed_after_a_timeout() {
    let (place, mark) = (Place::new(), mark());
    let mut running = start_to_first_line(shim_pool(), place.script(CLINGING, &mark)).await;
    signal(parent(running.pid), Signal::STOP);
    running.kill();
    assert_eq!(running.wait().await.ending, Ending::ShimLost);
    assert_eq!(alive(&mark), [0; 0]);
    assert!(!place.temporary().exists());
}

#[tokio::test]
async fn dead_idle_shims_are_replaced() {
    let shim_pool = leased(hours(1));
    let place = Place::new();
    let mut running = start_to_first_line(&shim_pool, place.script("echo ready; sleep 3600", "")).await;
    let forker = parent(parent(running.pid));
    running.kill();
    running.wait().await;
    let is_shim = |pid| stat(pid).is_some_and(|stat| stat[1] == forker.to_string() && stat[0] != "Z");
    let idle = || descendants(forker).into_iter().filter(|(pid, _)| is_shim(*pid));
    until("two are idle", PATIENCE, || idle().count() == 2).await;
    let killed: Vec<i32> = idle().map(|(pid, _)| pid).collect();
    for pid in &killed {
        signal(*pid, Signal::KILL);
    }
    // A shim that gets a request while it dies may have started the program, so nothing is repeated
    // then.
    until("they are dead", PATIENCE, || !killed.iter().any(|pid| is_shim(*pid))).await;
    for _ in 0..4 {
        let mut running = start_to_first_line(&shim_pool, place.script("echo ready", "")).await;
        assert_eq!(running.wait().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_closed_shim_pool_kills_its_processes() {
    let (place, mark) = (Place::new(), mark());
    let shim_pool = leased(hours(1));
    let running = start_to_first_line(&shim_pool, place.script(CLINGING, &mark)).await;
    let forker = parent(parent(running.pid));
    let family = descendants(forker);
    drop(running);
    drop(shim_pool);
    until("all are dead", PATIENCE, || surviving(&family).is_empty() && alive(&mark).is_empty()).await;
    until("the forker is gone", PATIENCE, || stat(forker).is_none()).await;
}

#[tokio::test]
async fn a_job_claimed_under_a_lost_lease_does_not_run_under_the_next() {
    let (place, other, mark) = (Place::new(), Place::new(), mark());
    let shim_pool = leased(hours(1));
    let mut running = start_to_first_line(&shim_pool, place.script("echo ready; sleep $1", &mark)).await;
    // Its shim is not scheduled while the lease ends, and reads all messages afterwards.
    let shim = parent(running.pid);
    signal(shim, Signal::STOP);
    let first = shim_pool.lease().await;
    shim_pool.extend_deadline(boottime_now());
    shim_pool.begin_another_lease(boottime_now() + hours(1));
    shim_pool.extend_deadline(boottime_now() + hours(2));
    signal(shim, Signal::CONT);
    assert_eq!(running.wait().await.ending, Ending::Killed);
    assert_eq!(alive(&mark), [0; 0]);

    let late = shim_pool.start(other.request("/bin/true", &[])).await.err();
    assert!(matches!(late, Some(StartError::Refused { code: RefusalCode::DeadlinePassed, .. })), "{late:?}");
    assert_ne!(shim_pool.lease().await, first);
    let request = SpawnRequest { lease: shim_pool.lease().await, ..other.request("/bin/true", &[]) };
    assert_eq!(shim_pool.start(request).await.unwrap().wait().await.code(), Some(0));
}
