//! The embedded web pages: the landing page and the playground, which load nothing from other
//! hosts.
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

/// The routes of the pages.
pub fn router() -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { assets::serve("index.html", &headers) }))
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

async fn file(uri: Uri, headers: HeaderMap, _path: Option<Path<String>>) -> Response {
    assets::serve(uri.path().trim_start_matches('/'), &headers)
}

async fn to_playground() -> Response {
    Redirect::permanent("/playground").into_response()
}
