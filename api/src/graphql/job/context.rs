//! The services that job resolvers use. There is one per process, in the schema's data.

use std::{fmt, sync::Arc};

use async_graphql::Context;
use callboard::{steps::enqueue::context::Desk, transport::Redis};

use crate::{enqueuer::Enqueuer, feed::Feed, graphql::job_loaders::Readers};

/// The services that job resolvers use.
pub struct JobContext {
    /// The submit context: store, keyring and compiled commands.
    pub desk: Arc<Desk>,
    /// Redis, where steps announce their changes.
    pub redis: Redis,
    /// Batched reads.
    pub readers: Readers,
    /// Accepts new jobs.
    pub enqueuer: Enqueuer,
    /// The subscriptions' source.
    pub feed: Feed,
}

impl JobContext {
    /// Starts the enqueuer and the feed. Must be called inside Tokio. Both end when the context is
    /// dropped.
    pub fn start(desk: Arc<Desk>, redis: Redis) -> Self {
        Self {
            readers: Readers::new(Arc::clone(&desk)),
            enqueuer: Enqueuer::start(Arc::clone(&desk), redis.clone()),
            feed: Feed::start(desk.store.clone(), redis.clone()),
            desk,
            redis,
        }
    }

    /// Returns the context of an operation.
    pub fn of<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a Self> {
        ctx.data::<Self>()
    }
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobContext")
    }
}
