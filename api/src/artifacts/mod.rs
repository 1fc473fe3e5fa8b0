//! `/artifacts/{id}`: files that attempts made, by signed URLs that live for minutes.
//!
//! GraphQL's `Artifact.url` comes from [`ArtifactUrls::sign`]; whoever has the URL may read that one file until it
//! expires. Answers are attachments or harmless media and never run as pages of this site: an artifact is what a
//! stranger's web page made a browser write.

mod file;
mod urls;

use std::{fmt, path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use callboard::{clock, ids::ArtifactId, store::StoreError};
use futures::future::BoxFuture;
use serde::Deserialize;

pub use urls::ArtifactUrls;

/// A file as the catalogue knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactFile {
    /// For people.
    pub name: String,
    /// Media type, as the worker found it.
    pub content_type: String,
    /// Below the artifact root, with `/`.
    pub path: String,
}

/// Whoever knows the files.
pub trait ArtifactIndex: Send + Sync + 'static {
    /// The file; none when there never was one or it is pruned.
    fn find(&self, id: ArtifactId) -> BoxFuture<'_, Result<Option<ArtifactFile>, StoreError>>;
}

/// What the route needs.
#[derive(Clone)]
pub struct Artifacts {
    /// Checks URLs.
    pub urls: ArtifactUrls,
    /// Knows the files.
    pub index: Arc<dyn ArtifactIndex>,
    /// Holds the files.
    pub root: PathBuf,
}

impl fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifacts").field("root", &self.root).finish_non_exhaustive()
    }
}

/// What a signed URL carries.
#[derive(Debug, Deserialize)]
struct Signed {
    expires: Option<i64>,
    signature: Option<String>,
}

/// The route `/artifacts/{id}`.
pub fn router(artifacts: Artifacts) -> Router {
    Router::new().route("/artifacts/{id}", get(answer)).with_state(artifacts)
}

async fn answer(
    State(artifacts): State<Artifacts>,
    Path(id): Path<String>,
    signed: Result<Query<Signed>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let refused = || {
        (StatusCode::FORBIDDEN, "This URL has expired or is not one of ours. Ask the API for a new one.\n")
    };
    let (Ok(id), Ok(Query(Signed { expires: Some(expires), signature: Some(signature) }))) =
        (id.parse(), signed)
    else {
        return refused().into_response();
    };
    if !artifacts.urls.verify(id, expires, &signature, clock::now()) {
        return refused().into_response();
    }
    let gone = || (StatusCode::NOT_FOUND, "This file is not there any more.\n").into_response();
    match artifacts.index.find(id).await {
        Ok(Some(known)) => match file::open(&artifacts.root, &known).await {
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
