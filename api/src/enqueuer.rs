//! The enqueuer, which commits the jobs of many callers in groups.
//!
//! An actor with a bounded queue of submissions. Everything that arrives while earlier commits are
//! running forms the next group. Small submissions have two commit slots, so that one group is
//! composed while another waits for the disk. Large submissions have slots of their own, so that
//! small ones do not wait behind them. There is no timer, so a lone submission is committed at
//! once. Every caller gets its result after its own commit. Redis is notified concurrently.

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

/// Maximum number of waiting submissions. Further ones are refused.
const CALLS_MAX: usize = 4096;
/// A submission with more jobs than this counts as large.
const SMALL_JOBS_MAX: usize = 32;
/// Maximum number of jobs in a group.
const GROUP_JOBS_MAX: usize = 256;
/// Number of concurrent commits of small submissions.
const SMALL_LANES: usize = 2;
/// Number of concurrent commits of large submissions: one is composed while another is written.
const LARGE_LANES: usize = 2;

/// Accepts job requests. Cheap to clone. Accepted requests are committed even when all clones are
/// gone.
#[derive(Clone)]
pub struct Enqueuer(mpsc::Sender<Call>);

/// Why jobs were not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The input was refused. The caller can fix it.
    #[error("the jobs were refused")]
    Refused(Vec<Refusal>),
    /// Postgres failed. After `CommitUnknown` the jobs may have been stored.
    #[error("the jobs could not be stored")]
    Store(Arc<StoreError>),
    /// Too many submissions are waiting. Nothing was stored.
    #[error("too many submissions are waiting")]
    Full,
    /// The process is shutting down. The jobs may have been stored.
    #[error("the process is shutting down")]
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

    /// Enqueues these jobs, all or none, and returns after the commit. Dropping the future does not
    /// undo it.
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

/// Submits that wait for a commit slot, in order.
#[derive(Default)]
struct Waiting {
    /// Submits whose jobs are pushed to Redis at once.
    pushed: VecDeque<Call>,
    /// Submits whose jobs are left to the dispatcher.
    left: VecDeque<Call>,
    /// Large submissions, with whether their jobs are pushed to Redis at once.
    large: VecDeque<(Call, bool)>,
}

/// A finished task.
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

    /// Moves new submissions to their waiting queues.
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
            // Only counting and learning can panic here, and no caller waits for them. The panic
            // hook has logged the panic.
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

    /// Takes the next group of small submissions: those that have waited longest, up to the maximum
    /// size of a group.
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

/// Commits a group and replies to its callers.
async fn commit(desk: Arc<Desk>, redis: Redis, group: Vec<Call>, is_pushed: bool) {
    let (orders, replies): (Vec<Vec<Order>>, Vec<_>) =
        group.into_iter().map(|call| (call.orders, call.reply)).unzip();
    let (answers, after) = submit(&desk, &orders, is_pushed).await;
    after.announce_soon(&redis);
    for (answer, reply) in answers.into_iter().zip(replies) {
        // The send fails if the caller is gone.
        let _gone = reply.send(answer.map_err(EnqueueError::from));
    }
}

/// Keeps a panic from leaking the commit slot. Callers get no reply, which they report as an
/// unknown outcome.
async fn guarded(committing: impl Future<Output = ()>) {
    if AssertUnwindSafe(committing).catch_unwind().await.is_err() {
        tracing::error!("a group of enqueued jobs panicked, and whether the jobs are stored is unknown");
    }
}

/// Returns the queue for a command's jobs that name no other.
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
