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

    /// Whether small submissions wait.
    pub(super) fn has_small(&self) -> bool {
        !(self.pushed.is_empty() && self.left.is_empty())
    }

    /// Takes the next group of small submissions: those that have waited longest, up to the maximum
    /// size of a group. `None` if the group has fewer jobs than this.
    pub(super) fn next_group(&mut self, at_least: usize) -> Option<(Vec<Submission>, bool)> {
        let is_pushed = match (self.pushed.front(), self.left.front()) {
            (Some(pushed), Some(left)) => pushed.arrived <= left.arrived,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return None,
        };
        let queue = if is_pushed { &mut self.pushed } else { &mut self.left };
        let (mut jobs, mut fitting) = (0, 0);
        for submission in queue.iter() {
            let with_it = jobs + submission.requests.len();
            if fitting > 0 && with_it > GROUP_JOBS_MAX {
                break;
            }
            (jobs, fitting) = (with_it, fitting + 1);
        }
        (jobs >= at_least).then(|| (queue.drain(..fitting).collect(), is_pushed))
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
        assert!(waiting.next_group(0).is_none());
        waiting.pushed.extend([of_jobs(20), of_jobs(1)]);
        waiting.left.extend([of_jobs(3)]);
        waiting.large.extend([(of_jobs(100), true)]);
        assert!(waiting.next_group(22).is_none(), "only those of a group count");
        let sizes = |(group, is_pushed): (Vec<Submission>, bool)| (group.len(), is_pushed);
        assert_eq!(waiting.next_group(21).map(sizes), Some((2, true)), "those that arrived first");
        assert_eq!(waiting.next_group(0).map(sizes), Some((1, false)));
        waiting.pushed.extend([of_jobs(GROUP_JOBS_MAX), of_jobs(1)]);
        assert_eq!(waiting.next_group(GROUP_JOBS_MAX).map(sizes), Some((1, true)));
    }
}
