//! Decides which changes the subscription of a filter receives.

use callboard::{
    ids::JobId,
    job::JobState,
    store::jobs::{pages::JobFilter, records::Origin},
};

use super::Change;

/// A filter prepared for matching changes. Its search is ignored.
#[derive(Debug, Clone)]
pub struct Selection {
    filter: JobFilter,
    needs_origin: bool,
}

impl Selection {
    /// Creates the selection of a filter.
    pub fn new(filter: JobFilter) -> Self {
        let needs_origin = filter.queues.is_some()
            || filter.commands.is_some()
            || filter.profiles.is_some()
            || filter.proxies.is_some()
            || filter.services.is_some()
            || filter.labels.is_some()
            || filter.created_from.is_some()
            || filter.created_before.is_some();
        Self { filter, needs_origin }
    }

    /// Whether matching needs a job's origin.
    pub(super) const fn needs_origin(&self) -> bool {
        self.needs_origin
    }

    /// Returns `None` if the change is not to be sent, otherwise whether the job is within the
    /// filter now. `origin` is called only if the states do not decide.
    pub(super) fn judge<'a>(
        &self,
        change: &Change,
        origin: impl FnOnce(JobId) -> Option<&'a Origin>,
    ) -> Option<bool> {
        let matches_state =
            |state: JobState| self.filter.states.as_ref().is_none_or(|states| states.contains(&state));
        let (was_in, is_in) = (change.prior_state.is_some_and(matches_state), matches_state(change.state));
        if !was_in && !is_in || self.filter.ids.as_ref().is_some_and(|ids| !ids.contains(&change.job)) {
            return None;
        }
        let matches_origin =
            !self.needs_origin || origin(change.job).is_some_and(|origin| self.includes(origin));
        matches_origin.then_some(is_in)
    }

    /// Whether the filter includes a job of this origin, in some state.
    fn includes(&self, origin: &Origin) -> bool {
        fn has<T: PartialEq>(list: Option<&Vec<T>>, value: &T) -> bool {
            list.is_none_or(|list| list.contains(value))
        }
        let filter = &self.filter;
        has(filter.queues.as_ref(), &origin.queue)
            && has(filter.commands.as_ref(), &origin.command_id)
            && filter
                .profiles
                .as_ref()
                .is_none_or(|list| origin.profile_id.is_some_and(|id| list.contains(&id)))
            && filter.proxies.as_ref().is_none_or(|list| origin.proxy_id.is_some_and(|id| list.contains(&id)))
            && filter
                .services
                .as_ref()
                .is_none_or(|list| list.iter().any(|id| origin.service_ids.contains(id)))
            && filter
                .labels
                .as_ref()
                .is_none_or(|list| !list.is_empty() && list.iter().all(|label| origin.labels.contains(label)))
            && filter.created_from.is_none_or(|from| origin.created_at >= from)
            && filter.created_before.is_none_or(|before| origin.created_at < before)
    }
}

#[cfg(test)]
mod tests {
    use callboard::clock::Time;
    use uuid::Uuid;

    use super::*;

    fn change(prior_state: Option<JobState>, state: JobState) -> Change {
        Change { job: Uuid::from_u128(1).into(), state, version: 2, at: Time::default(), prior_state }
    }

    fn origin(labels: &[&str]) -> Origin {
        let id = Uuid::from_u128(1);
        Origin {
            job: id.into(),
            command_id: id.into(),
            queue: "default".into(),
            profile_id: None,
            proxy_id: None,
            service_ids: Vec::new(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            created_at: Time::default(),
        }
    }

    #[test]
    fn a_job_is_reported_when_it_enters_stays_in_or_leaves() {
        let states = Some(vec![JobState::Running]);
        let selection = Selection::new(JobFilter { states, ..JobFilter::default() });
        let judge = |prior, state| selection.judge(&change(prior, state), |_| None);
        assert_eq!(judge(Some(JobState::Queued), JobState::Running), Some(true));
        assert_eq!(judge(Some(JobState::Running), JobState::Running), Some(true));
        assert_eq!(judge(Some(JobState::Running), JobState::Failed), Some(false));
        assert_eq!(judge(None, JobState::Queued), None);
        assert_eq!(judge(Some(JobState::Queued), JobState::Cancelled), None);
    }

    #[test]
    fn constant_fields_decide_whether_a_job_is_reported() {
        let selection = |labels: &[&str]| {
            let labels = Some(labels.iter().map(|label| (*label).to_owned()).collect());
            Selection::new(JobFilter { labels, ..JobFilter::default() })
        };
        let job = origin(&["a", "b"]);
        let judge = |selection: &Selection| selection.judge(&change(None, JobState::Queued), |_| Some(&job));
        assert_eq!(judge(&selection(&["a"])), Some(true));
        assert_eq!(judge(&selection(&["a", "b"])), Some(true));
        assert_eq!(judge(&selection(&["a", "c"])), None);
        assert_eq!(judge(&selection(&[])), None, "an empty list matches no job");
        let ids = Some(vec![JobId::from(Uuid::from_u128(9))]);
        let other = Selection::new(JobFilter { ids, ..JobFilter::default() });
        assert!(!other.needs_origin());
        assert_eq!(other.judge(&change(None, JobState::Queued), |_| None), None);
    }
}
