//! Lets a subscription send an item again of which a part could not be loaded.
//!
//! The executor resolves an item's fields after the stream has gone on, so a client that hands back
//! the item's cursor would never see what was missing. [`Repeat::each`] keeps the last item, and
//! the engine asks for it again with [`Repeat::again`] instead of sending the response.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use async_graphql::Context;
use futures::{Stream, StreamExt as _, stream};

/// Nothing was given that could be repeated.
const NONE: u8 = 0;
/// The last item was given.
const GIVEN: u8 = 1;
/// The last item is wanted again.
const WANTED: u8 = 2;

/// The last item of one subscription. In the data of its request.
#[derive(Debug, Default)]
pub(crate) struct Repeat(AtomicU8);

impl Repeat {
    /// Whether there is an item that could be given again.
    pub(crate) fn is_given(&self) -> bool {
        self.0.load(Ordering::SeqCst) == GIVEN
    }

    /// Asks for the last item again. Returns whether there is one.
    pub(crate) fn again(&self) -> bool {
        self.0.compare_exchange(GIVEN, WANTED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// A stream of the same items that gives each once more whenever it was asked for
    /// [`again`](Self::again).
    pub(crate) fn each<S>(ctx: &Context<'_>, items: S) -> impl Stream<Item = S::Item> + Send + use<S>
    where
        S: Stream + Send + 'static,
        S::Item: Clone + Send,
    {
        let repeat = ctx.data_opt::<Arc<Self>>().map(Arc::clone).unwrap_or_default();
        stream::unfold((Box::pin(items), None, repeat), |(mut items, last, repeat)| async move {
            let is_wanted = repeat.0.swap(NONE, Ordering::SeqCst) == WANTED;
            let item = match last.filter(|_| is_wanted) {
                Some(last) => last,
                None => items.next().await?,
            };
            repeat.0.store(GIVEN, Ordering::SeqCst);
            Some((S::Item::clone(&item), (items, Some(item), repeat)))
        })
    }
}
