//! Hints: best-effort messages after a commit that make listeners read Postgres again.
//!
//! The API's feed and the workers listen, and also poll. A lost hint delays a change by up to about
//! two seconds. A lost [`Hint::HoldBack`] is not made up for.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use redis::cmd;

use super::{Redis, RedisError};
use crate::{
    clock::Time,
    ids::{JobId, WorkerId},
    limit::HoldBack,
};

/// Most jobs that a hint names. Beyond that it says "many", and listeners check every job that they
/// watch.
pub const HINT_JOBS_MAX: usize = 32;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// These jobs have new events.
    Changed(Vec<JobId>),
    /// More jobs have new events than a hint may name.
    ManyChanged,
    /// These jobs have new log lines.
    Logged(Vec<JobId>),
    /// These running jobs were asked to cancel.
    Cancel(Vec<JobId>),
    /// This worker was asked to claim nothing new and to end.
    Drain(WorkerId),
    /// Jobs finished that others depend on.
    Dependents,
    /// A queue has ready jobs that are not in Redis yet.
    Backlog,
    /// A gate may be due earlier than before.
    Parked,
    /// A hold on a service, to set or to lift.
    HoldBack(HoldBack),
    /// A key was revoked, or a session ended.
    AccessEnded,
    /// The listener was disconnected for a while, and anything may have changed.
    Reconnected,
}

/// Hints in order of arrival.
pub type HintStream = std::pin::Pin<Box<dyn Stream<Item = Hint> + Send>>;

impl Hint {
    /// The hint for these jobs, however many they are.
    pub fn changed(mut jobs: Vec<JobId>) -> Self {
        jobs.sort_unstable();
        jobs.dedup();
        if jobs.len() > HINT_JOBS_MAX { Self::ManyChanged } else { Self::Changed(jobs) }
    }

    fn write(&self) -> String {
        let list = |kind: char, jobs: &[JobId]| {
            let mut text = String::from(kind);
            for job in jobs {
                text.push(' ');
                text.push_str(&job.to_string());
            }
            text
        };
        match self {
            Self::Changed(jobs) => list('j', jobs),
            Self::ManyChanged => "m".into(),
            Self::Logged(jobs) => list('l', jobs),
            Self::Cancel(jobs) => list('c', jobs),
            Self::Drain(worker) => format!("d {worker}"),
            Self::Dependents => "n".into(),
            Self::Backlog => "b".into(),
            Self::Parked => "p".into(),
            Self::HoldBack(HoldBack { service, claimed_before, length }) => {
                format!("h {service} {} {}", length.as_millis(), claimed_before.timestamp_micros())
            }
            Self::AccessEnded => "a".into(),
            Self::Reconnected => "r".into(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let kind = words.next()?;
        let jobs = || words.clone().map(str::parse).collect::<Result<Vec<JobId>, _>>().ok();
        match kind {
            "j" => jobs().map(Self::Changed),
            "m" => Some(Self::ManyChanged),
            "l" => jobs().map(Self::Logged),
            "c" => jobs().map(Self::Cancel),
            "d" => words.clone().next()?.parse().ok().map(Self::Drain),
            "n" => Some(Self::Dependents),
            "b" => Some(Self::Backlog),
            "p" => Some(Self::Parked),
            "h" => {
                let mut words = words.clone();
                let (service, millis) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                let claimed_before = Time::from_timestamp_micros(words.next()?.parse().ok()?)?;
                let length = Duration::from_millis(millis);
                Some(Self::HoldBack(HoldBack { service, claimed_before, length }))
            }
            "a" => Some(Self::AccessEnded),
            "r" => Some(Self::Reconnected),
            _ => None,
        }
    }
}

impl Redis {
    /// Publishes hints, best effort. A failure is only logged, because listeners poll too.
    pub async fn publish(&self, hints: &[Hint]) {
        let mut pipeline = redis::pipe();
        for hint in hints {
            pipeline.add_command(cmd("PUBLISH").arg(self.key("hints")).arg(hint.write()).clone()).ignore();
        }
        if let Err(error) = pipeline.query_async::<()>(&mut self.connection()).await {
            tracing::debug!(%error, "could not publish hints");
        }
    }

    /// Listens until the connection ends. The first hint is always [`Hint::Reconnected`].
    pub async fn hints(&self) -> Result<HintStream, RedisError> {
        let mut subscription = self.client.get_async_pubsub().await?;
        subscription.subscribe(self.key("hints")).await?;
        let messages = subscription.into_on_message();
        let hints = messages.filter_map(|message| async move {
            let text: String = message.get_payload().ok()?;
            Hint::parse(&text)
        });
        Ok(Box::pin(futures::stream::iter([Hint::Reconnected]).chain(hints)))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ids::ServiceId;

    #[test]
    fn a_hint_reads_back_as_itself() {
        let job = |n| JobId::from(Uuid::from_u128(n));
        for hint in [
            Hint::Changed(vec![job(1), job(2)]),
            Hint::ManyChanged,
            Hint::Logged(vec![job(3)]),
            Hint::Cancel(vec![job(4)]),
            Hint::Drain(WorkerId::from(Uuid::from_u128(5))),
            Hint::Dependents,
            Hint::Backlog,
            Hint::Parked,
            Hint::HoldBack(HoldBack {
                service: ServiceId::from(Uuid::from_u128(6)),
                claimed_before: Time::from_timestamp_micros(1_800_000_000_000_001).unwrap(),
                length: Duration::from_millis(1500),
            }),
            Hint::AccessEnded,
            Hint::Reconnected,
        ] {
            assert_eq!(Hint::parse(&hint.write()), Some(hint));
        }
        assert_eq!(Hint::parse("j nonsense"), None);
        assert_eq!(Hint::changed((0..=HINT_JOBS_MAX as u128).map(job).collect()), Hint::ManyChanged);
    }
}
