//! The demo site and the demo proxy, used as a job uses them.

use callboard_api::demo::{proxy, site};
use reqwest::{Proxy, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::test_server::{client, start_default};

#[tokio::test]
async fn the_orders_page_requires_a_login() {
    let server = start_default().await;
    let log_in = |name: &str, password: &str| {
        client()
            .post(server.url("/demo/login"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("username={name}&password={password}"))
            .send()
    };
    let response = client().get(server.url("/demo")).send().await.unwrap();
    assert_eq!(response.headers()["location"], "/demo/login");
    assert_eq!(
        client().get(server.url("/demo/orders")).send().await.unwrap().headers()["location"],
        "/demo/login"
    );
    let wrong = log_in(site::USER, "wrong").await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(wrong.text().await.unwrap().contains("Wrong name or password."));
    let right = log_in(site::USER, site::PASSWORD).await.unwrap();
    assert_eq!(right.status(), StatusCode::SEE_OTHER);
    let cookie = right.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let orders = client().get(server.url("/demo/orders")).header("cookie", session).send().await.unwrap();
    assert_eq!(orders.status(), StatusCode::OK);
    assert!(orders.headers()["content-security-policy"].to_str().unwrap().contains("style-src 'self'"));
    let page = orders.text().await.unwrap();
    assert!(page.contains("<table id=\"orders\">") && page.contains("<b id=\"user\">demo</b>"), "{page}");
    let style = client().get(server.url("/demo/style.css")).send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    client().post(server.url("/demo/logout")).header("cookie", session).send().await.unwrap();
    let after = client().get(server.url("/demo/orders")).header("cookie", session).send().await.unwrap();
    assert_eq!(after.headers()["location"], "/demo/login");
}

#[tokio::test]
async fn quotes_require_a_token_and_report_their_rate_limit() {
    let server = start_default().await;
    let get_quote = |key: &'static str| client().get(server.url("/demo/api/quote")).bearer_auth(key).send();
    assert_eq!(get_quote("other").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let first = get_quote("demo-token-1").await.unwrap();
    assert_eq!(
        (first.status(), first.headers()["x-ratelimit-remaining"].to_str().unwrap()),
        (StatusCode::OK, "9")
    );
    let quote: Value = first.json().await.unwrap();
    assert!(quote["price"].is_f64() && quote["asOf"].is_string(), "{quote}");
    for _ in 0..9 {
        get_quote("demo-token-1").await.unwrap();
    }
    let refused = get_quote("demo-token-1").await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 10);
    assert_eq!(get_quote("demo-token-2").await.unwrap().status(), StatusCode::OK);
}

async fn start_proxy() -> (std::net::SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let stopped = stop.clone();
    tokio::spawn(async move { proxy::run(listener, "demo", &"callboard".into(), stopped).await.unwrap() });
    (address, stop)
}

#[tokio::test]
async fn the_proxy_forwards_only_with_its_password_and_only_to_loopback() {
    let server = start_default().await;
    let (address, stop) = start_proxy().await;
    let through = |user: &str, password: &str| {
        let proxy = Proxy::http(format!("http://{address}")).unwrap().basic_auth(user, password);
        callboard::startup::http_client!()
            .proxy(proxy)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap()
    };
    let response = through("demo", "callboard").get(server.url("/healthz")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.json::<Value>().await.unwrap()["status"], "alive");
    let posted = through("demo", "callboard")
        .post(server.url("/demo/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("username=demo&password=callboard")
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status(), StatusCode::SEE_OTHER);
    let wrong = through("demo", "wrong").get(server.url("/healthz")).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let outside = through("demo", "callboard").get("http://192.0.2.1/").send().await.unwrap();
    assert_eq!(outside.status(), StatusCode::FORBIDDEN);
    stop.cancel();
}

#[tokio::test]
async fn the_proxy_tunnels_connect_requests() {
    let server = start_default().await;
    let (address, stop) = start_proxy().await;
    let connect = |target: String, authorization: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = vec![0; 1024];
        let length = stream.read(&mut response).await.unwrap();
        (String::from_utf8_lossy(&response[..length]).into_owned(), stream)
    };
    // The credentials are `demo:callboard`.
    let key = "Proxy-Authorization: Basic ZGVtbzpjYWxsYm9hcmQ=\r\n";
    let (response, mut tunnel) = connect(server.address.to_string(), key).await;
    assert!(
        response.starts_with("HTTP/1.1 200") && response.contains("Via: 1.1 callboard-demo-proxy"),
        "{response}"
    );
    tunnel.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut page = String::new();
    tunnel.read_to_string(&mut page).await.unwrap();
    assert!(page.contains("alive"), "{page}");
    assert!(connect(server.address.to_string(), "").await.0.starts_with("HTTP/1.1 407"));
    assert!(connect("192.0.2.1:443".into(), key).await.0.starts_with("HTTP/1.1 403"));
    assert!(connect("nonsense".into(), key).await.0.starts_with("HTTP/1.1 400"));
    stop.cancel();
}
