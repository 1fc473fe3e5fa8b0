//! Curl lines beside HTTP commands, against one recording server: what it receives and what comes
//! back is the same, but for the differences that docs/http-commands.md gives with their reasons.

use std::{collections::BTreeSet, process::Command};

use callboard::{
    command::{HttpBuilder, HttpSpec, Redirects},
    proxy::ProxyProtocol,
};
use serde_json::Value;

use crate::{
    call::{Call, DIRECT, Ended, Proxy},
    site::{Reply, Seen, Site},
};

/// A line of the table.
struct Line {
    name: &'static str,
    /// The arguments of curl. `@` is the site's URL.
    curl: &'static [&'static str],
    /// The command. Its argument is the site's URL.
    command: fn(&str) -> HttpBuilder,
    /// Headers that only one of the two sends, or sends otherwise.
    differs: &'static [&'static str],
}

const fn same(name: &'static str, curl: &'static [&'static str], command: fn(&str) -> HttpBuilder) -> Line {
    Line { name, curl, command, differs: &[] }
}

fn get(url: &str, path: &str) -> HttpBuilder {
    HttpSpec::builder(format!("{url}{path}"))
}

fn json_of(builder: HttpBuilder) -> HttpBuilder {
    builder.header("Content-Type", "application/json")
}

const JSON: &str = "Content-Type: application/json";
const FORM: &[&str] = &["content-type"];

#[expect(clippy::too_many_lines, reason = "a table")]
fn lines() -> Vec<Line> {
    vec![
        same("a page", &["@/plain"], |url| get(url, "/plain")),
        same("no path", &["@"], |url| get(url, "")),
        same("HEAD", &["-I", "@/plain"], |url| get(url, "/plain").method("HEAD")),
        same("OPTIONS", &["-X", "OPTIONS", "@/plain"], |url| get(url, "/plain").method("OPTIONS")),
        same("DELETE", &["-X", "DELETE", "@/plain"], |url| get(url, "/plain").method("DELETE")),
        same("a JSON body", &["-H", JSON, "-d", "{\"a\": [1]}", "@/echo"], |url| {
            json_of(get(url, "/echo").method("POST").body("{\"a\": [1]}"))
        }),
        same("PUT", &["-X", "PUT", "-H", JSON, "-d", "1", "@/echo"], |url| {
            json_of(get(url, "/echo").method("PUT").body("1"))
        }),
        same("PATCH", &["-X", "PATCH", "-H", JSON, "-d", "1", "@/echo"], |url| {
            json_of(get(url, "/echo").method("PATCH").body("1"))
        }),
        same("DELETE with a body", &["-X", "DELETE", "-H", JSON, "-d", "1", "@/echo"], |url| {
            json_of(get(url, "/echo").method("DELETE").body("1"))
        }),
        same("an empty body", &["-H", JSON, "-d", "", "@/echo"], |url| {
            json_of(get(url, "/echo").method("POST").body(""))
        }),
        same(
            "lines, the last one ended",
            &["-H", "Content-Type: text/x", "--data-binary", "a\nb\n", "@/echo"],
            |url| get(url, "/echo").method("POST").header("Content-Type", "text/x").body("a\nb\n"),
        ),
        same(
            "lines from a template",
            &["-H", "Content-Type: text/x", "--data-binary", "1\n2\n", "@/echo"],
            |url| {
                let body = "{% for n in [1, 2] %}{{ n }}\n{% endfor %}";
                get(url, "/echo").method("POST").header("Content-Type", "text/x").body(body)
            },
        ),
        same("text that is not ASCII", &["-H", JSON, "-d", "\"Grüße 😀\"", "@/echo"], |url| {
            json_of(get(url, "/echo").method("POST").body("\"Grüße 😀\""))
        }),
        Line {
            name: "a body without a type",
            curl: &["-d", "a=1", "@/echo"],
            command: |url| get(url, "/echo").method("POST").body("a=1"),
            differs: FORM,
        },
        same("a query", &["@/plain?a=b%20c&d=%2F&e=+&f=~"], |url| get(url, "/plain?a=b%20c&d=%2F&e=+&f=~")),
        same("dots in a path", &["@/a/./b/../c%2Fd?x=/../y"], |url| get(url, "/a/./b/../c%2Fd?x=/../y")),
        same("a fragment", &["@/plain#part"], |url| get(url, "/plain#part")),
        same("headers", &["-H", "X-One: 1", "-H", "X-Two: ä, b", "-H", "Accept: text/x", "@/plain"], |url| {
            get(url, "/plain").header("X-One", "1").header("X-Two", "ä, b").header("Accept", "text/x")
        }),
        same("an empty header", &["-H", "X-Empty;", "@/plain"], |url| {
            get(url, "/plain").header("X-Empty", "")
        }),
        same("another Host", &["-H", "Host: virtual.test", "@/plain"], |url| {
            get(url, "/plain").header("Host", "virtual.test")
        }),
        same("a user agent", &["-A", "mine/1", "@/agent"], |url| {
            get(url, "/agent").header("User-Agent", "mine/1")
        }),
        same(
            "a bearer token",
            &["-H", "Authorization: Bearer tok-0123456789-abcdefghijklmnopqrstuvwx", "@/plain"],
            |url| get(url, "/plain").header("Authorization", "Bearer {{ services.s.token }}"),
        ),
        same("a cookie", &["-b", "a=1; b=2", "@/plain"], |url| {
            get(url, "/plain").header("Cookie", "a=1; b=2")
        }),
        same("a status that is no success", &["@/missing"], |url| get(url, "/missing").expect_status(404)),
        same("no content", &["@/nothing"], |url| get(url, "/nothing")),
        same("compressed", &["--compressed", "-H", "Accept-Encoding: gzip", "@/gzip"], |url| {
            get(url, "/gzip").header("Accept-Encoding", "gzip")
        }),
        same("a redirect that is not followed", &["@/302"], |url| {
            get(url, "/302").redirects(Redirects::None).expect_status(302)
        }),
        same("302 within the origin", &["-L", "@/302"], |url| get(url, "/302")),
        same(
            "302 after a POST",
            &["-L", "-H", "X-Key: 1", "-d", "x", "-H", "Content-Type:", "@/302"],
            |url| get(url, "/302").method("POST").header("X-Key", "1").body("x"),
        ),
        same("303 after a POST", &["-L", "-d", "x", "-H", "Content-Type:", "@/303"], |url| {
            get(url, "/303").method("POST").body("x")
        }),
        same("307 after a POST", &["-L", "-H", JSON, "-d", "x", "@/307"], |url| {
            json_of(get(url, "/307").method("POST").body("x"))
        }),
        same("308 after a PUT", &["-L", "-X", "PUT", "-H", JSON, "-d", "x", "@/308"], |url| {
            json_of(get(url, "/308").method("PUT").body("x"))
        }),
        same("a cookie that a redirect sets", &["-L", "-b", "", "@/login"], |url| get(url, "/login")),
        Line {
            name: "a header, and a redirect to another origin",
            curl: &["-L", "-H", "X-Api-Key: 1", "-H", "Authorization: Bearer 1", "@/elsewhere"],
            command: |url| {
                get(url, "/elsewhere").header("X-Api-Key", "1").header("Authorization", "Bearer 1")
            },
            differs: &["x-api-key"],
        },
    ]
}

/// A site, and another origin on the same machine.
fn sites() -> (Site, Site) {
    let other = Site::start(|_| Reply::of(200, "elsewhere"));
    let target = other.url.clone();
    let site = Site::start(move |seen| {
        let path = seen.target.trim_start_matches('/');
        match path {
            "echo" => Reply::of(200, seen.body.clone()),
            "agent" => Reply::of(200, seen.header("user-agent").unwrap_or_default()),
            "missing" => Reply::of(404, "none").with("x-request-id", "7"),
            "nothing" => Reply::of(204, ""),
            "gzip" => Reply::of(200, GZIP).with("content-encoding", "gzip"),
            "302" | "303" | "307" | "308" => Reply::to(path.parse().unwrap(), "/echo"),
            "login" => Reply::to(302, "/plain").with("set-cookie", "sid=1; Path=/"),
            "elsewhere" => Reply::to(302, format!("{target}/there")),
            _ => Reply::of(200, "plain text"),
        }
    });
    (site, other)
}

/// `hello` in gzip, stored.
const GZIP: [u8; 25] = [
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0,
    0,
];

/// What curl wrote: the status and the body.
fn curl(arguments: &[String]) -> (u16, Vec<u8>) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--write-out", "%{stderr}%{http_code}"]);
    // Without the proxies and settings of whoever runs the test.
    let output = command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
    let status = String::from_utf8_lossy(&output.stderr).into_owned();
    (status.parse().unwrap_or_else(|_| panic!("{arguments:?}: {status}")), output.stdout)
}

fn answer(ended: &Ended) -> (u16, Vec<u8>) {
    let result = ended.result();
    let body = match &result["body"] {
        Value::String(text) => text.clone(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    };
    (result["status"].as_u64().unwrap() as u16, body.into_bytes())
}

/// Requests without the headers that may differ, the user agent's default among them.
fn comparable(seen: Vec<Seen>, differs: &[&str]) -> Vec<Seen> {
    let is_default = |value: &str| value.starts_with("curl/") || value.starts_with("callboard/");
    let differs =
        |name: &str, value: &str| differs.contains(&name) || (name == "user-agent" && is_default(value));
    let without = |mut seen: Seen| {
        seen.headers.retain(|(name, value)| !differs(name, value));
        seen
    };
    seen.into_iter().map(without).collect()
}

#[test]
fn a_command_does_what_the_curl_line_does() {
    let (site, other) = sites();
    let all = lines();
    assert!(all.len() >= 20);
    assert_eq!(all.iter().map(|line| line.name).collect::<BTreeSet<_>>().len(), all.len());
    for Line { name, curl: arguments, command, differs } in all {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| {
                argument
                    .strip_prefix('@')
                    .map_or_else(|| (*argument).to_owned(), |path| format!("{}{path}", site.url))
            })
            .collect();
        let is_head = arguments.contains(&"-I".to_owned());
        let (status, body) = curl(&arguments);
        let received = comparable([site.take(), other.take()].concat(), differs);
        let ended = DIRECT.run(command(&site.url));
        let found = comparable([site.take(), other.take()].concat(), differs);
        assert_eq!(found, received, "{name}");
        let (found, text) = answer(&ended);
        assert_eq!(found, status, "{name}");
        // curl -I shows the headers instead.
        assert!(is_head || text == body, "{name}: {:?}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_command_behind_a_proxy_does_what_curl_does() {
    let proxy = Site::start(|_| Reply::of(200, "through"));
    // curl percent-decodes what it is given.
    let arguments =
        ["-x", &proxy.url, "-U", "u:p%3A%2F%3F%23%2540", "http://site.test/x?y"].map(str::to_owned);
    let (status, body) = curl(&arguments);
    let received = comparable(proxy.take(), &["proxy-connection"]);
    let login = Proxy {
        protocol: ProxyProtocol::Http,
        address: &proxy.address,
        username: Some("u"),
        password: Some("p:/?#%40"),
    };
    let ended = Call { proxy: Some(login), ..DIRECT }.run(HttpSpec::builder("http://site.test/x?y"));
    assert_eq!(comparable(proxy.take(), &[]), received);
    assert_eq!(answer(&ended), (status, body));
}
