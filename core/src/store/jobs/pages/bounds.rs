//! Converts a page request into the arguments of the statements.

use uuid::Uuid;

use super::{JobFilter, JobOrder, JobPageRequest, Place};
use crate::{clock::Time, job::JobState};

/// Most that the clock of an API process, which is in a job's id, may differ from the database's
/// clock, which is in its time of creation. A filter by time of creation widens the range of ids by
/// this much on both sides.
const CLOCKS_APART_MS: i64 = 3_600_000;
/// Characters of an id after `job_`. They have five bits each, and the first has three.
const ID_CHARACTERS: usize = 26;
/// Crockford's base32, as TypeIDs use it.
const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

/// The arguments of the statements, `None` for any. Single values are separate from lists, because
/// only with a single value an index returns rows in order.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    pub(super) ids: Option<Vec<Uuid>>,
    pub(super) queue: Option<String>,
    pub(super) queues: Option<Vec<String>>,
    pub(super) command: Option<Uuid>,
    pub(super) commands: Option<Vec<Uuid>>,
    pub(super) profile: Option<Uuid>,
    pub(super) profiles: Option<Vec<Uuid>>,
    pub(super) proxies: Option<Vec<Uuid>>,
    pub(super) services: Option<Vec<Uuid>>,
    pub(super) schedule: Option<Uuid>,
    pub(super) schedules: Option<Vec<Uuid>>,
    pub(super) labels: Option<Vec<String>>,
    pub(super) created_from: Option<Time>,
    pub(super) created_before: Option<Time>,
    pub(super) search: Option<String>,
    /// Commands whose names the search matches.
    pub(super) search_commands: Vec<Uuid>,
    /// The range of ids that begin with the search.
    pub(super) search_ids: Option<(Uuid, Uuid)>,
    /// Only ids above `lower` and below `upper`.
    pub(super) lower: Uuid,
    pub(super) upper: Uuid,
    /// The legs that can have rows.
    pub(super) legs: Vec<&'static str>,
    /// The states of the filter, for legs with jobs of several states.
    pub(super) states: Vec<&'static str>,
    /// Whether the filter needs the record of a job.
    pub(super) needs_record: bool,
    /// Only ended jobs between these, in the order of ending.
    pub(super) finished_lower: Option<(Time, Uuid)>,
    pub(super) finished_upper: Option<(Time, Uuid)>,
    /// Only jobs between these, in the order of priority.
    pub(super) priority_lower: Option<(i16, Uuid)>,
    pub(super) priority_upper: Option<(i16, Uuid)>,
    pub(super) rows: i64,
}

impl Bounds {
    pub(super) fn of_count(filter: &JobFilter, search_commands: Vec<Uuid>, most: i64) -> Self {
        let mut bounds = Self::of_filter(filter, search_commands);
        bounds.rows = most;
        bounds.legs = legs(filter, JobOrder::Created);
        bounds
    }

    pub(super) fn of_page(request: &JobPageRequest, search_commands: Vec<Uuid>) -> Self {
        let mut bounds = Self::of_filter(&request.filter, search_commands);
        bounds.rows = request.rows;
        bounds.legs = legs(&request.filter, request.order);
        let (lower, upper) = if request.is_descending {
            (request.before, request.after)
        } else {
            (request.after, request.before)
        };
        if let Some(place) = lower {
            bounds.above(place);
        }
        if let Some(place) = upper {
            bounds.below(place);
        }
        bounds
    }

    fn of_filter(filter: &JobFilter, search_commands: Vec<Uuid>) -> Self {
        let (queue, queues) = one_or_many(filter.queues.clone());
        let (command, commands) = one_or_many(uuids(filter.commands.as_ref()));
        let (profile, profiles) = one_or_many(uuids(filter.profiles.as_ref()));
        let (schedule, schedules) = one_or_many(uuids(filter.schedules.as_ref()));
        let first_of = |time: Time, slack: i64| first_id(time.timestamp_millis() + slack);
        let mut bounds = Self {
            ids: uuids(filter.ids.as_ref()),
            queue,
            queues,
            command,
            commands,
            profile,
            profiles,
            proxies: uuids(filter.proxies.as_ref()),
            services: uuids(filter.services.as_ref()),
            schedule,
            schedules,
            labels: filter.labels.clone(),
            created_from: filter.created_from,
            created_before: filter.created_before,
            search: filter.search.clone(),
            search_commands,
            states: wanted(filter).into_iter().map(JobState::as_str).collect(),
            search_ids: filter.search.as_deref().and_then(ids_that_begin_with),
            lower: filter.created_from.map_or(Uuid::nil(), |time| first_of(time, -CLOCKS_APART_MS)),
            upper: filter.created_before.map_or(Uuid::max(), |time| first_of(time, CLOCKS_APART_MS)),
            ..Self::default()
        };
        bounds.needs_record = bounds.queue.is_some()
            || bounds.queues.is_some()
            || bounds.command.is_some()
            || bounds.commands.is_some()
            || bounds.profile.is_some()
            || bounds.profiles.is_some()
            || bounds.proxies.is_some()
            || bounds.services.is_some()
            || bounds.schedule.is_some()
            || bounds.schedules.is_some()
            || bounds.labels.is_some()
            || bounds.created_from.is_some()
            || bounds.created_before.is_some()
            || bounds.search.is_some();
        bounds
    }

    /// Restricts to jobs greater than this place.
    fn above(&mut self, place: Place) {
        match place {
            Place::Created(job) => self.lower = self.lower.max(job.uuid()),
            // Live jobs are greater than all ended jobs.
            Place::Finished(None, job) => {
                self.lower = self.lower.max(job.uuid());
                self.legs.retain(|leg| *leg != FINISHED);
            }
            Place::Finished(Some(time), job) => self.finished_lower = Some((time, job.uuid())),
            Place::Priority(priority, job) => self.priority_lower = Some((priority, job.uuid())),
        }
    }

    /// Restricts to jobs less than this place.
    fn below(&mut self, place: Place) {
        match place {
            Place::Created(job) | Place::Finished(None, job) => self.upper = self.upper.min(job.uuid()),
            Place::Finished(Some(time), job) => {
                self.finished_upper = Some((time, job.uuid()));
                self.legs.retain(|leg| !LIVE.contains(leg));
            }
            Place::Priority(priority, job) => self.priority_upper = Some((priority, job.uuid())),
        }
    }
}

/// The leg of jobs in any state.
const ALL: &str = "all";
/// The leg of ended jobs in the order of ending, instead of the legs by state.
const FINISHED: &str = "finished";
/// The legs of live jobs.
const LIVE: [&str; 4] = [
    JobState::Blocked.as_str(),
    JobState::Scheduled.as_str(),
    JobState::Queued.as_str(),
    JobState::Running.as_str(),
];

/// The states that match the filter.
fn wanted(filter: &JobFilter) -> Vec<JobState> {
    let is_wanted = |state: &JobState| filter.states.as_ref().is_none_or(|states| states.contains(state));
    JobState::ALL.into_iter().filter(is_wanted).collect()
}

/// The legs that can have rows: one for all states, or one for each state that matches.
fn legs(filter: &JobFilter, order: JobOrder) -> Vec<&'static str> {
    let wanted = wanted(filter);
    let is_all = wanted.len() == JobState::ALL.len();
    match order {
        JobOrder::Created | JobOrder::Priority if is_all => vec![ALL],
        JobOrder::Created | JobOrder::Priority => wanted.into_iter().map(JobState::as_str).collect(),
        JobOrder::Finished => {
            let live = wanted.iter().filter(|state| !state.has_ended()).map(|state| state.as_str());
            let ended = wanted.iter().any(|state| state.has_ended()).then_some(FINISHED);
            live.chain(ended).collect()
        }
    }
}

fn uuids<Id: Copy + Into<Uuid>>(ids: Option<&Vec<Id>>) -> Option<Vec<Uuid>> {
    ids.map(|ids| ids.iter().map(|id| (*id).into()).collect())
}

fn one_or_many<T>(list: Option<Vec<T>>) -> (Option<T>, Option<Vec<T>>) {
    match list {
        Some(mut list) if list.len() == 1 => (list.pop(), None),
        other => (None, other),
    }
}

/// The first id of this time.
fn first_id(millis: i64) -> Uuid {
    Uuid::from_u128((millis.clamp(0, (1 << 48) - 1) as u128) << 80)
}

/// The range of ids whose text begins with this: `job_01h4`, `job_` for all ids, or a whole id.
pub(super) fn ids_that_begin_with(text: &str) -> Option<(Uuid, Uuid)> {
    let digits = text.strip_prefix("job_")?;
    if digits.len() > ID_CHARACTERS {
        return None;
    }
    let mut value = 0_u128;
    for (index, character) in digits.chars().enumerate() {
        let digit = ALPHABET.find(character)? as u128;
        if index == 0 && digit > 7 {
            return None;
        }
        value = value << 5 | digit;
    }
    let free_bits = if digits.is_empty() { 128 } else { 5 * (ID_CHARACTERS - digits.len()) };
    let low = value.checked_shl(free_bits as u32).unwrap_or(0);
    let rest = 1_u128.checked_shl(free_bits as u32).map_or(u128::MAX, |end| end - 1);
    Some((Uuid::from_u128(low), Uuid::from_u128(low | rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::JobId;

    #[test]
    fn a_beginning_of_an_id_is_a_range_of_ids() {
        let id = JobId::from(Uuid::from_u128(0x0189_2e51_6c96_7743_b8ba_6a2d_0c4a_1f02));
        let text = id.to_string();
        for end in 4..=text.len() {
            let (low, high) = ids_that_begin_with(&text[..end]).unwrap();
            assert!((low..=high).contains(&id.uuid()), "{end}");
            assert!(JobId::from(low).to_string().starts_with(&text[..end]), "{end}");
            assert!(JobId::from(high).to_string().starts_with(&text[..end]), "{end}");
        }
        assert_eq!(ids_that_begin_with(&text), Some((id.uuid(), id.uuid())));
        assert_eq!(ids_that_begin_with("job_"), Some((Uuid::nil(), Uuid::max())));
        for other in ["", "job", "checkout", "job_8", "job_u", "job_01H", &format!("{text}0")] {
            assert_eq!(ids_that_begin_with(other), None, "{other}");
        }
    }

    #[test]
    fn only_legs_that_can_have_rows_are_read() {
        let filter = |states: Option<&[JobState]>| JobFilter {
            states: states.map(<[_]>::to_vec),
            ..JobFilter::default()
        };
        assert_eq!(legs(&filter(None), JobOrder::Created), ["all"]);
        assert_eq!(legs(&filter(Some(&JobState::ALL)), JobOrder::Priority), ["all"]);
        assert_eq!(legs(&filter(Some(&[JobState::Failed])), JobOrder::Created), ["failed"]);
        let mixed = [JobState::Failed, JobState::Running];
        assert_eq!(legs(&filter(Some(&mixed)), JobOrder::Finished), ["running", "finished"]);
        let job = JobId::from(Uuid::from_u128(7));
        let request = JobPageRequest {
            filter: filter(Some(&mixed)),
            order: JobOrder::Finished,
            is_descending: true,
            after: Some(Place::Finished(Some(Time::default()), job)),
            before: None,
            is_from_end: false,
            rows: 1,
        };
        let bounds = Bounds::of_page(&request, Vec::new());
        assert_eq!(bounds.legs, ["finished"], "after an ended job there are no live ones");
        assert_eq!(bounds.finished_upper, Some((Time::default(), job.uuid())));
        let request =
            JobPageRequest { is_descending: false, after: Some(Place::Finished(None, job)), ..request };
        let bounds = Bounds::of_page(&request, Vec::new());
        assert_eq!((bounds.legs, bounds.lower), (vec!["running"], job.uuid()));
    }
}
