//! A program gets what its request names and nothing else, and its output and exit are returned.

use crate::support::{PATIENCE, Place, descendants, mark, run, shim_pool, start_to_first_line, until};
use callboard_worker::process::{Ending, RefusalCode, RunAs, StartError};
use secrecy::SecretString;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn output_and_exit_code_are_returned() {
    let place = Place::new();
    let (exit, stdout, stderr) = run(place.script("echo out; echo err >&2; exit 7", "")).await;
    assert_eq!((exit.code(), exit.signal()), (Some(7), None));
    assert_eq!((stdout.as_str(), stderr.as_str()), ("out\n", "err\n"));
    assert_eq!((exit.leftovers, exit.residue), (0, None));
    assert!(exit.peak_memory_bytes > 100_000, "{}", exit.peak_memory_bytes);
}

#[tokio::test]
async fn a_signal_is_returned() {
    let (exit, _, _) = run(Place::new().script("kill -USR1 $$", "")).await;
    assert_eq!((exit.code(), exit.signal()), (None, Some(10)));
}

#[tokio::test]
async fn cpu_time_is_that_of_the_whole_tree() {
    let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; exit 0";
    let (exit, _, _) = run(Place::new().script(script, "")).await;
    assert!(exit.cpu_time > Duration::from_millis(20), "{:?}", exit.cpu_time);
}

#[tokio::test]
async fn standard_input_of_any_size_is_echoed() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..4 * 1024 * 1024_u32).map(|number| number.to_le_bytes()[1]).collect();
    let mut request = place.request("/bin/cat", &[]);
    request.stdin = bytes.clone().into();
    let mut running = shim_pool().start(request).await.unwrap();
    let mut echo = Vec::new();
    running.stdout.read_to_end(&mut echo).await.unwrap();
    assert_eq!(running.wait().await.code(), Some(0));
    assert!(echo == bytes);
}

#[tokio::test]
async fn a_program_need_not_read_its_input() {
    let place = Place::new();
    let mut request = place.request("/bin/true", &[]);
    request.stdin = vec![1; 8 * 1024 * 1024].into();
    assert_eq!(run(request).await.0.code(), Some(0));
}

#[tokio::test]
async fn input_that_is_too_large_is_refused() {
    let place = Place::new();
    let mut request = place.request("/bin/true", &[]);
    request.stdin = vec![1; 8 * 1024 * 1024 + 1].into();
    assert_refused(shim_pool().start(request).await.err(), RefusalCode::RequestTooLarge);
}

#[tokio::test]
async fn standard_input_can_stay_open() {
    let place = Place::new();
    let mut request = place.script("read line; echo $line; cat; echo closed", "");
    request.stdin = b"first\n".to_vec().into();
    request.keep_stdin_open = true;
    let mut running = start_to_first_line(shim_pool(), request).await;
    let more = tokio::time::timeout(Duration::from_millis(300), running.stdout.read_u8()).await;
    assert!(more.is_err(), "cat reached the end of its input");
    running.terminate(Duration::from_secs(5));
    running.wait().await;
}

#[tokio::test]
async fn the_environment_is_exactly_the_requests() {
    let place = Place::new();
    let mut request = place.request("/usr/bin/env", &["-0"]);
    request.environment = vec![
        ("EMPTY".to_owned(), SecretString::from("")),
        ("TOKEN".to_owned(), SecretString::from("a \"secret\"\n=ü")),
    ];
    assert!(!format!("{request:?}").contains("secret"));
    assert_eq!(run(request).await.1, "EMPTY=\0TOKEN=a \"secret\"\n=ü\0");
}

#[tokio::test]
async fn nothing_else_is_inherited() {
    // A descriptor without close-on-exec, as a careless library leaves it.
    let leaked = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let script =
        "ls /proc/self/fd; grep -E '^(Umask|NoNewPrivs|Groups|SigBlk):' /proc/self/status; ulimit -c";
    let (_, stdout, stderr) = run(Place::new().script(script, "")).await;
    let lines: Vec<String> =
        stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = ["0", "1", "2", "3"].map(str::to_owned).to_vec(); // 3 is `ls`' own
    assert_eq!(lines[..4], expected, "{stderr}");
    for fact in ["Umask: 0077", "Groups:", "NoNewPrivs: 1", "0", "SigBlk: 0000000000000000"] {
        assert!(lines.contains(&fact.to_owned()), "{fact} is not in {lines:?}");
    }
}

#[tokio::test]
async fn ignored_signals_are_not_inherited() {
    // As under `nohup`: the process that starts the shim pool ignores SIGHUP.
    let script = "trap '' HUP INT; exec \"$0\" --exact --ignored --nocapture output::ignoring_process";
    let me = std::env::current_exe().unwrap();
    let output = std::process::Command::new("/bin/sh").args(["-c", script]).arg(me).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
#[ignore = "a part of the test above"]
async fn ignoring_process() {
    let (_, stdout, _) = run(Place::new().request("/bin/grep", &["SigIgn", "/proc/self/status"])).await;
    let ignored = u64::from_str_radix(stdout.trim().trim_start_matches("SigIgn:\t"), 16).unwrap();
    // 32 and 33 are the C library's own, which `posix_spawn` ignores in every program.
    assert_eq!(ignored & 0x7fff_ffff, 0, "{stdout}");
}

#[tokio::test]
async fn the_temporary_directory_is_private_and_removed() {
    let place = Place::new();
    let script = "stat -c %a . ; mkdir -p a/b/c; echo x > a/b/c/x; ln -s /etc a/link; mkfifo a/pipe; \
        chmod 000 a/b/c a/b; mkdir -m 0 .hidden; pwd";
    let (_, stdout, _) = run(place.script(script, "")).await;
    assert_eq!(stdout, format!("700\n{}\n", place.temporary().display()));
    assert!(!place.temporary().exists());
    assert!(std::path::Path::new("/etc/passwd").exists());
}

#[tokio::test]
async fn a_very_deep_temporary_directory_is_removed() {
    let place = Place::new();
    // As deep as a path can be, and that deep again.
    let script = "mkdir -p $1 && cd $1 && mkdir -p $1 && cd -P $1 && mkdir d 2>&1";
    let (exit, stdout, stderr) = run(place.script(script, &"d/".repeat(1900))).await;
    assert_eq!((exit.code(), exit.residue), (Some(0), None), "{stdout}{stderr}");
    assert!(!place.temporary().exists());
}

#[tokio::test]
async fn programs_that_cannot_be_run_are_refused() {
    let place = Place::new();
    let refusal = async |request| shim_pool().start(request).await.err();
    assert_refused(refusal(place.request("/no/such", &[])).await, RefusalCode::ProgramNotFound);
    assert_refused(refusal(place.request("true", &[])).await, RefusalCode::ProgramNotFound);
    assert_refused(refusal(place.request("/etc/passwd", &[])).await, RefusalCode::SpawnFailed);
    let huge = "x".repeat(200_000);
    assert_refused(refusal(place.request("/bin/true", &[&huge])).await, RefusalCode::SpawnFailed);
    let mut request = place.request("/bin/true", &[]);
    request.working_directory = Some("/no/such".into());
    assert_refused(refusal(request).await, RefusalCode::SpawnFailed);
    let mut request = place.request("/bin/true", &[]);
    request.temporary_directory = "/no/such/directory".into();
    assert_refused(refusal(request).await, RefusalCode::TemporaryDirectory);
    assert!(!place.temporary().exists());
}

#[tokio::test]
async fn why_a_program_does_not_start_is_said() {
    let place = Place::new();
    let file = |name: &str, content: &[u8], mode: u32| {
        let path = place.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    symlink("/no/such", place.path().join("dangling")).unwrap();
    let dangling = place.path().join("dangling").to_str().unwrap().to_owned();
    for (program, why) in [
        (file("crlf", b"#!/bin/sh\r\necho hi\r\n", 0o755), "Save the file with LF line ends"),
        (
            file("crlf-argument", b"#!/no/such -e\r\n", 0o755),
            "the interpreter `/no/such` of its first line does not exist",
        ),
        (file("plain", b"#!/bin/sh\n", 0o644), "must be executable for the user"),
        (place.path().to_str().unwrap().to_owned(), "is a directory"),
        (dangling, "the symbolic link leads to nothing"),
    ] {
        let error = shim_pool().start(place.request(&program, &[])).await.err();
        let Some(StartError::Refused { message, .. }) = error else { panic!("{program}: {error:?}") };
        assert!(message.contains(why), "{message}");
    }
}

#[tokio::test]
async fn a_script_without_an_interpreter_is_run_by_a_shell_as_by_hand() {
    let place = Place::new();
    let script = place.path().join("bare");
    std::fs::write(&script, "echo \"${0##*/} $1\"; cat; exit 3\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    for as_worker in [false, true] {
        let mut request = place.request(script.to_str().unwrap(), &["a b"]);
        request.stdin = b"given\n".to_vec().into();
        if as_worker {
            request.run_as = None;
        }
        let (exit, stdout, stderr) = run(request).await;
        assert_eq!((exit.code(), stdout.as_str()), (Some(3), "bare a b\ngiven\n"), "{stderr}");
    }
}

/// A directory that is on the allow-list.
fn allowed(place: &Place) -> std::path::PathBuf {
    let allowed = place.path().join("allowed");
    std::fs::create_dir(&allowed).unwrap();
    std::fs::set_permissions(&allowed, std::fs::Permissions::from_mode(0o755)).unwrap();
    allowed
}

#[tokio::test]
async fn a_link_is_started_as_it_is_written() {
    let place = Place::new();
    let (allowed, elsewhere) = (allowed(&place), place.path().join("elsewhere"));
    std::fs::write(&elsewhere, "#!/bin/sh\necho \"${0##*/} $1\"\n").unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../elsewhere", allowed.join("first")).unwrap();
    symlink("first", allowed.join("second")).unwrap();
    for name in ["first", "second"] {
        let mut request = place.request(allowed.join(name).to_str().unwrap(), &["x"]);
        request.allowed_programs = Some(vec![allowed.clone()]);
        assert_eq!(run(request).await.1, format!("{name} x\n"));
    }
}

#[tokio::test]
async fn the_allow_list_names_the_path_as_it_is_written() {
    let place = Place::new();
    let allowed = allowed(&place);
    symlink("/bin/true", allowed.join("harmless")).unwrap();
    let up = format!("{}/../elsewhere", allowed.display());
    std::fs::copy("/bin/true", place.path().join("elsewhere")).unwrap();
    for (program, list, is_allowed) in [
        (allowed.join("harmless").display().to_string(), allowed.clone(), true),
        ("/bin/true".to_owned(), allowed.clone(), false),
        (up, allowed.clone(), false),
        // What saving refuses is refused here too, wherever the path leads.
        ("/bin/true".to_owned(), "/usr/bin".into(), false),
        ("/bin/true".to_owned(), "/bin".into(), true),
        ("/bin/true".to_owned(), "/bin/true".into(), true),
        ("/bin/true".to_owned(), "/no/such".into(), false),
    ] {
        let mut request = place.request(&program, &[]);
        request.allowed_programs = Some(vec!["/no/such/either".into(), list]);
        if is_allowed {
            assert_eq!(run(request).await.0.code(), Some(0), "{program}");
        } else {
            assert_refused(shim_pool().start(request).await.err(), RefusalCode::ProgramNotAllowed);
        }
    }
}

#[tokio::test]
async fn a_link_of_the_user_that_programs_run_as_extends_no_allow_list() {
    let Some(user) = RunAs::find(None).unwrap() else { return }; // then everything is the worker's own
    let place = Place::new();
    let allowed = allowed(&place);
    let link = allowed.join("planted");
    symlink("/bin/true", &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(user.uid), Some(user.gid)).unwrap();
    symlink("planted", allowed.join("innocent")).unwrap();
    for name in ["planted", "innocent"] {
        let mut request = place.request(allowed.join(name).to_str().unwrap(), &[]);
        request.allowed_programs = Some(vec![allowed.clone()]);
        assert_refused(shim_pool().start(request).await.err(), RefusalCode::ProgramNotAllowed);
    }
    let mut request = place.request(link.to_str().unwrap(), &[]);
    request.allowed_programs = Some(vec![allowed, "/bin".into()]);
    assert_eq!(run(request).await.0.code(), Some(0), "what it leads to is on the list");
}

#[tokio::test]
async fn the_standard_streams_can_be_opened_by_name() {
    let place = Place::new();
    let script = "cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; echo more >> /dev/fd/1; \
        cat /proc/self/fd/0; echo last > /proc/self/fd/2; test -r /dev/stdin -a -w /dev/stdout";
    let mut request = place.script(script, "");
    request.stdin = b"given\n".to_vec().into();
    let (exit, stdout, stderr) = run(request).await;
    assert_eq!(exit.code(), Some(0), "{stderr}");
    assert_eq!((stdout.as_str(), stderr.as_str()), ("given\nout\nmore\n", "err\nlast\n"));
}

#[tokio::test]
async fn what_is_left_in_shared_directories_is_removed() {
    if RunAs::find(None).unwrap().is_none() {
        return; // files of a worker that is not root cannot be told from its user's others
    }
    let (place, mark) = (Place::new(), mark());
    let name = format!("callboard-test-{mark}");
    let others = std::path::Path::new("/tmp").join(format!("{name}-of-others"));
    std::fs::write(&others, "").unwrap();
    let script = "mkdir -p /tmp/$1/a/b; chmod 0 /tmp/$1/a/b; echo x > /tmp/$1.file; mkfifo /var/tmp/$1; \
        echo x > /dev/shm/$1; ln -s /etc/passwd /tmp/$1.link; ipcmk -M 100 -Q -S 2; ls /tmp/$1.file";
    let (exit, stdout, stderr) = run(place.script(script, &name)).await;
    assert_eq!((exit.code(), exit.residue), (Some(0), None), "{stdout}{stderr}");
    for directory in ["/tmp", "/var/tmp", "/dev/shm"] {
        let left = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
        let left: Vec<_> = left.filter(|path| path.display().to_string().contains(&name)).collect();
        assert!(left.is_empty() || left == [others.clone()], "{left:?}");
    }
    assert!(others.exists());
    std::fs::remove_file(others).unwrap();
    let ids: Vec<&str> =
        stdout.lines().filter_map(|line| line.rsplit_once("id: ").map(|(_, id)| id)).collect();
    assert_eq!(ids.len(), 3, "{stdout}{stderr}");
    for (list, id) in ["shm", "msg", "sem"].into_iter().zip(ids) {
        let list = std::fs::read_to_string(format!("/proc/sysvipc/{list}")).unwrap();
        let exists = list.lines().any(|line| line.split_whitespace().nth(1) == Some(id));
        assert!(!exists, "{id} is left: {list}");
    }
}

#[tokio::test]
async fn programs_cannot_read_the_worker() {
    callboard::hardening::forbid_reading().unwrap();
    let script =
        "cat /proc/$1/environ; cat /proc/$1/maps; dd if=/proc/$1/mem count=1; ls -l /proc/$1/fd; kill -0 $1";
    let (exit, stdout, stderr) = run(Place::new().script(script, &std::process::id().to_string())).await;
    if RunAs::find(None).unwrap().is_some() {
        assert_eq!(stdout.trim().replace("total 0", ""), "", "{stderr}");
        assert_ne!(exit.code(), Some(0));
        let (_, user, _) = run(Place::new().request("/usr/bin/id", &["-un"])).await;
        assert_eq!(user, "nobody\n");
    } else {
        // The same user may signal this process, but not read it.
        assert_eq!(stdout.trim().replace("total 0", ""), "", "{stderr}");
    }
}

#[tokio::test]
async fn closed_output_does_not_matter() {
    let mut running = shim_pool().start(Place::new().script("exec 1>&- 2>&-; exit 3", "")).await.unwrap();
    assert_eq!(running.wait().await.code(), Some(3));
    assert_eq!(running.wait().await.ending, running.wait().await.ending);
}

#[tokio::test]
async fn without_a_lease_every_start_is_refused() {
    let shim_pool = callboard_worker::process::ShimPool::new(crate::support::settings()).unwrap();
    let place = Place::new();
    let refusal = shim_pool.start(place.request("/bin/true", &[])).await.err();
    assert_refused(refusal, RefusalCode::DeadlinePassed);
}

#[tokio::test]
async fn hundreds_of_runs_leave_no_zombie() {
    for _ in 0..200 {
        let place = Place::new();
        let exit = run(place.request("/bin/true", &[])).await.0;
        assert!(matches!(exit.ending, Ending::Exited(_)), "{exit:?}");
    }
    let me = i32::try_from(std::process::id()).unwrap();
    let is_zombie = |(pid, _): &(i32, String)| crate::support::stat(*pid).is_some_and(|stat| stat[0] == "Z");
    until("no zombies", PATIENCE, || !descendants(me).iter().any(is_zombie)).await;
}

fn assert_refused(error: Option<StartError>, expected: RefusalCode) {
    let Some(StartError::Refused { code, message }) = error else { panic!("{error:?}") };
    assert_eq!(code, expected, "{message}");
}
