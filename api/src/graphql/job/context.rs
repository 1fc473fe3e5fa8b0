//! What resolvers of jobs stand on: one per process, in the schema's data.

use std::{fmt, sync::Arc};

use async_graphql::Context;
use callboard::{steps::enqueue::context::Desk, transport::Redis};

use crate::{enqueuer::Enqueuer, feed::Feed, graphql::job_loaders::Readers};

/// See the module. Made by the server with [`start`](Self::start), and by tests.
pub struct JobContext {
    /// The store, the keys, the compiled commands.
    pub desk: Arc<Desk>,
    /// Where steps announce what they did.
    pub redis: Redis,
    /// Batched reads.
    pub readers: Readers,
    /// Takes new jobs.
    pub enqueuer: Enqueuer,
    /// What is followed.
    pub feed: Feed,
}

impl JobContext {
    /// Starts the enqueuer and the feed. Must be called inside Tokio; both end when this is dropped.
    pub fn start(desk: Arc<Desk>, redis: Redis) -> Self {
        Self {
            readers: Readers::new(Arc::clone(&desk)),
            enqueuer: Enqueuer::start(Arc::clone(&desk), redis.clone()),
            feed: Feed::start(desk.store.clone(), redis.clone()),
            desk,
            redis,
        }
    }

    /// That of an operation.
    pub fn of<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a Self> {
        ctx.data::<Self>()
    }
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobContext")
    }
}
