//! A mutation may end the very key or session that it runs with, and is answered all the same.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_graphql::Context;

/// Whether an operation ends its caller's own key or session. In the data of its request.
#[derive(Debug, Default)]
pub struct OwnEnd(AtomicBool);

impl OwnEnd {
    /// Notes that the operation ends its caller's key or session. Called before it does, because
    /// what watches it may notice the end at once.
    pub(crate) fn note(ctx: &Context<'_>) {
        if let Some(own_end) = ctx.data_opt::<Arc<Self>>() {
            own_end.set(true);
        }
    }

    pub(crate) fn set(&self, is_own: bool) {
        self.0.store(is_own, Ordering::SeqCst);
    }

    /// Whether it was noted.
    pub(crate) fn is_noted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
