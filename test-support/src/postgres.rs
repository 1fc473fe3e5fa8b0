//! A Postgres for tests, on a loopback port.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::{
    home::{Home, is_root},
    random_name,
    server::{Kind, Server},
    unblocked,
};

/// Where Debian keeps the programs of each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Tests need not survive a power cut. A killed server loses nothing with these settings either.
const SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=64MB",
    "max_wal_size=256MB",
    "log_min_messages=warning",
];

/// Starts a Postgres for one test. Its URL names an empty database.
pub async fn private_postgres() -> Server {
    unblocked(launch).await
}

pub(crate) fn launch() -> anyhow::Result<Server> {
    let programs = programs().context("Postgres was not found. Run script/bootstrap.")?;
    let home = Home::new()?;
    let user = if is_root() { Some(user("postgres").context("there is no user postgres")?) } else { None };
    let directory = home.path().join("postgres");
    fs::create_dir(&directory)?;
    fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
    if let Some((user, group)) = user {
        chown(&directory, Some(user), Some(group))?;
    }
    let password = random_name()?;
    initialise(&programs, home.path(), user, &password)?;

    let mut program = vec![
        programs.join("postgres").display().to_string(),
        "-D".to_owned(),
        directory.join("data").display().to_string(),
    ];
    for setting in SETTINGS {
        program.extend(["-c".to_owned(), setting.to_owned()]);
    }
    let kind = Kind {
        name: "postgres",
        stop: Signal::INT,
        stop_name: "QUIT",
        program,
        port_flag: "-p",
        user,
        answers,
        password: password.clone(),
    };
    Server::launch(home, kind, |port| format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres"))
}

/// Creates the cluster `postgres/data`.
fn initialise(programs: &Path, home: &Path, user: Option<(u32, u32)>, password: &str) -> anyhow::Result<()> {
    let password_file = home.join("password");
    fs::write(&password_file, password)?;
    let mut command = Command::new(programs.join("initdb"));
    command
        .args(["--pgdata", "data", "--username=postgres", "--auth=md5", "--pwfile=../password"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"])
        .current_dir(home.join("postgres"))
        .env_remove("PGDATA")
        .stdin(Stdio::null());
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    let output = command.output().context("cannot run initdb")?;
    ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(password_file)?;
    Ok(())
}

/// Whether Postgres accepts connections on this port. Only then does it ask for a password after a
/// start-up packet. Before that, it reports that it is starting up.
fn answers(port: u16, _password: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        let length = u32::try_from(body.len() + 4).unwrap_or_default();
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(body)?;
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        // R asks for the password. E means that it is starting up, or that another server listens
        // here.
        Ok(kind == *b"R")
    };
    ask().unwrap_or(false)
}

/// Returns the directory of `initdb` and `postgres`: Debian's newest, else the one on the PATH.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let newest = versions.filter(|path| path.join("initdb").exists()).max_by_key(|path| {
        let version = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    });
    newest.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|path| path.join("initdb").exists())
    })
}

/// Returns the user and group id of a name.
fn user(name: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let fields =
        users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name)?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::{Connection as _, PgConnection};

    use super::*;

    async fn one(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
        sqlx::query_scalar("SELECT 1").fetch_one(connection).await
    }

    #[tokio::test]
    async fn keeps_its_data_and_its_port_when_it_is_killed() {
        let server = private_postgres().await;
        let mut connection = PgConnection::connect(server.url()).await.unwrap();
        sqlx::raw_sql("CREATE TABLE kept ()").execute(&mut connection).await.unwrap();
        server.kill();
        assert!(one(&mut connection).await.is_err());
        assert!(PgConnection::connect(server.url()).await.is_err());
        server.start().await;
        let mut connection = PgConnection::connect(server.url()).await.unwrap();
        sqlx::raw_sql("SELECT FROM kept").execute(&mut connection).await.unwrap();

        server.freeze();
        let waited = tokio::time::timeout(Duration::from_millis(200), one(&mut connection)).await;
        assert!(waited.is_err(), "a frozen server does not respond");
        server.thaw();
        let mut connection = PgConnection::connect(server.url()).await.unwrap();
        assert_eq!(one(&mut connection).await.unwrap(), 1);
        server.restart().await;
        assert!(one(&mut connection).await.is_err());
        PgConnection::connect(server.url()).await.unwrap();
    }
}
