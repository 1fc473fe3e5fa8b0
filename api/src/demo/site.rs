//! The demo site at `/demo`: a login form, a page behind it, and `/demo/api/quote`.
//!
//! The demo's Playwright job logs in to it, reads it and takes a screenshot. A limited number of
//! sessions is kept in memory.

use std::{collections::VecDeque, fmt, sync::Arc};

use axum::{
    Form, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use callboard::clock;
use parking_lot::Mutex;
use serde::Deserialize;

use super::quote::{self, Quotes};

/// The only user of the site.
pub const USER: &str = "demo";
/// The user's password.
pub const PASSWORD: &str = "callboard";
/// Maximum number of sessions. Beyond it, the oldest one ends.
const SESSIONS_MAX: usize = 100;
const COOKIE: &str = "demo_session";
/// The pages use one style sheet of their own, pictures as data, and no scripts.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'";

const LOGIN: &str = include_str!("login.html");
const ORDERS: &str = include_str!("orders.html");
const STYLE: &str = include_str!("style.css");

#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<VecDeque<String>>>);

impl Sessions {
    fn open(&self) -> String {
        let token = hex::encode(clock::random_bytes::<16>());
        let mut tokens = self.0.lock();
        if tokens.len() >= SESSIONS_MAX {
            tokens.pop_front();
        }
        tokens.push_back(token.clone());
        token
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        cookie(headers).is_some_and(|token| self.0.lock().contains(&token))
    }

    fn close(&self, headers: &HeaderMap) {
        if let Some(token) = cookie(headers) {
            self.0.lock().retain(|known| *known != token);
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get(header::COOKIE)?.to_str().ok()?;
    all.split(';').find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('=').map(str::to_owned))
}

/// The routes of the site.
pub fn router() -> Router {
    let pages = Router::new()
        .route("/demo", get(home))
        .route("/demo/login", get(|| async { login_page(StatusCode::OK, "") }).post(log_in))
        .route("/demo/orders", get(orders))
        .route("/demo/logout", post(log_out))
        .route(
            "/demo/style.css",
            get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }),
        )
        .with_state(Sessions::default());
    pages.merge(quote::router(Quotes::default()))
}

async fn home(State(sessions): State<Sessions>, headers: HeaderMap) -> Redirect {
    Redirect::to(if sessions.knows(&headers) { "/demo/orders" } else { "/demo/login" })
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

async fn log_in(State(sessions): State<Sessions>, Form(given): Form<Credentials>) -> Response {
    if given.username != USER || given.password != PASSWORD {
        return login_page(StatusCode::UNAUTHORIZED, "Wrong name or password.");
    }
    let cookie = format!("{COOKIE}={}; Path=/demo; HttpOnly; SameSite=Lax; Max-Age=86400", sessions.open());
    ([(header::SET_COOKIE, cookie)], Redirect::to("/demo/orders")).into_response()
}

async fn log_out(State(sessions): State<Sessions>, headers: HeaderMap) -> Response {
    sessions.close(&headers);
    let cookie = format!("{COOKIE}=; Path=/demo; HttpOnly; SameSite=Lax; Max-Age=0");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/demo/login")).into_response()
}

async fn orders(State(sessions): State<Sessions>, headers: HeaderMap) -> Response {
    if !sessions.knows(&headers) {
        return Redirect::to("/demo/login").into_response();
    }
    page(StatusCode::OK, ORDERS.replace("{{user}}", USER))
}

fn login_page(status: StatusCode, error: &str) -> Response {
    let shown = if error.is_empty() {
        String::new()
    } else {
        format!("<p class=\"error\" role=\"alert\">{error}</p>")
    };
    page(status, LOGIN.replace("{{error}}", &shown))
}

fn page(status: StatusCode, html: String) -> Response {
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
    (status, headers, Html(html)).into_response()
}
