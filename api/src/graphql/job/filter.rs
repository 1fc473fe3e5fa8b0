//! Which jobs, and in which order: the inputs of every list and stream of jobs.

use std::str::FromStr;

use async_graphql::{Enum, ID, InputObject};
use callboard::store::jobs::pages;

use super::JobState;
use crate::{
    error::{ApiError, Code},
    graphql::scalars::DateTime,
};

/// Most values of one list.
const VALUES_MAX: usize = 1000;
/// Longest search, in characters.
const SEARCH_CHARS_MAX: usize = 200;

/// Which jobs. An absent or null field means any, an empty list means none at all. Several fields: all of them; several
/// values of one field: any of them, but of `labels` all. At most 1000 values each.
#[derive(Debug, Clone, Default, InputObject)]
pub struct JobFilter {
    /// These jobs.
    pub ids: Option<Vec<ID>>,
    /// In these states.
    pub states: Option<Vec<JobState>>,
    /// In these queues.
    pub queues: Option<Vec<String>>,
    /// Of these commands.
    pub command_ids: Option<Vec<ID>>,
    /// On these profiles.
    pub profile_ids: Option<Vec<ID>>,
    /// That name these proxies, themselves or through their commands. What a profile chose does not count.
    pub proxy_ids: Option<Vec<ID>>,
    /// With any of these services.
    pub service_ids: Option<Vec<ID>>,
    /// Enqueued by these schedules, deleted ones too.
    pub schedule_ids: Option<Vec<ID>>,
    /// With all of these labels.
    pub labels: Option<Vec<String>>,
    /// Accepted within this range.
    pub created_at: Option<DateTimeRange>,
    /// Whose id is this or begins with it, whose command's name contains it in whichever case, or that have exactly this
    /// label. At most 200 characters; blanks at its ends do not count.
    pub search: Option<String>,
}

/// A range of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, InputObject)]
pub struct DateTimeRange {
    /// At or after this; absent or null: since ever.
    pub gte: Option<DateTime>,
    /// Before this; absent or null: without end.
    pub lt: Option<DateTime>,
}

/// The order of a list of jobs. Their ids break ties, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, InputObject)]
pub struct JobOrder {
    /// By what.
    pub field: JobOrderField,
    /// In which direction. Default DESC.
    #[graphql(default_with = "OrderDirection::Desc")]
    pub direction: OrderDirection,
}

/// What jobs can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum JobOrderField {
    /// When they were accepted.
    CreatedAt,
    /// When they ended. Jobs that have not ended count as ending last.
    FinishedAt,
    /// Their priority.
    Priority,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// The least first.
    Asc,
    /// The greatest first.
    Desc,
}

impl Default for JobOrder {
    fn default() -> Self {
        Self { field: JobOrderField::CreatedAt, direction: OrderDirection::Desc }
    }
}

impl JobOrder {
    /// As the store takes it: by what, and whether from the greatest.
    pub(super) fn of_store(self) -> (pages::JobOrder, bool) {
        let order = match self.field {
            JobOrderField::CreatedAt => pages::JobOrder::Created,
            JobOrderField::FinishedAt => pages::JobOrder::Finished,
            JobOrderField::Priority => pages::JobOrder::Priority,
        };
        (order, self.direction == OrderDirection::Desc)
    }
}

impl TryFrom<JobFilter> for pages::JobFilter {
    type Error = ApiError;

    fn try_from(filter: JobFilter) -> Result<Self, ApiError> {
        let created_at = filter.created_at.unwrap_or_default();
        let search = filter.search.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX) {
            let message = format!("`search` has more than {SEARCH_CHARS_MAX} characters.");
            return Err(ApiError::new(Code::BadRequest, message));
        }
        Ok(Self {
            ids: ids("ids", filter.ids)?,
            states: bounded("states", filter.states)?
                .map(|states| states.into_iter().map(Into::into).collect()),
            queues: bounded("queues", filter.queues)?,
            commands: ids("commandIds", filter.command_ids)?,
            profiles: ids("profileIds", filter.profile_ids)?,
            proxies: ids("proxyIds", filter.proxy_ids)?,
            services: ids("serviceIds", filter.service_ids)?,
            schedules: ids("scheduleIds", filter.schedule_ids)?,
            labels: bounded("labels", filter.labels)?,
            created_from: created_at.gte.map(|time| time.0),
            created_before: created_at.lt.map(|time| time.0),
            search,
        })
    }
}

fn bounded<T>(name: &str, list: Option<Vec<T>>) -> Result<Option<Vec<T>>, ApiError> {
    if list.as_ref().is_some_and(|list| list.len() > VALUES_MAX) {
        return Err(ApiError::new(Code::BadRequest, format!("`{name}` has more than {VALUES_MAX} values.")));
    }
    Ok(list)
}

/// The ids of a list; what is no id of the kind is left out, because nothing has it.
fn ids<Id: FromStr>(name: &str, list: Option<Vec<ID>>) -> Result<Option<Vec<Id>>, ApiError> {
    let list = bounded(name, list)?;
    Ok(list.map(|list| list.iter().filter_map(|id| id.parse().ok()).collect()))
}
