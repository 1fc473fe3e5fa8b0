//! Whatever a program does to stay alive, no process of it is left after its run.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;

use crate::support::{
    PATIENCE, Place, alive, hours, leased, mark, processes, run, seconds, shim_pool, start_to_first_line,
    stat, until,
};
use callboard_worker::process::{Ending, ExitStatus, boottime_now};

/// Starts four processes: a child, a daemon, a stopped child, and a stopped daemon.
const CLINGING: &str = "sleep $1 & (setsid sleep $1 >/dev/null 2>&1 &); \
    sleep $1 & kill -STOP $!; (setsid sh -c 'kill -STOP $$; :' sh $1 &); echo ready; ";

#[tokio::test]
async fn a_program_that_handles_sigterm_exits_by_itself() {
    let place = Place::new();
    let script = "trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done";
    let mut running = start_to_first_line(shim_pool(), place.script(script, "")).await;
    running.terminate(PATIENCE);
    assert_eq!(running.wait().await.ending, Ending::Terminated(ExitStatus::Code(4)));
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_after_its_grace() {
    let (place, mark) = (Place::new(), mark());
    let script = "trap '' TERM; echo ready; sleep $1; sleep $1";
    let mut running = start_to_first_line(shim_pool(), place.script(script, &mark)).await;
    let grace = Duration::from_millis(300);
    let asked = Instant::now();
    running.terminate(grace);
    assert_eq!(running.wait().await.ending, Ending::Terminated(ExitStatus::Signal(9)));
    assert!(asked.elapsed() >= grace);
    println!("killed {:?} after the grace", asked.elapsed() - grace);
    assert_eq!(alive(&mark), [0; 0]);
}

#[tokio::test]
async fn sigterm_reaches_the_whole_group_and_clean_up_runs() {
    // A shell that forks runs its trap in the new process too, until that has become `sleep`.
    let sleeps = "sleep 30 & until grep -q sleep /proc/$!/comm; do :; done; echo ready; wait";
    for (script, expected) in [
        (format!("trap 'echo clean up' TERM; {sleeps}"), "clean up\n"),
        (format!("sh -c 'trap \"echo child; exit\" TERM; {sleeps}'; :"), "child\n"),
        (format!("sh -c 'trap \"sleep 0.2; echo child; exit\" TERM; {sleeps}' & wait"), "child\n"),
    ] {
        let (place, mark) = (Place::new(), mark());
        let mut running = start_to_first_line(shim_pool(), place.script(&script, &mark)).await;
        running.terminate(PATIENCE);
        let mut rest = String::new();
        running.stdout.read_to_string(&mut rest).await.unwrap();
        let exit = running.wait().await;
        assert!(matches!(exit.ending, Ending::Terminated(_)), "{script}: {exit:?}");
        assert_eq!(rest, expected, "{script}: {exit:?}");
    }
}

#[tokio::test]
async fn what_left_the_group_gets_sigterm_when_the_program_has_ended() {
    let place = Place::new();
    // The program's own trap comes first: `ready` is the daemon's line, and SIGTERM may follow it
    // at once.
    let script = "trap 'exit 3' TERM; \
        setsid sh -c 'trap \"echo daemon; exit\" TERM; echo ready; while :; do sleep 0.05; done' & \
        while :; do sleep 0.05; done";
    let mut running = start_to_first_line(shim_pool(), place.script(script, "")).await;
    running.terminate(PATIENCE);
    let mut rest = String::new();
    running.stdout.read_to_string(&mut rest).await.unwrap();
    assert_eq!(running.wait().await.ending, Ending::Terminated(ExitStatus::Code(3)));
    assert_eq!(rest, "daemon\n");
}

#[tokio::test]
async fn leftovers_may_write_what_they_have_and_get_sigterm_before_sigkill() {
    for (script, expected) in [
        ("exec > >(sleep 0.3; sed 's/^/> /'); echo a; echo b", "> a\n> b\n"),
        (
            "exec > >(while read -r line; do sleep 0.4; echo \"$line\"; done); for i in 1 2 3 4 5 6; do echo $i; done",
            "1\n2\n3\n4\n5\n6\n",
        ),
        (
            "{ trap 'echo ended; exit' TERM; while :; do sleep 0.05; done; } & sleep 0.2; echo done",
            "done\nended\n",
        ),
    ] {
        let place = Place::new();
        let (exit, stdout, stderr) = run(place.request("/bin/bash", &["-c", script])).await;
        assert_eq!(exit.ending, Ending::Exited(ExitStatus::Code(0)), "{script}: {stderr}");
        assert_eq!(stdout, expected, "{script}");
    }
}

#[tokio::test]
async fn leftovers_that_ignore_sigterm_are_killed_soon() {
    let (place, mark) = (Place::new(), mark());
    let script = "(trap '' TERM; sleep $1; sleep $1) >/dev/null 2>&1 & exit 0";
    let began = Instant::now();
    let exit = run(place.script(script, &mark)).await.0;
    assert_eq!((exit.code(), alive(&mark)), (Some(0), vec![]));
    assert!(exit.leftovers >= 1, "{exit:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_kill_does_not_wait_for_leftovers() {
    let (place, mark) = (Place::new(), mark());
    let script = "(trap '' TERM; echo ready; while :; do sleep 0.1; echo x; done) & sleep $1";
    let mut running = start_to_first_line(shim_pool(), place.script(script, &mark)).await;
    running.kill();
    assert_eq!(running.wait().await.ending, Ending::Killed);
    assert_eq!(alive(&mark), [0; 0]);
}

#[tokio::test]
async fn a_stopped_program_can_still_handle_sigterm() {
    let place = Place::new();
    let script = "trap 'exit 4' TERM; echo ready; kill -STOP $$; while :; do sleep 0.05; done";
    let mut running = start_to_first_line(shim_pool(), place.script(script, "")).await;
    let stopped = || stat(running.pid).is_some_and(|stat| stat[0] == "T");
    until("it is stopped", PATIENCE, stopped).await;
    running.terminate(PATIENCE);
    assert_eq!(running.wait().await.ending, Ending::Terminated(ExitStatus::Code(4)));
}

#[tokio::test]
async fn a_program_that_exits_in_the_moment_in_which_it_is_stopped_has_ended_by_itself() {
    for (is_asked, code) in [(true, 0), (true, 5), (false, 0)] {
        let lease = if is_asked { hours(1) } else { seconds(5) };
        let (shim_pool, leased_until) = (leased(lease), boottime_now() + lease);
        let place = Place::new();
        let script =
            format!("echo ready; until [ -e {}/go ]; do :; done; exit {code}", place.path().display());
        let mut running = start_to_first_line(&shim_pool, place.script(&script, "")).await;
        // The shim sees both only when it goes on.
        let shim = stat(running.pid).unwrap()[1].parse().unwrap();
        let send = |signal| kill_process(Pid::from_raw(shim).unwrap(), signal).unwrap();
        let is = |pid: i32, state: &str| stat(pid).is_some_and(|stat| stat[0] == state);
        send(Signal::STOP);
        until("the shim is stopped", PATIENCE, || is(shim, "T")).await;
        std::fs::write(place.path().join("go"), "").unwrap();
        until("the program has exited", PATIENCE, || is(running.pid, "Z")).await;
        if is_asked {
            running.terminate(PATIENCE);
        } else {
            until("the lease has ended", PATIENCE, || boottime_now() > leased_until).await;
        }
        send(Signal::CONT);
        let ending = running.wait().await.ending;
        assert_eq!(ending, Ending::Exited(ExitStatus::Code(code)), "{is_asked} {code}");
    }
}

#[tokio::test]
async fn leftovers_of_a_program_are_killed_and_counted() {
    let (place, mark) = (Place::new(), mark());
    let script = format!("{CLINGING} exit 5");
    let mut running = start_to_first_line(shim_pool(), place.script(&script, &mark)).await;
    let exit = running.wait().await;
    assert_eq!(alive(&mark), [0; 0]);
    assert_eq!((exit.code(), exit.leftovers), (Some(5), 4), "{exit:?}");
    assert!(!place.temporary().exists());
}

#[tokio::test]
async fn kill_reaches_the_whole_tree() {
    let (place, mark) = (Place::new(), mark());
    let script = format!("{CLINGING} kill -STOP $$");
    let mut running = start_to_first_line(shim_pool(), place.script(&script, &mark)).await;
    running.kill();
    let exit = running.wait().await;
    assert_eq!(alive(&mark), [0; 0]);
    assert_eq!((exit.ending, exit.leftovers), (Ending::Killed, 4));
}

#[tokio::test]
async fn dropping_the_handle_kills() {
    let (place, mark) = (Place::new(), mark());
    let running =
        start_to_first_line(shim_pool(), place.script(&format!("{CLINGING} sleep $1"), &mark)).await;
    assert!(!alive(&mark).is_empty());
    drop(running);
    until("all are dead", PATIENCE, || alive(&mark).is_empty() && !place.temporary().exists()).await;
}

#[tokio::test]
async fn dropping_a_start_kills() {
    let (place, mark) = (Place::new(), mark());
    for micros in [0, 100, 300, 1_000, 3_000, 10_000] {
        let start = shim_pool().start(place.script("exec sleep $1", &mark));
        tokio::time::timeout(Duration::from_micros(micros), start).await.ok();
        until("it is dead", PATIENCE, || alive(&mark).is_empty() && !place.temporary().exists()).await;
    }
}

#[tokio::test]
async fn a_fork_bomb_is_killed() {
    let (place, mark) = (Place::new(), mark());
    let multiply = place.path().join("multiply");
    // Each copy starts two more, and exits a little later.
    std::fs::write(&multiply, "(sh $0 $1 &) 2>/dev/null; (sh $0 $1 &) 2>/dev/null; sleep 0.1").unwrap();
    let script = format!("echo ready; while :; do sh {} $1 & sleep 0.1; done", multiply.display());
    let mut request = place.script(&script, &mark);
    let Some(user) = request.run_as else { return }; // the limit would be this process' own
    request.limits.max_processes = Some(tasks_of(user.uid) + 100);
    let mut running = start_to_first_line(shim_pool(), request).await;
    until("they have multiplied", PATIENCE, || alive(&mark).len() > 20).await;
    let asked = Instant::now();
    running.kill();
    let exit = running.wait().await;
    println!("{} processes were killed in {:?}", exit.leftovers, asked.elapsed());
    assert_eq!(exit.ending, Ending::Killed);
    assert_eq!(alive(&mark), [0; 0]);
}

/// Processes and threads of a user on this machine, as the limit counts them.
fn tasks_of(uid: u32) -> u64 {
    let is_theirs =
        |pid: &i32| std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == uid);
    let threads = |pid| stat(pid).map_or(0, |stat| stat[17].parse::<u64>().unwrap());
    processes().filter(is_theirs).map(threads).sum()
}

#[tokio::test]
async fn processes_that_keep_forking_and_exiting_are_killed() {
    let (place, mark) = (Place::new(), mark());
    let flee = place.path().join("flee");
    // Each copy starts the next in a session of its own and exits at once, so no process lives
    // long.
    std::fs::write(&flee, "setsid sh $0 $1 & exit").unwrap();
    let script =
        format!("for i in 1 2 3 4 5 6 7 8; do sh {} $1 & done; echo ready; sleep 0.5", flee.display());
    let mut running = start_to_first_line(shim_pool(), place.script(&script, &mark)).await;
    let exit = running.wait().await;
    assert_eq!(alive(&mark), [0; 0]);
    assert_eq!(exit.code(), Some(0));
    println!("ended with {} kills", exit.leftovers);
}

#[tokio::test]
async fn a_script_that_kills_its_group_does_not_kill_its_shim() {
    let exit = run(Place::new().script("sleep 100 & kill -9 0", "")).await.0;
    assert_eq!(exit.ending, Ending::Exited(ExitStatus::Signal(9)));
}

#[tokio::test]
async fn the_end_of_the_lease_kills() {
    let (place, mark) = (Place::new(), mark());
    let shim_pool = leased(seconds(2));
    let script = format!("trap '' TERM; {CLINGING} sleep $1");
    let mut running = shim_pool.start(place.script(&script, &mark)).await.unwrap();
    assert_eq!(running.wait().await.ending, Ending::Deadline);
    assert_eq!(alive(&mark), [0; 0]);
}

#[tokio::test]
async fn a_renewed_lease_goes_on_and_can_be_ended() {
    let (place, mark) = (Place::new(), mark());
    let shim_pool = leased(seconds(3));
    let first_end = boottime_now() + seconds(3);
    let mut running = start_to_first_line(&shim_pool, place.script("echo ready; sleep $1", &mark)).await;
    let heartbeat = shim_pool.clone();
    let renewal = std::thread::spawn(move || heartbeat.extend_deadline(boottime_now() + hours(1)));
    renewal.join().unwrap();
    until("the first lease has ended", PATIENCE, || boottime_now() > first_end + seconds(1)).await;
    assert_eq!(alive(&mark).len(), 2, "killed in spite of the renewal");
    shim_pool.extend_deadline(boottime_now());
    assert_eq!(running.wait().await.ending, Ending::Deadline);
    assert_eq!(alive(&mark), [0; 0]);
}
