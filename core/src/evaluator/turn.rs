//! Turns: who is evaluated when.
//!
//! Each kind of purpose has slots of its own, so that no preview delays a save, and no save a job.
//! A caller waits in a line of its own for its turn, and only the first of each line waits for a
//! slot, so that many evaluations of one caller delay another caller by one at most.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::{Evaluator, Unavailable};
use crate::{audit::Actor, ids::ApiKeyId};

/// Most turns of one caller that wait or are under way, for each kind of purpose.
const LINE_MAX: usize = 1000;

/// What an evaluation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// This caller looks at what a command composes to, and expects an answer within a second.
    Preview(&'a Actor),
    /// This caller reads commands of jobs.
    Read(&'a Actor),
    /// This caller saves a command or a schedule.
    Save(&'a Actor),
    /// This caller enqueues jobs.
    Enqueue(&'a Actor),
    /// A schedule is due.
    Fire,
    /// An attempt starts.
    Attempt,
    /// Only what is light is evaluated. Everything else fails at once with
    /// [`Unavailable::NotLight`].
    Light,
}

/// How long a purpose waits.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Longest wait in the line, and longest wait for a slot.
    wait: Duration,
    /// Longest time of an evaluation, which is more than its time on the processor when the machine
    /// is busy.
    time: Duration,
}

/// The slots and the lines.
#[derive(Debug)]
pub(super) struct Queues {
    drafts: Semaphore,
    saves: Semaphore,
    jobs: Semaphore,
    /// Of schedules, which would be passed over if they waited behind attempts for too long.
    fires: Semaphore,
    lines: Mutex<HashMap<Line, Arc<Semaphore>>>,
}

/// Key of a queue: turns with the same key run one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Line {
    purpose: &'static str,
    /// The key in the catalogue. `None` for another caller, which has only a name.
    key: Option<ApiKeyId>,
    name: String,
}

/// The right to have something evaluated, one thing after the other. Its caller's next turn begins
/// when it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    pub(super) evaluator: &'a Evaluator,
    purpose: Purpose<'a>,
    ticket: Option<LineTicket<'a>>,
    waited: Duration,
}

/// A place in a line of turns.
#[derive(Debug)]
struct LineTicket<'a> {
    queues: &'a Queues,
    line: Line,
    turn: Arc<Semaphore>,
    is_first: bool,
}

impl Default for Queues {
    fn default() -> Self {
        // More would only compete for the processors.
        let [drafts, jobs] = [2; 2].map(Semaphore::new);
        let [saves, fires] = [1; 2].map(Semaphore::new);
        Self { drafts, saves, jobs, fires, lines: Mutex::default() }
    }
}

impl Purpose<'_> {
    const fn limits(self) -> Limits {
        let (wait_millis, seconds) = match self {
            Self::Preview(_) | Self::Read(_) => (500, 2),
            Self::Save(_) => (5000, 5),
            // It may take long, but must not be lost.
            Self::Enqueue(_) | Self::Attempt | Self::Light => (10_000, 10),
            // The other schedules wait behind it, and it comes again soon.
            Self::Fire => (1000, 10),
        };
        Limits { wait: Duration::from_millis(wait_millis), time: Duration::from_secs(seconds) }
    }

    fn line(self) -> Option<Line> {
        let of = |purpose, actor: &Actor| {
            let name = actor.key.map_or_else(|| actor.name.clone(), |_key| String::new());
            Some(Line { purpose, key: actor.key, name })
        };
        match self {
            Self::Preview(actor) => of("preview", actor),
            Self::Read(actor) => of("read", actor),
            Self::Save(actor) => of("save", actor),
            Self::Enqueue(actor) => of("enqueue", actor),
            // One after the other by themselves, or as few as the attempts of a worker.
            Self::Fire | Self::Attempt | Self::Light => None,
        }
    }
}

impl Queues {
    /// Waits for one of the slots of this purpose.
    async fn slot(&self, purpose: Purpose<'_>) -> Result<SemaphorePermit<'_>, Unavailable> {
        let slots = match purpose {
            Purpose::Preview(_) | Purpose::Read(_) => &self.drafts,
            Purpose::Save(_) => &self.saves,
            Purpose::Enqueue(_) | Purpose::Attempt => &self.jobs,
            Purpose::Fire => &self.fires,
            Purpose::Light => return Err(Unavailable::NotLight),
        };
        match timeout(purpose.limits().wait, slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            // The slots are never closed.
            Ok(Err(_)) | Err(_) => Err(Unavailable::Busy),
        }
    }

    fn last_of(&self, line: Line) -> Result<LineTicket<'_>, Unavailable> {
        let mut lines = self.lines.lock();
        let turn = lines.entry(line.clone()).or_insert_with(|| Arc::new(Semaphore::new(1)));
        // One reference is the map's.
        if Arc::strong_count(turn) > LINE_MAX {
            return Err(Unavailable::Busy);
        }
        Ok(LineTicket { queues: self, line, turn: Arc::clone(turn), is_first: false })
    }
}

impl<'a> Turn<'a> {
    pub(super) const fn new(evaluator: &'a Evaluator, purpose: Purpose<'a>) -> Self {
        Self { evaluator, purpose, ticket: None, waited: Duration::ZERO }
    }

    /// Waits until the caller's earlier turns are over. The first evaluation that is not light does
    /// so by itself.
    pub async fn begin(&mut self) -> Result<(), Unavailable> {
        if self.ticket.is_some() {
            return Ok(());
        }
        let Some(line) = self.purpose.line() else { return Ok(()) };
        let since = Instant::now();
        let mut ticket = self.evaluator.queues().last_of(line)?;
        let first = timeout(self.purpose.limits().wait, ticket.turn.acquire()).await;
        // The lines are never closed.
        first.ok().and_then(Result::ok).ok_or(Unavailable::Busy)?.forget();
        ticket.is_first = true;
        self.ticket = Some(ticket);
        self.waited += since.elapsed();
        Ok(())
    }

    /// How long it has waited for others.
    pub const fn waited(&self) -> Duration {
        self.waited
    }

    /// Waits for the turn and for a slot, and then for `work`, which ends if it takes too long.
    pub(super) async fn spend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Unavailable> {
        self.begin().await?;
        let since = Instant::now();
        let slot = self.evaluator.queues().slot(self.purpose).await?;
        self.waited += since.elapsed();
        let done = timeout(self.purpose.limits().time, work).await;
        drop(slot);
        done.map_err(|_elapsed| Unavailable::Busy)
    }
}

impl Drop for LineTicket<'_> {
    fn drop(&mut self) {
        if self.is_first {
            self.turn.add_permits(1);
        }
        let mut lines = self.queues.lines.lock();
        if let Entry::Occupied(line) = lines.entry(self.line.clone())
            // The map's reference and this one.
            && Arc::strong_count(line.get()) == 2
        {
            line.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::Either;

    use super::*;

    fn actor(name: &str) -> Actor {
        Actor { name: name.into(), ..Actor::default() }
    }

    #[tokio::test]
    async fn one_turn_of_a_caller_at_a_time_and_others_do_not_wait_for_it() {
        let evaluator = Evaluator::unbounded();
        let (ann, bob) = (actor("ann"), actor("bob"));
        let of = |actor| {
            [Purpose::Preview(actor), Purpose::Read(actor), Purpose::Save(actor), Purpose::Enqueue(actor)]
        };
        // Those that wait for the shortest time.
        for (of_ann, of_bob) in of(&ann).into_iter().zip(of(&bob)).take(2) {
            let mut first = evaluator.turn(of_ann);
            first.begin().await.unwrap();
            let mut second = evaluator.turn(of_ann);
            assert_eq!(second.begin().await, Err(Unavailable::Busy), "{of_ann:?}");
            let mut others: Vec<_> = of(&ann).into_iter().filter(|other| *other != of_ann).collect();
            others.push(of_bob);
            let mut others: Vec<_> = others.into_iter().map(|other| evaluator.turn(other)).collect();
            for other in &mut others {
                other.begin().await.unwrap();
            }
            drop(first);
            second.begin().await.unwrap();
        }
        assert!(evaluator.queues().lines.lock().is_empty());
    }

    #[tokio::test]
    async fn previews_that_never_end_delay_neither_saves_nor_jobs() {
        let evaluator = Evaluator::unbounded();
        let (ann, bob, eve) = (actor("ann"), actor("bob"), actor("eve"));
        let mut busy = [&ann, &bob].map(|actor| evaluator.turn(Purpose::Preview(actor)));
        let [one, two] = &mut busy;
        // Both slots, for as long as a preview may take.
        let never = std::future::pending::<()>;
        let under_way = futures::future::join(one.spend(never()), two.spend(never()));
        let others = async {
            tokio::task::yield_now().await;
            assert_eq!(evaluator.turn(Purpose::Preview(&eve)).spend(async {}).await, Err(Unavailable::Busy));
            evaluator.turn(Purpose::Save(&eve)).spend(async {}).await.unwrap();
            evaluator.turn(Purpose::Enqueue(&ann)).spend(async {}).await.unwrap();
            evaluator.turn(Purpose::Attempt).spend(async {}).await.unwrap();
        };
        match futures::future::select(Box::pin(under_way), Box::pin(others)).await {
            Either::Left(_) => panic!("the previews ended first, so the others have waited for them"),
            Either::Right(((), under_way)) => {
                assert_eq!(under_way.await, (Err(Unavailable::Busy), Err(Unavailable::Busy)));
            }
        }
    }

    #[tokio::test]
    async fn a_line_has_a_greatest_length() {
        let evaluator = Evaluator::unbounded();
        let ann = actor("ann");
        let line = || Purpose::Enqueue(&ann).line().unwrap();
        let waiting: Vec<_> = (0..LINE_MAX).map(|_| evaluator.queues().last_of(line()).unwrap()).collect();
        assert_eq!(evaluator.turn(Purpose::Enqueue(&ann)).begin().await, Err(Unavailable::Busy));
        drop(waiting);
        evaluator.turn(Purpose::Enqueue(&ann)).begin().await.unwrap();
    }
}
