//! The inputs that filter and order jobs in every list and subscription.

use std::str::FromStr;

use async_graphql::{Enum, ID, InputObject};
use callboard::{
    name::{normal_form, search_form},
    store::jobs::pages,
};

use super::JobState;
use crate::{
    error::{ApiError, Code},
    graphql::scalars::DateTime,
};

/// Maximum number of values in one list.
const VALUES_MAX: usize = 1000;
/// Longest search, in characters.
const SEARCH_CHARS_MAX: usize = 200;

/// Selects jobs. An absent or null field matches any job, an empty list matches none. Several
/// fields must all match. Of several values in one field, one must match, except for `labels`,
/// which must all match. At most 1000 values per field.
#[derive(Debug, Clone, Default, InputObject)]
pub struct JobFilter {
    /// Jobs with these ids.
    pub ids: Option<Vec<ID>>,
    /// Jobs in these states.
    pub states: Option<Vec<JobState>>,
    /// Jobs in these queues.
    pub queues: Option<Vec<String>>,
    /// Jobs of these commands.
    pub command_ids: Option<Vec<ID>>,
    /// Jobs on these profiles.
    pub profile_ids: Option<Vec<ID>>,
    /// Jobs that name one of these proxies, themselves or through their command. A proxy chosen by
    /// the profile does not count.
    pub proxy_ids: Option<Vec<ID>>,
    /// Jobs with any of these services.
    pub service_ids: Option<Vec<ID>>,
    /// Jobs enqueued by these schedules, including deleted ones.
    pub schedule_ids: Option<Vec<ID>>,
    /// Jobs with all of these labels.
    pub labels: Option<Vec<String>>,
    /// Jobs accepted within this range.
    pub created_at: Option<DateTimeRange>,
    /// Jobs whose id equals or starts with this text, whose command's name contains it (ignoring
    /// case), or that have exactly this label. At most 200 characters. Leading and trailing spaces
    /// are ignored.
    pub search: Option<String>,
}

/// A range of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, InputObject)]
pub struct DateTimeRange {
    /// At or after this time. Absent or null for no lower bound.
    pub gte: Option<DateTime>,
    /// Before this time. Absent or null for no upper bound.
    pub lt: Option<DateTime>,
}

/// The order of a list of jobs. Ids break ties, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, InputObject)]
pub struct JobOrder {
    /// The field to order by.
    pub field: JobOrderField,
    /// The direction. Default DESC.
    #[graphql(default_with = "OrderDirection::Desc")]
    pub direction: OrderDirection,
}

/// The fields that jobs can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum JobOrderField {
    /// When the job was accepted.
    CreatedAt,
    /// When the job finished. Unfinished jobs come after all finished ones in ascending order.
    FinishedAt,
    /// The job's priority.
    Priority,
}

/// The direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// Lowest first.
    Asc,
    /// Highest first.
    Desc,
}

impl Default for JobOrder {
    fn default() -> Self {
        Self { field: JobOrderField::CreatedAt, direction: OrderDirection::Desc }
    }
}

impl JobOrder {
    /// Returns the store's order and whether it is descending.
    pub(super) fn of_store(self) -> (pages::JobOrder, bool) {
        let order = match self.field {
            JobOrderField::CreatedAt => pages::JobOrder::Created,
            JobOrderField::FinishedAt => pages::JobOrder::Finished,
            JobOrderField::Priority => pages::JobOrder::Priority,
        };
        (order, self.direction == OrderDirection::Desc)
    }
}

/// A field of a filter is out of bounds: BAD_REQUEST, and INVALID in mutations. It has no text of
/// its own, so that `?` does not make an error without a code of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFilter {
    /// The name of the field.
    pub field: &'static str,
    /// What is wrong, as a fragment that follows the name.
    pub message: String,
}

impl From<BadFilter> for ApiError {
    fn from(bad: BadFilter) -> Self {
        Self::new(Code::BadRequest, format!("`{}` {}.", bad.field, bad.message))
    }
}

impl TryFrom<JobFilter> for pages::JobFilter {
    type Error = BadFilter;

    fn try_from(filter: JobFilter) -> Result<Self, BadFilter> {
        let created_at = filter.created_at.unwrap_or_default();
        let search = filter.search.as_deref().and_then(search_form);
        if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX) {
            let message = format!("must have at most {SEARCH_CHARS_MAX} characters");
            return Err(BadFilter { field: "search", message });
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
            labels: bounded("labels", filter.labels)?
                .map(|labels| labels.iter().map(|label| normal_form(label)).collect()),
            created_from: created_at.gte.map(|time| time.0),
            created_before: created_at.lt.map(|time| time.0),
            search,
        })
    }
}

fn bounded<T>(field: &'static str, list: Option<Vec<T>>) -> Result<Option<Vec<T>>, BadFilter> {
    if list.as_ref().is_some_and(|list| list.len() > VALUES_MAX) {
        return Err(BadFilter { field, message: format!("must have at most {VALUES_MAX} values") });
    }
    Ok(list)
}

/// Parses the ids of a list. Ids of another kind or form are left out, because no object has them.
fn ids<Id: FromStr>(field: &'static str, list: Option<Vec<ID>>) -> Result<Option<Vec<Id>>, BadFilter> {
    let list = bounded(field, list)?;
    Ok(list.map(|list| list.iter().filter_map(|id| id.parse().ok()).collect()))
}
