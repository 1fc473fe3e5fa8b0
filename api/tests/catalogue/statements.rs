//! Counts the SQL statements of this thread's tests, which run on one thread each.

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

/// Counts from its making on, until it is dropped.
pub(crate) struct Statements {
    count: Arc<AtomicUsize>,
    _guard: DefaultGuard,
    /// While there is only one subscriber, a statement that another thread runs first is taken for one that
    /// nobody wants to hear of, for ever. So there are two.
    _second: Dispatch,
}

impl Statements {
    pub(crate) fn watch() -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let second = Dispatch::new(NoSubscriber::new());
        let guard = set_default(Counter(Arc::clone(&count)));
        Self { count, _guard: guard, _second: second }
    }

    /// Statements since the last call.
    pub(crate) fn taken(&self) -> usize {
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
