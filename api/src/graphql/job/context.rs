//! The services that job resolvers use. There is one per process, in the schema's data.

use std::{fmt, sync::Arc};

use async_graphql::Context;
use callboard::{steps::enqueue::context::SubmitContext, transport::Redis};

use crate::{
    enqueuer::Enqueuer,
    feed::Feed,
    graphql::{job_loaders::Readers, reads::Reads},
};

/// The services that job resolvers use.
pub struct JobContext {
    /// The submit context: store, keyring and compiled commands.
    pub submit: Arc<SubmitContext>,
    /// Redis, where steps announce their changes.
    pub redis: Redis,
    /// Batched reads.
    pub readers: Arc<Readers>,
    /// Accepts new jobs.
    pub enqueuer: Enqueuer,
    /// The subscriptions' source.
    pub feed: Feed,
}

impl JobContext {
    /// Starts the enqueuer and the feed. Must be called inside Tokio. Both end when the context is
    /// dropped.
    ///
    /// Queries read with the connections of `reads`.
    pub fn start(submit: Arc<SubmitContext>, reads: &Reads, redis: Redis) -> Self {
        Self {
            readers: Arc::new(Readers::new(reads.0.clone())),
            enqueuer: Enqueuer::start(Arc::clone(&submit), redis.clone()),
            feed: Feed::start(submit.store.clone(), redis.clone()),
            submit,
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
