//! Run a schedule now: the request of the job that a person enqueues of a schedule by hand.
//!
//! Writes nothing. The request goes through `submit` like every other, so that a job of a schedule
//! that runs by hand is checked, stored and announced as the caller's own. The schedule itself does
//! not change: neither its next time, nor its last one, nor whether it is paused.

use super::{context::SubmitContext, fire_schedules::request_of};
use crate::{
    audit::By,
    ids::ScheduleId,
    job::JobRequest,
    refusal::{Refusal, RefusalCode},
    steps::StepError,
    store::catalogue::schedules,
};

/// A job of a schedule, to be submitted.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// The name of the schedule.
    pub name: String,
    /// The request. Its due time is `None`, so that it takes no firing's place.
    pub request: JobRequest,
}

impl ByHand {
    /// The refusals of the request. Their paths are those of a job, of which the caller gave only
    /// the schedule.
    pub fn refused(name: &str, refusals: Vec<Refusal>) -> Vec<Refusal> {
        let of_schedule = |Refusal { code, message, path, lacks }| {
            let place = if path.is_empty() { String::new() } else { format!("{}: ", path.join(".")) };
            let message = format!("The job of the schedule {name} was refused ({place}{message}).");
            Refusal { code, message, path: vec!["id".to_owned()], lacks }
        };
        refusals.into_iter().map(of_schedule).collect()
    }
}

/// The job of a schedule as it would be enqueued now, by this caller.
pub async fn by_hand(context: &SubmitContext, id: ScheduleId, by: &By) -> Result<ByHand, StepError> {
    let mut connection = context.store.connection().await?;
    let schedule = schedules::load(&mut connection, &[id]).await?.pop();
    drop(connection);
    let schedule = schedule.ok_or_else(|| {
        StepError::refused(RefusalCode::NotFound, &["id"], format!("There is no schedule {id}."))
    })?;
    let name = schedule.plan.name.clone();
    match request_of(context, &schedule) {
        Ok(request) => {
            let request = JobRequest { by: Some(by.clone()), schedule: Some((id, None)), ..request };
            Ok(ByHand { name, request })
        }
        Err(failure) => {
            let refusals = vec![Refusal::invalid("", failure.trim_end_matches('.'))];
            Err(StepError::Refused(ByHand::refused(&name, refusals)))
        }
    }
}
