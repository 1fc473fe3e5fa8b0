//! Counts the SQL statements of a test, which runs on one thread.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, NoSubscriber, set_default},
};

/// Counts statements until it is dropped.
pub(crate) struct Statements {
    count: Arc<AtomicUsize>,
    _guard: DefaultGuard,
    /// With only one subscriber, tracing caches a callsite that another thread reaches first as
    /// disabled for ever. A second one prevents that.
    _second: Dispatch,
}

impl Statements {
    pub(crate) fn watch() -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let second = Dispatch::new(NoSubscriber::new());
        let guard = set_default(Counter(Arc::clone(&count)));
        Self { count, _guard: guard, _second: second }
    }

    /// Returns the number of statements since the last call.
    pub(crate) fn take_count(&self) -> usize {
        self.count.swap(0, Ordering::SeqCst)
    }
}

struct Counter(Arc<AtomicUsize>);

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query" && *metadata.level() <= Level::DEBUG
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
