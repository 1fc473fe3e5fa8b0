//! Artifacts: the files that attempts made. Their bytes go over `/artifacts`, by signed URLs.

use std::fmt::Write as _;

use async_graphql::{Context, ID, Object, Result};
use callboard::{clock, ids::ArtifactId, store::jobs::artifacts::ArtifactRecord};

use super::{
    job::JobContext,
    scalars::{BigInt, DateTime, Url},
};
use crate::artifacts::ArtifactUrls;

/// See the object below.
#[derive(Debug, Clone)]
pub struct Artifact(ArtifactRecord);

impl From<ArtifactRecord> for Artifact {
    fn from(record: ArtifactRecord) -> Self {
        Self(record)
    }
}

/// A file by its id; batched.
pub async fn load(ctx: &Context<'_>, id: ArtifactId) -> Result<Option<Artifact>> {
    let found = JobContext::of(ctx)?.readers.artifact(id).await?;
    Ok(found.map(|file| Artifact(file.as_ref().clone())))
}

/// A file that an attempt made: a screenshot, a trace, a video, or what its command kept.
#[Object]
impl Artifact {
    /// Global id, `artifact_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// Unique within the attempt.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Media type.
    async fn content_type(&self) -> &str {
        &self.0.content_type
    }

    /// Size in bytes.
    async fn size_bytes(&self) -> BigInt {
        BigInt(self.0.size_bytes)
    }

    /// SHA-256 of its bytes, as 64 hexadecimal digits.
    async fn sha256(&self) -> String {
        self.0.sha256.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    /// Number of the attempt that made it.
    async fn attempt(&self) -> i32 {
        self.0.attempt
    }

    /// Where to get it, for the next quarter of an hour, without a key. Null once the file is too old and has been removed.
    async fn url(&self, ctx: &Context<'_>) -> Option<Result<Url>> {
        if self.0.pruned_at.is_some() {
            return None;
        }
        Some(ctx.data::<ArtifactUrls>().map(|urls| Url(urls.sign(self.0.id, clock::now()))))
    }

    /// When it was kept.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
}
