//! The submissions that wait for a commit slot.

use std::collections::VecDeque;

use super::Submission;

/// Maximum number of jobs in a group.
pub(super) const GROUP_JOBS_MAX: usize = 256;

/// Submissions that wait for a commit slot, in order.
#[derive(Default)]
pub(super) struct Waiting {
    /// Pushed to Redis at once.
    pub(super) pushed: VecDeque<Submission>,
    /// Left to dispatch.
    pub(super) left: VecDeque<Submission>,
    /// Large submissions, with whether their jobs are pushed to Redis at once.
    pub(super) large: VecDeque<(Submission, bool)>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.pushed.len() + self.left.len() + self.large.len()
    }

    /// Whether small submissions with this many jobs wait.
    pub(super) fn has_small_jobs(&self, jobs: usize) -> bool {
        // Each has a job at least, so `jobs` of them are enough to look at.
        let waiting = self.pushed.iter().chain(&self.left).take(jobs);
        waiting.map(|submission| submission.requests.len()).sum::<usize>() >= jobs
    }

    /// Takes the next group of small submissions: those that have waited longest, up to the maximum
    /// size of a group.
    pub(super) fn next_group(&mut self) -> Option<(Vec<Submission>, bool)> {
        let is_pushed = match (self.pushed.front(), self.left.front()) {
            (Some(pushed), Some(left)) => pushed.arrived <= left.arrived,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return None,
        };
        let queue = if is_pushed { &mut self.pushed } else { &mut self.left };
        let mut jobs = 0;
        let fits = |submission: &&Submission| {
            jobs += submission.requests.len();
            jobs <= GROUP_JOBS_MAX
        };
        let fitting = queue.iter().take_while(fits).count();
        Some((queue.drain(..fitting.max(1)).collect(), is_pushed))
    }
}

#[cfg(test)]
mod tests {
    use callboard::{clock::IdSource, job::JobRequest};
    use tokio::{sync::oneshot, time::Instant};

    use super::*;

    fn of_jobs(count: usize) -> Submission {
        let requests = vec![JobRequest::new(IdSource.make()); count];
        Submission { requests, reply: oneshot::channel().0, arrived: Instant::now() }
    }

    #[test]
    fn a_group_takes_what_waits_up_to_its_size() {
        let mut waiting = Waiting::default();
        assert!(waiting.has_small_jobs(0) && !waiting.has_small_jobs(1));
        assert!(waiting.next_group().is_none());
        waiting.pushed.extend([of_jobs(20), of_jobs(1)]);
        waiting.left.extend([of_jobs(3)]);
        waiting.large.extend([(of_jobs(100), true)]);
        assert!(waiting.has_small_jobs(24) && !waiting.has_small_jobs(25), "large ones do not count");
        let sizes = |(group, is_pushed): (Vec<Submission>, bool)| (group.len(), is_pushed);
        assert_eq!(waiting.next_group().map(sizes), Some((2, true)), "those that arrived first");
        assert_eq!(waiting.next_group().map(sizes), Some((1, false)));
        waiting.pushed.extend([of_jobs(GROUP_JOBS_MAX), of_jobs(1)]);
        assert_eq!(waiting.next_group().map(sizes), Some((1, true)));
    }
}
