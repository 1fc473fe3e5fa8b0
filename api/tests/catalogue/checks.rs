//! `proxyCheck`, with real requests through small proxies in the test.

use std::{net::SocketAddr, time::Duration};

use callboard_api::graphql::proxy::ProxyProbe;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::api::TestApi;

const HEALTH: &str = "id version health { status latency exitAddress checkedAt failure }";
/// The Basic credentials of the user `us%41r` with the password `p w%`.
const BASIC: &str = "Basic dXMlNDFyOnAgdyU=";

/// Starts a proxy that sends `response` to requests with `wanted` in their head, and 407 to others.
async fn http_proxy(wanted: &'static str, response: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = head(&mut stream).await.to_lowercase();
            let refused = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
            let response = if head.contains(&wanted.to_lowercase()) { response } else { refused };
            stream.write_all(response.as_bytes()).await.ok();
        }
    });
    address
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Starts a SOCKS5 proxy for one user, which also plays the target.
async fn socks_proxy(username: &'static str, password: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut expected = vec![1, username.len() as u8];
            expected.extend_from_slice(username.as_bytes());
            expected.push(password.len() as u8);
            expected.extend_from_slice(password.as_bytes());
            let mut greeting = [0; 2];
            stream.read_exact(&mut greeting).await.unwrap();
            let mut methods = vec![0; greeting[1].into()];
            stream.read_exact(&mut methods).await.unwrap();
            if !methods.contains(&2) {
                stream.write_all(&[5, 0xff]).await.ok();
                continue;
            }
            stream.write_all(&[5, 2]).await.unwrap();
            let mut login = vec![0; expected.len()];
            stream.read_exact(&mut login).await.unwrap();
            stream.write_all(&[1, u8::from(login != expected)]).await.unwrap();
            let mut request = [0; 5];
            if stream.read_exact(&mut request).await.is_err() {
                continue;
            }
            assert_eq!(request[3], 3, "the proxy resolves names");
            let mut name = vec![0; usize::from(request[4]) + 2];
            stream.read_exact(&mut name).await.unwrap();
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.ok();
        }
    });
    address
}

async fn checked(probe: ProxyProbe, proxy: Value) -> (TestApi, Value) {
    let api = TestApi::start_with(probe).await;
    let id = api.mutate_ok("proxyCreate", "id", proxy).await["id"].take();
    let proxy = api.mutate_ok("proxyCheck", HEALTH, json!({ "id": id })).await;
    let read = api
        .data(
            "query($id: ID!) { proxy(id: $id) { health { status failure checkedAt } version } }",
            json!({ "id": id }),
        )
        .await;
    for field in ["status", "failure", "checkedAt"] {
        assert_eq!(read["proxy"]["health"][field], proxy["health"][field], "the result is stored");
    }
    assert_eq!(proxy["version"], 1, "a check is not a change");
    assert!(proxy["health"]["checkedAt"].is_string());
    (api, proxy["health"].clone())
}

fn probe() -> ProxyProbe {
    ProxyProbe::new(Some("http://target.test/probe".parse().unwrap()))
}

#[tokio::test]
async fn a_check_sends_a_request_with_the_credentials() {
    let response = "HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n{\"origin\": \"203.0.113.7\"}\r\n";
    let address = http_proxy(BASIC, response).await;
    let with = json!({
        "name": "x", "protocol": "HTTP", "address": address.to_string(), "username": "us%41r",
        "password": "p w%",
    });
    let (api, health) = checked(probe(), with.clone()).await;
    assert_eq!(
        json!([health["status"], health["exitAddress"], health["failure"]]),
        json!(["HEALTHY", "203.0.113.7", null])
    );
    assert!(health["latency"].as_str().unwrap().starts_with("PT"), "{health}");
    api.assert_never_returned(&["us%41r", "p w%", "p%20w", BASIC]);

    let mut without = with;
    without["password"] = "wrong-one".into();
    let (api, health) = checked(probe(), without).await;
    assert_eq!((&health["status"], &health["latency"]), (&json!("DOWN"), &Value::Null));
    assert!(health["failure"].as_str().unwrap().contains("407"), "{health}");
    api.assert_never_returned(&["wrong-one"]);
}

#[tokio::test]
async fn a_socks_proxy_resolves_names_itself() {
    let address = socks_proxy("us%41r", "p w%").await;
    let proxy = |password: &str| {
        json!({
            "name": "x", "protocol": "SOCKS5", "address": address.to_string(), "username": "us%41r",
            "password": password,
        })
    };
    let (_, health) = checked(probe(), proxy("p w%")).await;
    assert_eq!((&health["status"], &health["exitAddress"]), (&json!("HEALTHY"), &Value::Null), "{health}");
    let (api, health) = checked(probe(), proxy("bad!")).await;
    assert_eq!(health["status"], "DOWN");
    api.assert_never_returned(&["bad!", "us%41r"]);
}

#[tokio::test]
async fn an_unreachable_or_failing_proxy_is_down() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = free.local_addr().unwrap();
    drop(free);
    let proxy =
        |address: SocketAddr| json!({ "name": "x", "protocol": "HTTP", "address": address.to_string() });
    let (_, health) = checked(probe(), proxy(closed)).await;
    assert_eq!(health["status"], "DOWN");
    assert!(health["failure"].as_str().unwrap().contains("refused"), "{health}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_, health) =
        checked(probe().with_time_max(Duration::from_millis(200)), proxy(silent.local_addr().unwrap())).await;
    assert_eq!(health["failure"], "no response within 0.2 s");

    let sick = http_proxy("", "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    let (_, health) = checked(probe(), proxy(sick)).await;
    assert_eq!(health["failure"], "the request returned 503 Service Unavailable");
}

#[tokio::test]
async fn a_check_without_a_target_or_a_proxy_is_refused() {
    let api = TestApi::start().await;
    let id = api.create("proxy", "x").await;
    let payload = api.mutate("proxyCheck", "proxy { id }", json!({ "id": id })).await;
    assert_eq!(payload["userErrors"][0]["code"], "NOT_ALLOWED_IN_STATE");
    assert!(payload["userErrors"][0]["message"].as_str().unwrap().contains("CALLBOARD_PROXY_CHECK_URL"));
    for unknown in ["", "profile_x", "proxy_01h455vb4pex5vsknk084sn02q"] {
        assert_eq!(api.refused("proxyCheck", json!({ "id": unknown })).await, ["NOT_FOUND id"]);
    }
    let forbidden = "mutation($i: ProxyCheckInput!) { proxyCheck(input: $i) { proxy { id } } }";
    let (_, response) = api.execute(Some("cb_operator"), forbidden, json!({ "i": { "id": id } })).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test]
async fn a_new_address_resets_the_health_to_unknown() {
    let address = http_proxy("", "HTTP/1.1 204 No Content\r\n\r\n").await;
    let (api, health) =
        checked(probe(), json!({ "name": "x", "protocol": "HTTP", "address": address.to_string() })).await;
    assert_eq!(health["status"], "HEALTHY");
    let id = api.data("{ proxy(name: \"x\") { id } }", json!({})).await["proxy"]["id"].take();
    let moved = api.mutate_ok("proxyUpdate", HEALTH, json!({ "id": id, "address": "127.0.0.1:9" })).await;
    assert_eq!(json!([moved["health"]["status"], moved["health"]["checkedAt"]]), json!(["UNKNOWN", null]));
}
