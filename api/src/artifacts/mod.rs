//! Serves artifacts at `/artifacts/{id}` by signed URLs that expire after minutes.
//!
//! `Artifact.url` comes from [`ArtifactUrls::sign`]. Anyone with the URL can read that one file
//! until it expires. Responses are downloads or harmless media and never run as pages of this site,
//! because a foreign web page may have caused a browser to write the file.

mod file;
mod range;
mod urls;

use std::{fmt, path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{HeaderMap, Method, StatusCode},
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use callboard::{clock, ids::ArtifactId, store::StoreError};
use futures::future::BoxFuture;
use serde::Deserialize;

pub use urls::ArtifactUrls;

use crate::origin::{self, Origins};

/// A file in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Name of the file.
    pub name: String,
    /// Media type, as detected by the worker.
    pub content_type: String,
    /// Path below the artifact root, with `/`.
    pub path: String,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// The index of artifacts.
pub trait ArtifactIndex: Send + Sync + 'static {
    /// Returns the file. `None` if it never existed or was pruned.
    fn find(&self, id: ArtifactId) -> BoxFuture<'_, Result<Option<ArtifactFile>, StoreError>>;
}

/// The state of the route.
#[derive(Clone)]
pub struct Artifacts {
    /// Verifies URLs.
    pub urls: ArtifactUrls,
    /// Finds the files.
    pub index: Arc<dyn ArtifactIndex>,
    /// Directory of the files.
    pub root: PathBuf,
}

impl fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifacts").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Query parameters of a signed URL.
#[derive(Debug, Deserialize)]
struct Signed {
    expires: Option<i64>,
    signature: Option<String>,
}

/// The route `/artifacts/{id}`. Pages of these origins may read the files.
pub fn router(artifacts: Artifacts, origins: Origins) -> Router {
    Router::new()
        .route("/artifacts/{id}", get(serve))
        .with_state(artifacts)
        .layer(middleware::from_fn_with_state(origins, origin::apply_cors))
}

async fn serve(
    State(artifacts): State<Artifacts>,
    Path(id): Path<String>,
    signed: Result<Query<Signed>, axum::extract::rejection::QueryRejection>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let refused = || {
        (StatusCode::FORBIDDEN, "This URL is invalid or has expired. Get a new one from the GraphQL API.\n")
    };
    let (Ok(id), Ok(Query(Signed { expires: Some(expires), signature: Some(signature) }))) =
        (id.parse(), signed)
    else {
        return refused().into_response();
    };
    if !artifacts.urls.verify(id, expires, &signature, clock::now()) {
        return refused().into_response();
    }
    let gone = || (StatusCode::NOT_FOUND, "This file no longer exists.\n").into_response();
    match artifacts.index.find(id).await {
        Ok(Some(known)) => match file::open(&artifacts.root, &known, &method, &headers).await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(artifact = %id, error = %error, "an artifact could not be read");
                gone()
            }
        },
        Ok(None) => gone(),
        Err(error) => {
            tracing::warn!(artifact = %id, error = &error as &dyn std::error::Error, "an artifact could not be looked up");
            (StatusCode::SERVICE_UNAVAILABLE, "Try again.\n").into_response()
        }
    }
}
