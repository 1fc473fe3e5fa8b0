//! The GraphQL type `Artifact`. The files themselves are downloaded from `/artifacts` by signed
//! URLs.

use async_graphql::{Context, ID, Object, Result};
use callboard::{clock, ids::ArtifactId, secret::is_text_type, store::jobs::artifacts::ArtifactRecord};

use super::{
    job::{JobContext, is_kept_back},
    scalars::{BigInt, DateTime, Url},
};
use crate::artifacts::ArtifactUrls;

/// The GraphQL object `Artifact`.
#[derive(Debug, Clone)]
pub struct Artifact(ArtifactRecord);

impl From<ArtifactRecord> for Artifact {
    fn from(record: ArtifactRecord) -> Self {
        Self(record)
    }
}

/// Loads an artifact by its id, unless the command of its job keeps it from the caller. Batched.
pub async fn load(ctx: &Context<'_>, id: ArtifactId) -> Result<Option<Artifact>> {
    let found = JobContext::of(ctx)?.readers.artifact(id).await?;
    let Some(file) = found else { return Ok(None) };
    if is_kept_back(ctx, file.job).await? {
        return Ok(None);
    }
    Ok(Some(Artifact(file.as_ref().clone())))
}

/// A file made by an attempt: a screenshot, a trace, a video, or a file that the command kept.
#[Object]
impl Artifact {
    /// The global id, `artifact_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// The name, unique within the attempt.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The media type.
    async fn content_type(&self) -> &str {
        &self.0.content_type
    }

    /// Whether the file may hold secrets of the job. Text in UTF-8 is redacted when it is kept.
    /// Screenshots, videos, traces, text in other encodings and other files are kept as they are.
    async fn may_hold_secrets(&self) -> bool {
        !self.0.is_redacted.unwrap_or_else(|| is_text_type(&self.0.content_type))
    }

    /// The size in bytes.
    async fn size_bytes(&self) -> BigInt {
        BigInt(self.0.size_bytes)
    }

    /// The SHA-256 hash of the file, as 64 hexadecimal digits.
    async fn sha256(&self) -> String {
        hex::encode(self.0.sha256)
    }

    /// Number of the attempt that made the file.
    async fn attempt(&self) -> i32 {
        self.0.attempt
    }

    /// A URL to download the file without a key, valid for 15 minutes. It serves ranges of bytes
    /// (`Range`), also to pages of allowed origins. Null once the file has been
    /// pruned.
    async fn url(&self, ctx: &Context<'_>) -> Option<Result<Url>> {
        if self.0.pruned_at.is_some() {
            return None;
        }
        Some(ctx.data::<ArtifactUrls>().map(|urls| Url(urls.sign(self.0.id, clock::now()).into())))
    }

    /// When the artifact was stored.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
}
