//! The enqueuer, which commits the jobs of many callers in groups.
//!
//! An actor with a bounded queue of submissions. Everything that arrives while earlier commits are
//! running forms the next group. A submission whose jobs are not light leaves its group, is
//! composed by itself while its caller waits, and is committed alone, so that nobody else waits
//! for it. Small submissions have two commit slots, so that one group is composed while another
//! waits for the disk. A commit of a few jobs costs almost as much as one of many, so the second
//! group begins when it has as many jobs as the first, or when the first takes long, because it
//! may wait for a lock that the second does not need. Large submissions have slots of their own,
//! so that small ones do not wait behind them. A lone submission is committed at once. Every
//! caller gets its result after its own commit. Redis is notified concurrently.

mod waiting;
mod windows;

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use callboard::{
    evaluator::Unavailable,
    ids::CommandId,
    job::JobRequest,
    refusal::Refusal,
    steps::{
        Done as Stepped, StepError,
        enqueue::{
            context::SubmitContext,
            submit::{Accepted, PreparedSubmission, SubmitResult, prepare_alone, submit_light, write_alone},
        },
    },
    store::{StoreError, catalogue::commands},
    transport::Redis,
};
use futures::FutureExt as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use waiting::{GROUP_JOBS_MAX, Waiting};
use windows::Windows;

/// Maximum number of waiting submissions. Further ones are refused.
const SUBMISSIONS_MAX: usize = 4096;
/// A submission with more jobs than this counts as large.
const SMALL_JOBS_MAX: usize = 32;
/// Number of concurrent commits of small submissions.
const SMALL_COMMITS_MAX: usize = 2;
/// How long a commit of small submissions takes before the next one no longer waits for more jobs.
const SLOW_COMMIT: Duration = Duration::from_millis(20);
/// Number of concurrent commits of large submissions: one is composed while another is written.
const LARGE_COMMITS_MAX: usize = 2;
/// How long after its arrival a group is repeated while Postgres refuses it for now, and the pause
/// before each time.
const REPEAT_MAX: Duration = Duration::from_secs(3);
const REPEAT_AFTER: Duration = Duration::from_millis(200);

/// Accepts job requests. Cheap to clone. Accepted requests are committed even when all clones are
/// gone.
#[derive(Clone)]
pub struct Enqueuer {
    submissions: mpsc::Sender<Submission>,
    context: Arc<SubmitContext>,
    redis: Redis,
}

/// Why jobs were not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The input was refused. The caller can fix it.
    #[error("the jobs were refused")]
    Refused(Vec<Refusal>),
    /// Postgres failed. After `CommitUnknown` the jobs may have been stored.
    #[error("the jobs could not be stored")]
    Store(Arc<StoreError>),
    /// What the jobs compose to was not evaluated for now. Nothing was stored.
    #[error(transparent)]
    Evaluator(Unavailable),
    /// Too many submissions are waiting. Nothing was stored.
    #[error("too many submissions are waiting")]
    Full,
    /// The reply was lost, by shutdown or a panic. The jobs may have been stored.
    #[error("no reply to the submission, so the jobs may have been stored")]
    Stopped,
}

type EnqueueResult = Result<Vec<Accepted>, EnqueueError>;

struct Submission {
    requests: Vec<JobRequest>,
    reply: oneshot::Sender<Reply>,
    arrived: Instant,
}

/// What the actor says to a submission.
enum Reply {
    Done(EnqueueResult),
    /// Its jobs are not light. They have been counted as pushed to Redis, or left to dispatch.
    Alone {
        requests: Vec<JobRequest>,
        is_pushed: bool,
    },
}

impl Enqueuer {
    /// Starts the actor. Must be called inside Tokio.
    pub fn start(context: Arc<SubmitContext>, redis: Redis) -> Self {
        let (sender, submissions) = mpsc::channel(SUBMISSIONS_MAX);
        let enqueuer = Self { submissions: sender, context: Arc::clone(&context), redis: redis.clone() };
        let actor = EnqueueActor {
            context,
            redis,
            submissions,
            is_open: true,
            waiting: Waiting::default(),
            windows: Windows::default(),
            under_way: JoinSet::new(),
            small_commits: 0,
            small_jobs: 0,
            small_since: Instant::now(),
            large_commits: 0,
        };
        tokio::spawn(actor.run());
        enqueuer
    }

    /// Enqueues these jobs, all or none, and returns after the commit. Dropping the future ends all
    /// of it that has not begun to be written.
    pub async fn submit(&self, requests: Vec<JobRequest>) -> EnqueueResult {
        let (reply, result) = oneshot::channel();
        let submission = Submission { requests, reply, arrived: Instant::now() };
        self.submissions.try_send(submission).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => EnqueueError::Full,
            mpsc::error::TrySendError::Closed(_) => EnqueueError::Stopped,
        })?;
        match result.await.map_err(|_| EnqueueError::Stopped)? {
            Reply::Done(result) => result,
            Reply::Alone { requests, is_pushed } => Box::pin(self.submit_alone(&requests, is_pushed)).await,
        }
    }

    async fn submit_alone(&self, requests: &[JobRequest], is_pushed: bool) -> EnqueueResult {
        let prepared = prepare_alone(&self.context, requests, is_pushed).await?;
        let left = CancellationToken::new();
        let committing = commit_alone(Arc::clone(&self.context), self.redis.clone(), prepared, left.clone());
        let _when_dropped = left.drop_guard();
        // Not dropped with the caller, because what is being written would not be announced.
        Ok(tokio::spawn(committing).await.map_err(|_panic| EnqueueError::Stopped)??)
    }
}

impl fmt::Debug for Enqueuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueuer").field("room", &self.submissions.capacity()).finish_non_exhaustive()
    }
}

/// A finished task.
enum Done {
    /// A group of this many jobs.
    Small(usize),
    Large,
    Counted(String, Option<[usize; 10]>),
    Learned(CommandId, Option<String>),
}

struct EnqueueActor {
    context: Arc<SubmitContext>,
    redis: Redis,
    submissions: mpsc::Receiver<Submission>,
    is_open: bool,
    waiting: Waiting,
    windows: Windows,
    under_way: JoinSet<Done>,
    small_commits: usize,
    /// The jobs of the small submissions that are being committed.
    small_jobs: usize,
    /// When the last commit of small submissions began.
    small_since: Instant,
    large_commits: usize,
}

impl EnqueueActor {
    async fn run(mut self) {
        let mut inbox = Vec::with_capacity(GROUP_JOBS_MAX);
        loop {
            let room = SUBMISSIONS_MAX.saturating_sub(self.waiting.len());
            tokio::select! {
                received = self.submissions.recv_many(&mut inbox, room), if self.is_open && room > 0 => {
                    self.is_open = received > 0;
                    self.sort(&mut inbox);
                }
                Some(done) = self.under_way.join_next() => self.finish(done),
                () = sleep_until(self.small_since + SLOW_COMMIT), if self.is_held_back() => {}
                else => return,
            }
            self.start_commits();
        }
    }

    /// Moves new submissions to their waiting queues.
    fn sort(&mut self, inbox: &mut Vec<Submission>) {
        let now = Instant::now();
        for submission in inbox.drain(..) {
            let is_pushed = self.windows.admit(&submission.requests, now);
            if submission.requests.len() > SMALL_JOBS_MAX {
                self.waiting.large.push_back((submission, is_pushed));
            } else if is_pushed {
                self.waiting.pushed.push_back(submission);
            } else {
                self.waiting.left.push_back(submission);
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
            let context = Arc::clone(&self.context);
            self.under_way.spawn(async move { Done::Learned(command, queue_of(&context, command).await) });
        }
    }

    fn finish(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Small(jobs)) => {
                self.small_commits -= 1;
                self.small_jobs -= jobs;
            }
            Ok(Done::Large) => self.large_commits -= 1,
            Ok(Done::Counted(queue, held)) => self.windows.counted(&queue, held, Instant::now()),
            Ok(Done::Learned(command, queue)) => self.windows.learned(command, queue, Instant::now()),
            // Only counting and learning can panic here, and no caller waits for them. The panic
            // hook has logged the panic.
            Err(_panic) => {}
        }
    }

    /// Whether small submissions wait for more, so that their commit is worth its slot.
    fn is_held_back(&self) -> bool {
        self.small_commits < SMALL_COMMITS_MAX && self.waiting.has_small()
    }

    /// How many jobs the next group needs for its commit to begin.
    fn group_jobs_min(&self) -> usize {
        if self.small_since.elapsed() < SLOW_COMMIT { self.small_jobs } else { 0 }
    }

    fn start_commits(&mut self) {
        while self.small_commits < SMALL_COMMITS_MAX
            && let Some((group, is_pushed)) = self.waiting.next_group(self.group_jobs_min())
        {
            self.small_since = Instant::now();
            let jobs = group.iter().map(|submission| submission.requests.len()).sum();
            self.small_commits += 1;
            self.small_jobs += jobs;
            let committing = commit(Arc::clone(&self.context), self.redis.clone(), group, is_pushed);
            self.under_way.spawn(async move {
                guarded(Box::pin(committing)).await;
                Done::Small(jobs)
            });
        }
        while self.large_commits < LARGE_COMMITS_MAX
            && let Some((submission, is_pushed)) = self.waiting.large.pop_front()
        {
            self.large_commits += 1;
            let committing =
                commit(Arc::clone(&self.context), self.redis.clone(), vec![submission], is_pushed);
            self.under_way.spawn(async move {
                guarded(Box::pin(committing)).await;
                Done::Large
            });
        }
    }
}

/// Commits a group and replies to its callers. What nobody waits for any more is left out.
async fn commit(context: Arc<SubmitContext>, redis: Redis, group: Vec<Submission>, is_pushed: bool) {
    // Counted from the arrival, so that submissions behind others do not wait for several times.
    let since = group.iter().map(|submission| submission.arrived).min().unwrap_or_else(Instant::now);
    let (requests, replies): (Vec<Vec<JobRequest>>, Vec<oneshot::Sender<Reply>>) = group
        .into_iter()
        .filter(|submission| !submission.reply.is_closed())
        .map(|submission| (submission.requests, submission.reply))
        .unzip();
    if replies.is_empty() {
        return;
    }
    let is_awaited = |place: usize| replies.get(place).is_some_and(|reply| !reply.is_closed());
    let submit = || submit_light(&context, &requests, is_pushed, &is_awaited);
    let results = repeated(&redis, since, || replies.iter().any(|reply| !reply.is_closed()), submit).await;
    for ((result, reply), requests) in results.into_iter().zip(replies).zip(requests) {
        let is_alone = matches!(result, Err(StepError::Evaluator(Unavailable::NotLight)));
        let said = if is_alone {
            Reply::Alone { requests, is_pushed }
        } else {
            Reply::Done(result.map_err(EnqueueError::from))
        };
        // The send fails if the caller is gone.
        let _gone = reply.send(said);
    }
}

async fn commit_alone(
    context: Arc<SubmitContext>,
    redis: Redis,
    prepared: PreparedSubmission,
    left: CancellationToken,
) -> SubmitResult {
    let is_awaited = |_| !left.is_cancelled();
    let write = || write_alone(&context, &prepared, &is_awaited);
    let mut results = repeated(&redis, Instant::now(), || !left.is_cancelled(), write).await;
    results.pop().unwrap_or_else(|| Ok(Vec::new()))
}

/// Submits, announces what it changed, and returns the results.
///
/// While Postgres refuses for now, as during a failover, it is repeated for a few seconds, if
/// anybody waits for it. Nothing is repeated if a connection broke: then jobs may have been stored.
async fn repeated<Submitting: Future<Output = Stepped<Vec<SubmitResult>>>>(
    redis: &Redis,
    since: Instant,
    is_awaited: impl Fn() -> bool,
    submit: impl Fn() -> Submitting,
) -> Vec<SubmitResult> {
    loop {
        let done = submit().await;
        let is_refused = |result: &SubmitResult| matches!(result, Err(StepError::Store(error)) if error.is_refused_for_now());
        let is_last = Instant::now() + REPEAT_AFTER > since + REPEAT_MAX || !is_awaited();
        if is_last || !done.value.iter().all(is_refused) {
            return done.announce_soon(redis);
        }
        tokio::time::sleep(REPEAT_AFTER).await;
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
async fn queue_of(context: &SubmitContext, command: CommandId) -> Option<String> {
    let mut connection = context.store.connection().await.ok()?;
    let found = commands::load(&mut connection, &[command]).await.ok()?;
    found.into_iter().next().map(|command| command.queue)
}

impl From<StepError> for EnqueueError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Refused(refusals) => Self::Refused(refusals),
            StepError::Store(error) => Self::Store(error),
            StepError::Evaluator(why) => Self::Evaluator(why),
        }
    }
}
