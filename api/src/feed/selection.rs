//! Decides which changes the subscription of a filter receives.

use callboard::{
    ids::JobId,
    job::JobState,
    store::jobs::{pages::JobFilter, records::Origin},
};

use super::Change;

/// A filter prepared for matching changes, without a search.
#[derive(Debug, Clone)]
pub struct Selection {
    filter: JobFilter,
    needs_origin: bool,
}

/// The filter has a search, which changes cannot be matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stream of changes cannot be searched")]
pub struct HasSearch;

impl Selection {
    /// Creates the selection of a filter.
    pub fn new(filter: JobFilter) -> Result<Self, HasSearch> {
        // Naming every field keeps a new one from being ignored here.
        let JobFilter {
            ids: _,
            states: _,
            queues,
            commands,
            profiles,
            proxies,
            services,
            schedules,
            labels,
            created_from,
            created_before,
            search,
        } = &filter;
        if search.is_some() {
            return Err(HasSearch);
        }
        let needs_origin = queues.is_some()
            || commands.is_some()
            || profiles.is_some()
            || proxies.is_some()
            || services.is_some()
            || schedules.is_some()
            || labels.is_some()
            || created_from.is_some()
            || created_before.is_some();
        Ok(Self { filter, needs_origin })
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
        let Origin {
            job,
            command_id,
            queue,
            profile_id,
            proxy_id,
            service_ids,
            schedule_id,
            labels: job_labels,
            created_at,
        } = origin;
        // Naming every field keeps a new one from being ignored here.
        let JobFilter {
            ids,
            states: _,
            queues,
            commands,
            profiles,
            proxies,
            services,
            schedules,
            labels,
            created_from,
            created_before,
            search: _,
        } = &self.filter;
        has(ids.as_ref(), Some(job))
            && has(queues.as_ref(), Some(queue))
            && has(commands.as_ref(), Some(command_id))
            && has(profiles.as_ref(), profile_id.as_ref())
            && has(proxies.as_ref(), proxy_id.as_ref())
            && has(schedules.as_ref(), schedule_id.as_ref())
            && services.as_ref().is_none_or(|list| list.iter().any(|id| service_ids.contains(id)))
            && labels
                .as_ref()
                .is_none_or(|list| !list.is_empty() && list.iter().all(|label| job_labels.contains(label)))
            && created_from.is_none_or(|from| *created_at >= from)
            && created_before.is_none_or(|before| *created_at < before)
    }
}

/// Whether a list allows a job's value. A list that is not set allows every job, and any other only
/// jobs that have a value.
fn has<T: PartialEq>(list: Option<&Vec<T>>, value: Option<&T>) -> bool {
    list.is_none_or(|list| value.is_some_and(|value| list.contains(value)))
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
            schedule_id: None,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            created_at: Time::default(),
        }
    }

    #[test]
    fn a_job_is_reported_when_it_enters_stays_in_or_leaves() {
        let states = Some(vec![JobState::Running]);
        let selection = Selection::new(JobFilter { states, ..JobFilter::default() }).unwrap();
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
            Selection::new(JobFilter { labels, ..JobFilter::default() }).unwrap()
        };
        let job = origin(&["a", "b"]);
        let judge = |selection: &Selection| selection.judge(&change(None, JobState::Queued), |_| Some(&job));
        assert_eq!(judge(&selection(&["a"])), Some(true));
        assert_eq!(judge(&selection(&["a", "b"])), Some(true));
        assert_eq!(judge(&selection(&["a", "c"])), None);
        assert_eq!(judge(&selection(&[])), None, "an empty list matches no job");
        let ids = Some(vec![JobId::from(Uuid::from_u128(9))]);
        let other = Selection::new(JobFilter { ids, ..JobFilter::default() }).unwrap();
        assert!(!other.needs_origin());
        assert_eq!(other.judge(&change(None, JobState::Queued), |_| None), None);
    }
}
