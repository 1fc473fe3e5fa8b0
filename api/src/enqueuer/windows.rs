//! An estimate of the ready sets in Redis, so that new jobs are pushed at once only while there is
//! room.
//!
//! Owned by the enqueuer's task, which asks Redis on its behalf. An estimate is Redis' last count
//! plus what this process has pushed since. If Redis does not respond, nothing is pushed and the
//! dispatcher finds the jobs. An error of about one group of jobs only costs a short delay.

use std::time::Duration;

use callboard::{
    cache::{self, Cache},
    ids::CommandId,
    job::JobRequest,
    steps::{enqueue::submit::DEFAULT_PRIORITY, hand_out::dispatch::WINDOW},
};
use tokio::time::Instant;

/// Minimum time between two counts of a queue in Redis.
const COUNT_EVERY: Duration = Duration::from_millis(50);
/// How long a count is valid.
const COUNT_GOOD_FOR: Duration = Duration::from_millis(250);
/// Maximum number of jobs pushed without a count, so that the first jobs after a quiet time are not
/// delayed.
const UNCOUNTED_MAX: usize = 256;
/// How long the queue of a command is remembered.
const QUEUE_GOOD_FOR: Duration = Duration::from_secs(5);
/// Maximum number of remembered queues, and of remembered commands.
const REMEMBERED_MAX: usize = 10_000;

/// The estimates for all queues.
#[derive(Debug)]
pub(super) struct Windows {
    queues: Cache<String, Window>,
    commands: Cache<CommandId, Known>,
    uncounted: Vec<String>,
    unlearned: Vec<CommandId>,
}

/// The estimate for one queue. Counts are by priority.
#[derive(Debug, Default)]
struct Window {
    /// Number of references in Redis at the last count.
    held: [usize; 10],
    counted_at: Option<Instant>,
    /// Pushed since the last count was requested, and between that request and the one before.
    pushed: [usize; 10],
    pushed_before: [usize; 10],
    /// When the last count was requested.
    asked_at: Option<Instant>,
    is_asked: bool,
    is_down: bool,
}

/// The queue of a command's jobs.
#[derive(Debug, Default)]
struct Known {
    queue: Option<String>,
    learned_at: Option<Instant>,
    is_asked: bool,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            queues: cache::bounded(REMEMBERED_MAX),
            commands: cache::bounded(REMEMBERED_MAX),
            uncounted: Vec::new(),
            unlearned: Vec::new(),
        }
    }
}

impl Windows {
    /// Returns whether these jobs may be pushed as soon as they are stored. If so, they count as
    /// pushed.
    pub(super) fn admit(&mut self, requests: &[JobRequest], now: Instant) -> bool {
        // All jobs of a submission usually go to one queue.
        let mut by_queue: Vec<(String, [usize; 10])> = Vec::with_capacity(1);
        let mut is_known = true;
        for request in
            requests.iter().filter(|request| request.run_at.is_none() && request.depends_on.is_empty())
        {
            let queue = match &request.queue {
                Some(queue) => Some(queue.as_str()),
                None => self.queue_of(request.command, now),
            };
            let Some(queue) = queue else {
                is_known = false;
                continue;
            };
            // Any other priority is refused later.
            let priority = request.priority.unwrap_or(i32::from(DEFAULT_PRIORITY)).clamp(0, 9) as usize;
            let index = by_queue.iter().position(|(name, _)| name == queue).unwrap_or_else(|| {
                by_queue.push((queue.to_owned(), [0; 10]));
                by_queue.len() - 1
            });
            by_queue[index].1[priority] += 1;
        }
        let mut has_room = is_known;
        for (queue, counts) in &by_queue {
            has_room &= self.has_room(queue, counts, now);
        }
        if has_room {
            for (queue, counts) in by_queue {
                if let Some(window) = self.queues.get_mut(&queue) {
                    add(&mut window.pushed, &counts);
                }
            }
        }
        has_room
    }

    /// Takes the queues whose ready sets are to be counted now.
    pub(super) fn take_uncounted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.uncounted)
    }

    /// Takes the commands whose queues are to be looked up now.
    pub(super) fn take_unlearned(&mut self) -> Vec<CommandId> {
        std::mem::take(&mut self.unlearned)
    }

    /// Records a count of Redis. `None` means that Redis did not respond.
    pub(super) fn counted(&mut self, queue: &str, held: Option<[usize; 10]>, now: Instant) {
        let Some(window) = self.queues.get_mut(queue) else { return };
        window.is_asked = false;
        window.is_down = held.is_none();
        if let Some(held) = held {
            window.held = held;
            window.pushed_before = [0; 10];
            window.counted_at = Some(now);
        }
    }

    /// Records the queue of a command. `None` means that the lookup failed or the command does not
    /// exist.
    pub(super) fn learned(&mut self, command: CommandId, queue: Option<String>, now: Instant) {
        if let Some(known) = self.commands.get_mut(&command) {
            *known = Known { queue, learned_at: Some(now), is_asked: false };
        }
    }

    fn queue_of(&mut self, command: CommandId, now: Instant) -> Option<&str> {
        let known = self.commands.get_or_insert_mut(command, Known::default);
        let is_fresh = known.learned_at.is_some_and(|at| now - at < QUEUE_GOOD_FOR);
        if !is_fresh && !known.is_asked {
            known.is_asked = true;
            self.unlearned.push(command);
        }
        known.queue.as_deref()
    }

    fn has_room(&mut self, queue: &str, counts: &[usize; 10], now: Instant) -> bool {
        let window = self.queues.get_or_insert_mut_ref(queue, Window::default);
        if !window.is_asked && window.asked_at.is_none_or(|at| now - at >= COUNT_EVERY) {
            window.is_asked = true;
            window.asked_at = Some(now);
            add(&mut window.pushed_before, &std::mem::take(&mut window.pushed));
            self.uncounted.push(queue.to_owned());
        }
        let pushed = |priority: usize| window.pushed[priority] + window.pushed_before[priority];
        let is_counted = window.counted_at.is_some_and(|at| now - at < COUNT_GOOD_FOR);
        let mut wanted = (0..10).filter(|priority| counts[*priority] > 0);
        match (window.is_down, is_counted) {
            (true, _) => false,
            (false, true) => wanted.all(|priority| window.held[priority] + pushed(priority) < WINDOW),
            (false, false) => wanted.all(|priority| pushed(priority) < UNCOUNTED_MAX),
        }
    }
}

fn add(sum: &mut [usize; 10], counts: &[usize; 10]) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Counts as Redis would return them, for jobs of the default priority.
    fn held(count: usize) -> [usize; 10] {
        let mut counts = [0; 10];
        counts[usize::try_from(DEFAULT_PRIORITY).unwrap()] = count;
        counts
    }

    fn requests(count: usize, queue: &str) -> Vec<JobRequest> {
        vec![
            JobRequest { queue: Some(queue.to_owned()), ..JobRequest::new(callboard::clock::IdSource.make()) };
            count
        ]
    }

    #[test]
    fn jobs_pushed_since_the_count_fill_the_window() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        assert!(windows.admit(&requests(1, "a"), now), "the first job is not held back");
        assert_eq!(windows.take_uncounted(), ["a"]);
        windows.counted("a", Some(held(WINDOW - 100)), now);
        assert!(windows.admit(&requests(98, "a"), now));
        assert!(windows.admit(&requests(1, "a"), now));
        assert!(!windows.admit(&requests(1, "a"), now));
        assert!(windows.admit(&requests(1, "b"), now), "another queue has its own window");
        let urgent = JobRequest { priority: Some(9), ..requests(1, "a").remove(0) };
        assert!(windows.admit(&[urgent], now), "another priority has its own window");
        let later = now + COUNT_EVERY;
        assert!(!windows.admit(&requests(1, "a"), later));
        assert!(windows.take_uncounted().contains(&"a".to_owned()), "counted again");
        windows.counted("a", Some(held(10)), later);
        assert!(windows.admit(&requests(1, "a"), later));
    }

    #[test]
    fn without_a_count_from_redis_few_jobs_or_none_are_pushed() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        assert!(windows.admit(&requests(UNCOUNTED_MAX, "a"), now));
        assert!(!windows.admit(&requests(1, "a"), now));
        windows.counted("a", None, now);
        assert!(!windows.admit(&requests(1, "a"), now));
        let later = now + COUNT_GOOD_FOR;
        assert!(!windows.admit(&requests(1, "a"), later));
        windows.counted("a", Some(held(0)), later);
        assert!(windows.admit(&requests(1, "a"), later));
    }

    #[test]
    fn the_queue_of_a_command_is_looked_up_first() {
        let (mut windows, now) = (Windows::default(), Instant::now());
        let command = CommandId::from(Uuid::from_u128(7));
        let request = [JobRequest::new(command)];
        assert!(!windows.admit(&request, now));
        assert!(!windows.admit(&request, now));
        assert_eq!(windows.take_unlearned(), [command], "looked up once");
        windows.learned(command, Some("a".into()), now);
        assert!(windows.admit(&request, now));
        assert!(windows.take_unlearned().is_empty());
        assert!(windows.admit(&request, now + QUEUE_GOOD_FOR), "while it is looked up again");
        assert_eq!(windows.take_unlearned(), [command]);
    }
}
