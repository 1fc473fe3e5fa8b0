//! A Redis for tests, on a loopback port.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    home::Home,
    must, random_name,
    server::{Kind, Server},
    unblocked,
};

/// URL of the Redis that all tests share.
const SHARED: &str = "CALLBOARD_TEST_REDIS_URL";

static OWN: OnceLock<Result<Server, String>> = OnceLock::new();

/// Returns the URL of the Redis that the tests share. Use only keys that begin with a
/// [`redis_prefix`].
pub async fn redis_url() -> String {
    if let Ok(url) = std::env::var(SHARED) {
        return url;
    }
    unblocked(|| {
        let own = OWN.get_or_init(|| launch().map_err(|error| format!("{error:#}")));
        own.as_ref().map(|server| server.url().to_owned()).map_err(|error| anyhow::anyhow!(error.clone()))
    })
    .await
}

/// Returns a prefix for keys and channels that no other test uses.
pub fn redis_prefix() -> String {
    format!("test_{}", must(random_name()))
}

/// Starts a Redis for one test. It keeps its data on disk, so that it loses nothing when it is
/// killed.
pub async fn private_redis() -> Server {
    unblocked(launch).await
}

/// Runs `redis-cli` with these words and returns its output, which is empty if the server does not
/// respond.
pub fn redis_cli(server: &Server, words: &[&str]) -> String {
    let (password, address) = parts(server.url());
    let port = address.rsplit(':').next().unwrap_or_default();
    let mut command = Command::new("redis-cli");
    let output = command.env("REDISCLI_AUTH", password).args(["-p", port]).args(words).output();
    String::from_utf8_lossy(&must(output.map_err(anyhow::Error::from)).stdout).into_owned()
}

/// Runs `redis-cli MONITOR`, which writes every command that the server gets to `into`. The caller
/// ends it.
pub fn redis_monitor(server: &Server, into: fs::File) -> std::process::Child {
    let (password, address) = parts(server.url());
    let port = address.rsplit(':').next().unwrap_or_default();
    let mut command = Command::new("redis-cli");
    command.env("REDISCLI_AUTH", password).args(["-p", port, "MONITOR"]).stdout(into);
    must(command.spawn().map_err(anyhow::Error::from))
}

/// Returns the password and the address in the URL of a server from this module.
fn parts(url: &str) -> (&str, &str) {
    url.trim_start_matches("redis://:").trim_end_matches("/0").split_once('@').unwrap_or_default()
}

fn launch() -> anyhow::Result<Server> {
    let home = Home::new()?;
    fs::create_dir(home.path().join("redis"))?;
    let password = random_name()?;
    let mut program = vec!["redis-server".to_owned()];
    for (name, value) in [
        ("--bind", "127.0.0.1"),
        ("--requirepass", &*password),
        ("--save", ""),
        ("--appendonly", "yes"),
        ("--appendfsync", "everysec"),
        ("--loglevel", "notice"),
    ] {
        program.extend([name.to_owned(), value.to_owned()]);
    }
    let kind = Kind {
        name: "redis",
        stop: Signal::TERM,
        stop_name: "KILL",
        program,
        port_flag: "--port",
        user: None,
        answers,
        password: password.clone(),
    };
    Server::launch(home, kind, |port| format!("redis://:{password}@127.0.0.1:{port}/0"))
}

/// Whether it accepts the password and has loaded its data.
fn answers(port: u16, password: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("AUTH {password}\r\nPING\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("+OK\r\n+PONG\r\n"))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a command to the Redis of a URL and returns the response.
    fn say(url: &str, command: &str) -> std::io::Result<String> {
        let (password, address) = parts(url);
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        stream.write_all(format!("AUTH {password}\r\n{command}\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[tokio::test]
    async fn keeps_its_data_and_its_port_when_it_is_killed() {
        let server = private_redis().await;
        say(server.url(), "SET kept 17").unwrap();
        server.kill();
        assert!(say(server.url(), "PING").is_err());
        server.start().await;
        assert!(say(server.url(), "GET kept").unwrap().contains("17"));
        server.freeze();
        assert!(say(server.url(), "PING").is_err(), "a frozen server does not respond");
        server.thaw();
        assert!(say(server.url(), "PING").unwrap().contains("PONG"));
        server.restart().await;
        assert!(say(server.url(), "GET kept").unwrap().contains("17"));
    }

    #[tokio::test]
    async fn the_shared_one_is_one() {
        let (one, other) = tokio::join!(redis_url(), redis_url());
        assert_eq!(one, other);
        assert_ne!(redis_prefix(), redis_prefix());
    }
}
