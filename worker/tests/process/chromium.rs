//! A real Chromium, which leaves its process group and session and double-forks its crash handler.

use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Place, descendants, shim_pool, stat, surviving, until};
use callboard_worker::process::{Ending, ProfileDirectory, Running, SpawnRequest};
use rustix::process::{Pid, Signal, kill_process};

const CHROMIUM: &str = "/usr/bin/chromium";

fn request(place: &Place) -> SpawnRequest {
    let profile = place.path().join("profile");
    let mut request = place.request(
        CHROMIUM,
        &[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--remote-debugging-port=0",
            &format!("--user-data-dir={}", profile.display()),
            "about:blank",
        ],
    );
    request.profile = Some(ProfileDirectory { root: place.path().to_owned(), relative: "profile".into() });
    for name in ["HOME", "TMPDIR"] {
        request.environment.push((name.to_owned(), place.temporary().to_str().unwrap().into()));
    }
    request
}

/// Starts Chromium. Returns when it listens and all its processes run.
async fn start(place: &Place) -> (Running, Vec<(i32, String)>) {
    let mut running = shim_pool().start(request(place)).await.unwrap();
    // Its output is not read, because it fits the pipe.
    let listening = || place.path().join("profile/DevToolsActivePort").exists();
    until("Chromium listens", PATIENCE, listening).await;
    let shim: i32 = stat(running.pid).unwrap()[1].parse().unwrap();
    until("its processes run", PATIENCE, || descendants(shim).len() >= 6).await;
    tokio::time::timeout(Duration::from_millis(500), running.wait()).await.unwrap_err();
    (running, descendants(shim))
}

#[tokio::test]
async fn all_processes_of_a_stopped_chromium_are_killed() {
    if !std::path::Path::new(CHROMIUM).exists() {
        println!("skipped: there is no {CHROMIUM}");
        return;
    }
    let place = Place::new();
    let (mut running, family) = start(&place).await;
    assert!(place.path().join("profile/SingletonLock").is_symlink());
    kill_process(Pid::from_raw(running.pid).unwrap(), Signal::STOP).unwrap();
    let asked = Instant::now();
    running.kill();
    let exit = running.wait().await;
    println!("{} processes dead after {:?}: {exit:?}", family.len(), asked.elapsed());
    assert_eq!(surviving(&family), [0; 0]);
    assert_eq!(exit.ending, Ending::Killed);
    assert!(!place.temporary().exists());
    assert!(!place.path().join("profile/SingletonLock").is_symlink());
}

#[tokio::test]
async fn a_terminated_chromium_exits_by_itself() {
    if !std::path::Path::new(CHROMIUM).exists() {
        println!("skipped: there is no {CHROMIUM}");
        return;
    }
    let place = Place::new();
    let (mut running, family) = start(&place).await;
    running.terminate(PATIENCE);
    let exit = running.wait().await;
    assert!(matches!(exit.ending, Ending::Terminated(_)), "{exit:?}");
    assert_ne!(exit.signal(), Some(9), "{exit:?}");
    assert_eq!(surviving(&family), [0; 0]);
    println!("{exit:?}");
}
