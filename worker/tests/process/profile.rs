//! A browser profile is locked by one attempt at a time, and is below its root.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::support::{
    PATIENCE, Place, alive, hours, leased, mark, run, shim_pool, start_to_first_line, stat, until,
};
use callboard_worker::process::{Ending, ProfileDirectory, RefusalCode, RunAs, StartError};
use rustix::process::{Pid, Signal, kill_process};

fn profile(root: &Path, relative: &str) -> Option<ProfileDirectory> {
    Some(ProfileDirectory { root: root.to_owned(), relative: relative.into() })
}

#[tokio::test]
async fn two_attempts_do_not_share_a_profile() {
    let (place, other) = (Place::new(), Place::new());
    let mut first = place.script("echo ready; sleep 3600", "");
    first.profile = profile(place.path(), "a/b/profile");
    let mut first = start_to_first_line(shim_pool(), first).await;
    let second = || {
        let mut second = other.script("exit 0", "");
        second.profile = profile(place.path(), "a/b/profile");
        second
    };
    assert!(matches!(shim_pool().start(second()).await.err(), Some(StartError::ProfileBusy)));
    first.kill();
    first.wait().await;
    assert_eq!(run(second()).await.0.code(), Some(0));
}

#[tokio::test]
async fn a_new_profile_is_private_to_the_run_as_user() {
    let place = Place::new();
    let mut request = place.script("touch $1/x", place.path().join("a/profile").to_str().unwrap());
    request.profile = profile(place.path(), "a/profile");
    let (exit, _, stderr) = run(request).await;
    assert_eq!(exit.code(), Some(0), "{stderr}");
    let made = place.path().join("a/profile").metadata().unwrap();
    let uid = RunAs::find(None).unwrap().map_or(rustix::process::geteuid().as_raw(), |user| user.uid);
    assert_eq!((made.mode() & 0o777, made.uid()), (0o700, uid));
    assert_eq!(place.path().join("a").metadata().unwrap().mode() & 0o777, 0o711);
}

#[tokio::test]
async fn the_whole_tree_inherits_the_lock() {
    let place = Place::new();
    // Through Node too, which closes the descriptors next to the standard ones.
    let node = "require('child_process').execFileSync('readlink', ['/proc/self/fd/198'], {stdio: 'inherit'})";
    let script =
        format!("sh -c 'readlink /proc/self/fd/198'; ! command -v node >/dev/null || node -e \"{node}\"");
    let mut request = place.script(&script, "");
    request.profile = profile(place.path(), "profile");
    let (_, stdout, stderr) = run(request).await;
    let lock = format!("{}/.profile.callboard-lock", place.path().display());
    assert!(!stdout.is_empty() && stdout.lines().all(|line| line == lock), "{stdout}{stderr}");
}

#[tokio::test]
async fn the_lock_lives_as_long_as_any_process_of_the_tree() {
    let (place, other, mark) = (Place::new(), Place::new(), mark());
    let shim_pool = leased(hours(1));
    let mut first = place.script("(setsid sleep $1 >/dev/null 2>&1 &); echo ready; sleep $1", &mark);
    first.profile = profile(place.path(), "profile");
    let mut first = start_to_first_line(&shim_pool, first).await;
    let parent = |pid| stat(pid).unwrap()[1].parse::<i32>().unwrap();
    let shim = parent(first.pid);
    let signal = |pid, signal| kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    // The forker gets the shim's orphans, and must not kill them yet.
    let forker = parent(shim);
    signal(forker, Signal::STOP);
    signal(shim, Signal::KILL);
    until("the shim is dead", PATIENCE, || stat(shim).is_none_or(|stat| stat[0] == "Z")).await;
    assert!(!alive(&mark).is_empty());
    let mut second = other.script("exit 0", "");
    second.profile = profile(place.path(), "profile");
    let second = crate::support::shim_pool().start(second).await;
    assert!(matches!(second.err(), Some(StartError::ProfileBusy)));
    signal(forker, Signal::CONT);
    assert_eq!(first.wait().await.ending, Ending::ShimLost);
    let mut third = other.script("exit 0", "");
    third.profile = profile(place.path(), "profile");
    assert_eq!(run(third).await.0.code(), Some(0));
}

#[tokio::test]
async fn chromiums_locks_are_swept_before_and_after() {
    let place = Place::new();
    let directory = place.path().join("profile");
    let sweepable = ["SingletonLock", "SingletonCookie", "SingletonSocket"];
    let script = "ls $1; cd $1 && for name in SingletonLock SingletonCookie SingletonSocket; do \
        ln -s otherhost-123 $name; done; touch Cookies";
    let request = || {
        let mut request = place.script(script, directory.to_str().unwrap());
        request.profile = profile(place.path(), "profile");
        request
    };
    run(request()).await;
    for name in sweepable {
        assert!(!directory.join(name).is_symlink(), "{name}");
        symlink("otherhost-123", directory.join(name)).unwrap();
    }
    assert_eq!(run(request()).await.1, "Cookies\n");
}

#[tokio::test]
async fn a_profile_outside_its_root_is_refused() {
    let (place, outside) = (Place::new(), Place::new());
    let root = place.path().join("root");
    std::fs::create_dir(&root).unwrap();
    symlink(outside.path(), root.join("link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    std::fs::write(root.join("file"), "").unwrap();
    for relative in ["link", "link/profile", "dangling", "../outside", "a/../../b", "/etc", "", ".", "file"] {
        let mut request = place.script("exit 0", "");
        request.profile = profile(&root, relative);
        let Some(StartError::Refused { code, .. }) = shim_pool().start(request).await.err() else {
            panic!("{relative} was not refused");
        };
        assert_eq!(code, RefusalCode::ProfilePath, "{relative}");
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(!place.temporary().exists());
}

#[tokio::test]
async fn a_profile_of_another_user_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("profile")).unwrap();
    let mut request = place.script("exit 0", "");
    request.profile = profile(place.path(), "profile");
    if request.run_as.is_some() {
        let Some(StartError::Refused { code, message }) = shim_pool().start(request).await.err() else {
            panic!()
        };
        assert_eq!(code, RefusalCode::ProfilePath);
        assert!(message.contains("belongs to user 0"), "{message}");
    }
}
