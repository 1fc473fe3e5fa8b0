//! Where the canary looks for secrets.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use callboard_test_support::{Server, redis_cli};
use sqlx::{Connection as _, Row as _};

/// Gathers the command lines of all processes until it is told to end.
pub(crate) fn watch_command_lines(is_over: Arc<AtomicBool>) -> std::thread::JoinHandle<BTreeSet<String>> {
    std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !is_over.load(Ordering::Relaxed) {
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                seen.insert(String::from_utf8_lossy(&line).replace('\0', " "));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        seen
    })
}

/// Every row of every table, as text.
pub(crate) async fn database(url: &str) -> String {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let tables = sqlx::query(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    );
    let mut all = String::new();
    for table in tables.fetch_all(&mut connection).await.unwrap() {
        let table: String = table.get(0);
        let text = format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_one(&mut connection).await.unwrap();
        all.push_str(&row.get::<String, _>(0));
        all.push('\n');
    }
    all
}

/// Everything in Redis, whatever its type. (`DUMP` may compress what it shows.)
pub(crate) fn redis(server: &Server) -> String {
    let mut all = String::new();
    for key in redis_cli(server, &["keys", "*"]).lines() {
        let words = match redis_cli(server, &["type", key]).trim() {
            "string" => vec!["get", key],
            "list" => vec!["lrange", key, "0", "-1"],
            "set" => vec!["smembers", key],
            "zset" => vec!["zrange", key, "0", "-1", "withscores"],
            "hash" => vec!["hgetall", key],
            "stream" => vec!["xrange", key, "-", "+"],
            // It has expired.
            "none" => continue,
            other => panic!("{key} is a {other}"),
        };
        all.extend([key, "\n", &*redis_cli(server, &words), "\n"]);
    }
    all
}

/// How a zip file, an image and a video begin. docs/redaction.md says that they are kept as they
/// are.
const NO_TEXT: [&[u8]; 3] = [b"PK\x03\x04", b"\x89PNG", b"\x1a\x45\xdf\xa3"];

/// Names of all files below a directory, and contents of those that are text.
pub(crate) fn files(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            all.push_str(&files(&entry.path()));
        } else {
            let mut content = fs::read(entry.path()).unwrap_or_default();
            if NO_TEXT.iter().any(|beginning| content.starts_with(beginning)) {
                content.clear();
            }
            all.extend([&*name, "\n", &*String::from_utf8_lossy(&content), "\n"]);
        }
    }
    all
}
