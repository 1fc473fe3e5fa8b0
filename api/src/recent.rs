//! A result that everybody shares who asks within a second, so that a flood of questions costs one
//! answer a second.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    task::{JoinError, JoinHandle},
    time::Instant,
};

/// How long a result is given to others.
const RECENT: Duration = Duration::from_secs(1);

/// The last result. Cheap to clone.
pub(crate) struct Recent<T>(Arc<Mutex<Option<(Instant, T)>>>);

impl<T> Clone for Recent<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Recent<T> {
    /// Returns the result of the last second, or makes one. One is made at a time, in a task of its
    /// own, so that a client that goes away lets nobody begin another one. The error says that the
    /// making has panicked.
    pub(crate) async fn get<Making: Future<Output = T> + Send>(
        &self,
        make: impl FnOnce() -> Making + Send + 'static,
    ) -> Result<T, JoinError> {
        let last = Arc::clone(&self.0);
        let task: JoinHandle<T> = tokio::spawn(async move {
            let mut last = last.lock().await;
            if let Some((at, result)) = &*last
                && at.elapsed() < RECENT
            {
                return result.clone();
            }
            let result = make().await;
            *last = Some((Instant::now(), result.clone()));
            result
        });
        task.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_flood_of_questions_has_one_answer_a_second() {
        let (recent, made) = (Recent::default(), Arc::<AtomicU32>::default());
        let ask = || {
            let made = Arc::clone(&made);
            recent.get(|| async move {
                tokio::task::yield_now().await;
                made.fetch_add(1, Ordering::SeqCst)
            })
        };
        let began = Instant::now();
        // Nobody waits for these any more.
        for _ in 0..100 {
            let _gone = futures::FutureExt::now_or_never(ask());
        }
        let answers: Vec<u32> =
            join_all((0..100).map(|_| ask())).await.into_iter().map(Result::unwrap).collect();
        if began.elapsed() < RECENT {
            assert_eq!(answers, [0; 100]);
        }
        while ask().await.unwrap() == 0 {
            assert!(began.elapsed() < RECENT * 10, "a new one is made after a second");
            tokio::task::yield_now().await;
        }
    }
}
