//! Ready sets: a sorted set of job ids per queue, each id once, ordered by priority, round and age.
//!
//! Dispatch and the API push after a commit, the workers' intake pops, and dispatch compares with
//! the marks in Postgres. A score is `(9 - priority) * 2^42 + round`, which is exact in a double.
//! Among equal scores the older id comes first.

use std::{collections::BTreeMap, time::Duration};

use redis::{aio::MultiplexedConnection, cmd};

use super::{BLOCK, Redis, RedisError};
use crate::{ids::JobId, job::ReadyJob};

const PRIORITY_STEP: f64 = (1_u64 << 42) as f64;

/// At ten thousand rounds a second, a lane takes twelve years to reach the next priority.
fn score(ready: &ReadyJob) -> f64 {
    let round = ready.round.clamp(0, (1 << 42) - 1);
    f64::from(9 - ready.priority) * PRIORITY_STEP + round as f64
}

fn priority(score: f64) -> i16 {
    9 - (score / PRIORITY_STEP).floor().clamp(0.0, 9.0) as i16
}

fn round(score: f64) -> i64 {
    score.rem_euclid(PRIORITY_STEP) as i64
}

/// What a ready set holds of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadySet {
    /// Number of references.
    pub count: usize,
    /// The greatest round among them. `None` if there are none.
    pub last_round: Option<i64>,
}

impl Redis {
    fn ready_key(&self, queue: &str) -> String {
        self.key(&format!("rounds:{queue}"))
    }

    /// Adds references in one round trip. References that are already there stay as they are.
    pub async fn push_ready(&self, jobs: &[ReadyJob]) -> Result<(), RedisError> {
        let mut by_queue: BTreeMap<&str, Vec<&ReadyJob>> = BTreeMap::new();
        for ready in jobs {
            by_queue.entry(&ready.queue).or_default().push(ready);
        }
        if by_queue.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for (queue, jobs) in by_queue {
            let command = pipeline.cmd("ZADD").arg(self.ready_key(queue)).arg("NX");
            for ready in jobs {
                command.arg(score(ready)).arg(ready.job.to_string());
            }
        }
        let _: Vec<i64> = pipeline.query_async(&mut self.connection()).await?;
        Ok(())
    }

    /// The number of references in a queue's ready set, by priority from 0 to 9.
    pub async fn ready_counts(&self, queue: &str) -> Result<[usize; 10], RedisError> {
        let key = self.ready_key(queue);
        let mut pipeline = redis::pipe();
        for priority in 0..10_u8 {
            let lowest = f64::from(9 - priority) * PRIORITY_STEP;
            let end = format!("({}", lowest + PRIORITY_STEP);
            pipeline.cmd("ZCOUNT").arg(&key).arg(lowest).arg(end);
        }
        let counts: [usize; 10] = pipeline.query_async(&mut self.connection()).await?;
        Ok(counts)
    }

    /// What a queue's ready set holds, by priority from 0 to 9.
    pub async fn held(&self, queue: &str) -> Result<[ReadySet; 10], RedisError> {
        let key = self.ready_key(queue);
        let mut pipeline = redis::pipe();
        for priority in 0..10_u8 {
            let lowest = f64::from(9 - priority) * PRIORITY_STEP;
            let end = format!("({}", lowest + PRIORITY_STEP);
            pipeline.cmd("ZCOUNT").arg(&key).arg(lowest).arg(&end);
            pipeline.cmd("ZREVRANGEBYSCORE").arg(&key).arg(end).arg(lowest);
            pipeline.arg("WITHSCORES").arg("LIMIT").arg(0).arg(1);
        }
        let counted: [(usize, Vec<(String, f64)>); 10] = pipeline.query_async(&mut self.connection()).await?;
        Ok(counted.map(|(count, last)| ReadySet {
            count,
            last_round: last.first().map(|(_, score)| round(*score)),
        }))
    }

    /// Whether Redis has lost its data since any process last asked. Only the first to ask gets
    /// true.
    pub async fn has_forgotten(&self) -> Result<bool, RedisError> {
        let key = self.key("generation");
        let set: Option<String> =
            cmd("SET").arg(key).arg(1).arg("NX").query_async(&mut self.connection()).await?;
        Ok(set.is_some())
    }

    /// The references that are not in their ready sets.
    pub async fn missing(&self, jobs: Vec<ReadyJob>) -> Result<Vec<ReadyJob>, RedisError> {
        if jobs.is_empty() {
            return Ok(jobs);
        }
        let mut by_queue: BTreeMap<String, Vec<ReadyJob>> = BTreeMap::new();
        for ready in jobs {
            by_queue.entry(ready.queue.clone()).or_default().push(ready);
        }
        let mut pipeline = redis::pipe();
        for (queue, jobs) in &by_queue {
            let command = pipeline.cmd("ZMSCORE").arg(self.ready_key(queue));
            for ready in jobs {
                command.arg(ready.job.to_string());
            }
        }
        let scores: Vec<Vec<Option<f64>>> = pipeline.query_async(&mut self.connection()).await?;
        let pairs = by_queue.into_values().flatten().zip(scores.into_iter().flatten());
        Ok(pairs.filter(|(_, score)| score.is_none()).map(|(ready, _)| ready).collect())
    }

    /// Pops up to `most` references of the first queue that has any. Waits up to [`BLOCK`].
    pub(super) async fn pop_ready(
        &self,
        connection: &mut MultiplexedConnection,
        queues: &[String],
        most: usize,
    ) -> Result<Vec<ReadyJob>, RedisError> {
        let mut command = cmd("BZMPOP");
        command.arg(Duration::as_secs_f64(&BLOCK)).arg(queues.len());
        for queue in queues {
            command.arg(self.ready_key(queue));
        }
        command.arg("MIN").arg("COUNT").arg(most);
        let popped: Option<(String, Vec<(String, f64)>)> = command.query_async(connection).await?;
        let Some((key, members)) = popped else { return Ok(Vec::new()) };
        let queue = queues.iter().find(|queue| self.ready_key(queue) == key).cloned().unwrap_or_default();
        let read = |(member, score): (String, f64)| {
            let job: JobId = member.parse().ok()?;
            Some(ReadyJob { job, queue: queue.clone(), priority: priority(score), round: round(score) })
        };
        Ok(members.into_iter().filter_map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn ready(round: i64, priority: i16) -> ReadyJob {
        ReadyJob { job: JobId::from(Uuid::from_u128(7)), queue: "default".into(), priority, round }
    }

    #[test]
    fn a_higher_priority_goes_first_then_the_lower_round() {
        let order = [ready(2_000_000_000_000, 9), ready(1, 5), ready(2, 5), ready(3, 5), ready(0, 4)];
        assert!(order.windows(2).all(|pair| score(&pair[0]) < score(&pair[1])));
        assert!(order.iter().all(|ready| priority(score(ready)) == ready.priority));
        assert!(order.iter().all(|ready| round(score(ready)) == ready.round));
    }
}
