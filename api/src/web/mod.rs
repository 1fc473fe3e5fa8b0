//! The embedded web pages: the dashboard and the playground, which load nothing from other hosts.
//!
//! In debug builds the files are read from disk on each request.

mod assets;
mod headers;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};

pub use headers::secure;

/// Where the dashboard shows pages, and objects below some of them. Its script reads the path, so
/// all of them get the same document.
const DASHBOARD: [&str; 14] = [
    "/",
    "/audit",
    "/commands",
    "/compose",
    "/jobs",
    "/keys",
    "/profiles",
    "/proxies",
    "/queues",
    "/schedules",
    "/services",
    "/settings",
    "/sign-in",
    "/workers",
];

/// The routes of the pages.
pub fn router() -> Router {
    let mut router = Router::new();
    for path in DASHBOARD {
        router = router.route(path, get(dashboard));
        if path != "/" {
            router = router.route(&format!("{path}/{{*below}}"), get(dashboard));
        }
    }
    router
        .route(
            "/playground",
            get(|headers: HeaderMap| async move { assets::serve("playground/index.html", &headers) }),
        )
        .route("/playground/", get(to_playground))
        .route("/playground/assets/{*path}", get(file))
        .route("/assets/{*path}", get(file))
        .route("/favicon.svg", get(file))
        .route("/favicon.ico", get(|| async { Redirect::permanent("/favicon.svg") }))
}

async fn dashboard(headers: HeaderMap) -> Response {
    assets::serve("index.html", &headers)
}

async fn file(uri: Uri, headers: HeaderMap, _path: Option<Path<String>>) -> Response {
    assets::serve(uri.path().trim_start_matches('/'), &headers)
}

async fn to_playground() -> Response {
    Redirect::permanent("/playground").into_response()
}
