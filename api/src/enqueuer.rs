//! Commits the jobs of many callers together: whatever waits while the commits before are under way.
//!
//! An actor: a task with a bounded queue of calls. Small calls have two lanes, so that one group is gathered and
//! composed while another waits for the disk; calls of many jobs have lanes of their own, so that nobody waits behind
//! them. No timer: a call that comes alone goes at once. Every caller is answered after its own commit; what has to be
//! told to Redis is told beside that.

mod windows;

use std::{collections::VecDeque, fmt, panic::AssertUnwindSafe, sync::Arc};

use callboard::{
    ids::CommandId,
    refusal::Refusal,
    steps::enqueue::{
        context::Desk,
        submit::{Accepted, Order, SubmitError, submit},
    },
    store::{StoreError, catalogue::commands},
    transport::Redis,
};
use futures::FutureExt as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use windows::Windows;

/// Calls that wait before more are refused.
const CALLS_MAX: usize = 4096;
/// A call with more jobs than this takes the lane of large ones.
const SMALL_JOBS_MAX: usize = 32;
/// Most jobs of a group.
const GROUP_JOBS_MAX: usize = 256;
/// Groups of small calls under way at a time.
const SMALL_LANES: usize = 2;
/// Calls of many jobs under way at a time: one is composed while another is written.
const LARGE_LANES: usize = 2;

/// Takes orders. Cheap to clone; what was taken is committed even when all clones are gone.
#[derive(Clone)]
pub struct Enqueuer(mpsc::Sender<Call>);

/// Why a caller's jobs are not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The caller can mend it.
    #[error("the jobs were refused")]
    Refused(Vec<Refusal>),
    /// Postgres failed. After `CommitUnknown` the jobs may have been stored.
    #[error("the jobs could not be stored")]
    Store(Arc<StoreError>),
    /// Too many calls wait. Nothing was stored.
    #[error("too many calls wait")]
    Full,
    /// The process is going down. The jobs may have been stored.
    #[error("the process is going down")]
    Stopped,
}

type Outcome = Result<Vec<Accepted>, EnqueueError>;

struct Call {
    orders: Vec<Order>,
    reply: oneshot::Sender<Outcome>,
    arrived: Instant,
}

impl Enqueuer {
    /// Starts the actor. Must be called inside Tokio.
    pub fn start(desk: Arc<Desk>, redis: Redis) -> Self {
        let (sender, calls) = mpsc::channel(CALLS_MAX);
        let clerk = Clerk {
            desk,
            redis,
            calls,
            is_open: true,
            waiting: Waiting::default(),
            windows: Windows::default(),
            under_way: JoinSet::new(),
            small_lanes: 0,
            large_lanes: 0,
        };
        tokio::spawn(clerk.run());
        Self(sender)
    }

    /// Enqueues these jobs, all or none; answered after the commit. A caller that goes away takes nothing back.
    pub async fn submit(&self, orders: Vec<Order>) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let call = Call { orders, reply, arrived: Instant::now() };
        self.0.try_send(call).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => EnqueueError::Full,
            mpsc::error::TrySendError::Closed(_) => EnqueueError::Stopped,
        })?;
        answer.await.map_err(|_| EnqueueError::Stopped)?
    }
}

impl fmt::Debug for Enqueuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueuer").field("room", &self.0.capacity()).finish()
    }
}

/// Calls that no lane has taken yet, in order.
#[derive(Default)]
struct Waiting {
    /// Whose jobs are handed to Redis at once.
    pushed: VecDeque<Call>,
    /// Whose jobs are left to the dispatcher.
    left: VecDeque<Call>,
    /// Of many jobs, with whether they are handed to Redis at once.
    large: VecDeque<(Call, bool)>,
}

/// Something that was under way.
enum Done {
    Small,
    Large,
    Counted(String, Option<[usize; 10]>),
    Learned(CommandId, Option<String>),
}

struct Clerk {
    desk: Arc<Desk>,
    redis: Redis,
    calls: mpsc::Receiver<Call>,
    is_open: bool,
    waiting: Waiting,
    windows: Windows,
    under_way: JoinSet<Done>,
    small_lanes: usize,
    large_lanes: usize,
}

impl Clerk {
    async fn run(mut self) {
        let mut inbox = Vec::with_capacity(GROUP_JOBS_MAX);
        loop {
            let room = CALLS_MAX.saturating_sub(self.waiting.len());
            tokio::select! {
                received = self.calls.recv_many(&mut inbox, room), if self.is_open && room > 0 => {
                    self.is_open = received > 0;
                    self.sort(&mut inbox);
                }
                Some(done) = self.under_way.join_next() => self.finish(done),
                else => return,
            }
            self.start_lanes();
        }
    }

    /// Puts new calls where they wait.
    fn sort(&mut self, inbox: &mut Vec<Call>) {
        let now = Instant::now();
        for call in inbox.drain(..) {
            let is_pushed = self.windows.admit(&call.orders, now);
            if call.orders.len() > SMALL_JOBS_MAX {
                self.waiting.large.push_back((call, is_pushed));
            } else if is_pushed {
                self.waiting.pushed.push_back(call);
            } else {
                self.waiting.left.push_back(call);
            }
        }
        for queue in self.windows.take_uncounted() {
            let redis = self.redis.clone();
            self.under_way.spawn(async move {
                let held = redis.ready_counts(&queue).await.ok();
                Done::Counted(queue, held)
            });
        }
        for command in self.windows.take_unlearned() {
            let desk = Arc::clone(&self.desk);
            self.under_way.spawn(async move { Done::Learned(command, queue_of(&desk, command).await) });
        }
    }

    fn finish(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Small) => self.small_lanes -= 1,
            Ok(Done::Large) => self.large_lanes -= 1,
            Ok(Done::Counted(queue, held)) => self.windows.counted(&queue, held, Instant::now()),
            Ok(Done::Learned(command, queue)) => self.windows.learned(command, queue, Instant::now()),
            // Only counting and learning can panic here, which nobody waits for; the panic hook has logged it.
            Err(_panic) => {}
        }
    }

    fn start_lanes(&mut self) {
        while self.small_lanes < SMALL_LANES
            && let Some((group, is_pushed)) = self.waiting.next_group()
        {
            self.small_lanes += 1;
            let committing = commit(Arc::clone(&self.desk), self.redis.clone(), group, is_pushed);
            self.under_way.spawn(async move {
                guarded(committing).await;
                Done::Small
            });
        }
        while self.large_lanes < LARGE_LANES
            && let Some((call, is_pushed)) = self.waiting.large.pop_front()
        {
            self.large_lanes += 1;
            let committing = commit(Arc::clone(&self.desk), self.redis.clone(), vec![call], is_pushed);
            self.under_way.spawn(async move {
                guarded(committing).await;
                Done::Large
            });
        }
    }
}

impl Waiting {
    fn len(&self) -> usize {
        self.pushed.len() + self.left.len() + self.large.len()
    }

    /// The small calls that go together next: those that wait longest, as many as fit.
    fn next_group(&mut self) -> Option<(Vec<Call>, bool)> {
        let is_pushed = match (self.pushed.front(), self.left.front()) {
            (Some(pushed), Some(left)) => pushed.arrived <= left.arrived,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return None,
        };
        let queue = if is_pushed { &mut self.pushed } else { &mut self.left };
        let mut jobs = 0;
        let fits = |call: &&Call| {
            jobs += call.orders.len();
            jobs <= GROUP_JOBS_MAX
        };
        let fitting = queue.iter().take_while(fits).count();
        Some((queue.drain(..fitting.max(1)).collect(), is_pushed))
    }
}

/// Commits a group, and answers its callers.
async fn commit(desk: Arc<Desk>, redis: Redis, group: Vec<Call>, is_pushed: bool) {
    let (orders, replies): (Vec<Vec<Order>>, Vec<_>) =
        group.into_iter().map(|call| (call.orders, call.reply)).unzip();
    let (answers, after) = submit(&desk, &orders, is_pushed).await;
    after.announce_soon(&redis);
    for (answer, reply) in answers.into_iter().zip(replies) {
        // A caller that has gone away needs no answer.
        let _gone = reply.send(answer.map_err(EnqueueError::from));
    }
}

/// Keeps a panic from taking the lane along. Its callers learn that they get no answer.
async fn guarded(committing: impl Future<Output = ()>) {
    if AssertUnwindSafe(committing).catch_unwind().await.is_err() {
        tracing::error!("a group of enqueued jobs was given up; whether they are stored is not known");
    }
}

/// The queue that a command's jobs go to unless they name another.
async fn queue_of(desk: &Desk, command: CommandId) -> Option<String> {
    let mut connection = desk.store.read().await.ok()?;
    let found = commands::load(&mut connection, &[command]).await.ok()?;
    found.into_iter().next().map(|command| command.queue)
}

impl From<SubmitError> for EnqueueError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusals) => Self::Refused(refusals),
            SubmitError::Store(error) => Self::Store(error),
        }
    }
}
