//! The query `cronPreview`, which says when a schedule would fire.

use async_graphql::{Object, SimpleObject};
use callboard::{catalogue, clock, refusal::Refusal};

use super::object::{UPCOMING_DEFAULT, UPCOMING_MAX};
use crate::graphql::{
    scalars::DateTime,
    user_error::{UserError, argument_errors},
};

/// The next times of a cron pattern, or why it is refused.
#[derive(Debug, SimpleObject)]
pub struct CronPreview {
    /// The next times at which a schedule with this pattern and time zone would fire, soonest
    /// first, within a hundred years. Empty when the arguments were refused.
    pub upcoming: Vec<DateTime>,
    /// Why the arguments were refused, as scheduleCreate would say it. A path begins with the
    /// argument: `["cron"]`. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// The query field `cronPreview`.
#[derive(Debug, Default, Clone, Copy)]
pub struct CronPreviewQuery;

#[Object]
impl CronPreviewQuery {
    /// Says when a schedule with this pattern would fire, from now on, by the code that fires
    /// schedules. Writes nothing. Costs 50.
    async fn cron_preview(
        &self,
        #[graphql(desc = "The cron pattern, as in ScheduleCreateInput.")] cron: String,
        #[graphql(
            desc = "The IANA time zone of the pattern. Null means UTC.",
            default_with = "Some(\"UTC\".to_owned())"
        )]
        timezone: Option<String>,
        #[graphql(desc = "Number of times, 1 to 100.", default_with = "Some(UPCOMING_DEFAULT)")]
        count: Option<i32>,
    ) -> CronPreview {
        let count = count.unwrap_or(UPCOMING_DEFAULT);
        let is_in_bounds = (1..=UPCOMING_MAX).contains(&count);
        let asked = if is_in_bounds { usize::try_from(count).unwrap_or(0) } else { 0 };
        let times = catalogue::cron_preview(&cron, timezone.as_deref(), clock::now(), asked);
        let (times, mut refusals) =
            times.map_or_else(|found| (Vec::new(), found), |times| (times, Vec::new()));
        if !is_in_bounds {
            let message = format!("must be 1 to {UPCOMING_MAX}, not {count}");
            refusals.push(Refusal::invalid("count", message));
        }
        CronPreview {
            upcoming: times.into_iter().map(DateTime).collect(),
            // No mutation, so that the audit says nothing of it.
            user_errors: argument_errors(refusals),
        }
    }
}
