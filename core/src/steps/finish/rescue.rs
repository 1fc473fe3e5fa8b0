//! Rescue: declares workers lost whose leases ran out, and gives their jobs back to the queue.
//!
//! A duty of every worker, one batch in one transaction. A lease has run out when one rescuer has
//! seen its row unchanged for a whole lease, in unbroken contact with Postgres (docs/adr/0010). So
//! an outage of Postgres loses no worker, and no two clocks are compared. If the process dies right
//! after, the next round of any worker goes on.

use std::{collections::BTreeMap, time::Duration};

use super::settle::{Settlement, settle_within};
use crate::{
    clock::Time,
    ids::{JobId, WorkerId},
    job::{Outcome, Standing},
    mutant::Mutant,
    steps::{After, Done, limits::wake::Recheck},
    store::{
        Connection, Store, StoreError, commit,
        jobs::live,
        limits::usage,
        workers::{self, Lease},
    },
};

/// Most jobs of one transaction. A worker that holds more takes several rounds.
const RESCUE_BATCH_MAX: i64 = 500;

/// What one rescuer has seen of all leases, by its own clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Watch {
    /// When it last looked.
    looked_at: Option<Duration>,
    /// The renewal that each lease showed last, and since when it has not changed.
    still: BTreeMap<WorkerId, (Time, Duration)>,
}

impl Watch {
    /// Records the current leases, and returns those that have not changed for `length`, a whole
    /// lease. `now` is the time since some fixed moment on a clock that goes on while the machine
    /// is suspended. More than half a lease between two looks breaks the contact.
    pub fn look(&mut self, leases: &[Lease], now: Duration, length: Duration) -> Vec<Lease> {
        if self.looked_at.is_some_and(|last| now.saturating_sub(last) > length / 2) {
            self.lose_contact();
        }
        self.looked_at = Some(now);
        let before = std::mem::take(&mut self.still);
        for lease in leases {
            let seen = before.get(&lease.worker).filter(|(renewed_at, _)| *renewed_at == lease.renewed_at);
            self.still.insert(lease.worker, seen.copied().unwrap_or((lease.renewed_at, now)));
        }
        let is_over = |lease: &&Lease| {
            self.still.get(&lease.worker).is_some_and(|(_, since)| now.saturating_sub(*since) >= length)
        };
        leases.iter().filter(is_over).copied().collect()
    }

    /// Forgets everything, because Postgres could not be reached. Workers that did not renew
    /// meanwhile may not have reached it either.
    pub fn lose_contact(&mut self) {
        if !Mutant::RescueWithoutContact.is_on() {
            self.still.clear();
        }
    }
}

/// All current leases. `None` if Postgres is read-only at the moment. Then there is no contact: no
/// worker can renew.
pub async fn leases(store: &Store) -> Result<Option<Vec<Lease>>, StoreError> {
    workers::leases(&mut *store.connection().await?).await
}

/// What one round did.
#[derive(Debug, Default)]
pub struct Rescued {
    /// Whether this round declared the worker lost.
    pub is_lost: bool,
    /// Jobs taken from lost workers.
    pub jobs: usize,
    /// Whether there may be more to do.
    pub has_more: bool,
}

/// One round. Declares the worker of `lease` lost, unless it has renewed since, and gives back a
/// batch of the jobs of lost workers.
pub async fn rescue(store: &Store, lease: Option<&Lease>) -> Result<Done<Rescued>, StoreError> {
    let mut transaction = store.begin().await?;
    let is_lost = match lease {
        Some(lease) => workers::lose(&mut transaction, lease).await?,
        None => false,
    };
    let orphans = workers::orphans(&mut transaction, RESCUE_BATCH_MAX).await?;
    let has_more = orphans.len() as i64 == RESCUE_BATCH_MAX;
    let (jobs, mut after, recheck) = give_back(&mut transaction, &orphans).await?;
    commit(transaction).await?;
    after.merge(recheck.run(store).await);
    Ok(Done::new(Rescued { is_lost, jobs, has_more }, after))
}

async fn give_back(
    connection: &mut Connection,
    orphans: &[JobId],
) -> Result<(usize, After, Recheck), StoreError> {
    let (rows, Some(_)) = live::lock(connection, orphans).await? else {
        return Ok((0, After::default(), Recheck::default()));
    };
    let mut used = usage::of_jobs(connection, orphans).await?;
    let settlements = rows.iter().filter_map(|row| {
        let Standing::Running { attempt, .. } = row.standing else { return None };
        Some(Settlement { used: used.remove(&row.job), ..Settlement::bare(row.job, attempt, Outcome::Lost) })
    });
    let (settled, after, recheck) = settle_within(connection, settlements.collect()).await?;
    Ok((settled.len(), after, recheck))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{self, IdSource};

    const LEASE: Duration = Duration::from_secs(8);

    fn leases(count: usize) -> Vec<Lease> {
        (0..count).map(|_| Lease { worker: IdSource.make(), renewed_at: clock::now() }).collect()
    }

    fn renew(lease: &mut Lease) {
        // Backwards, as after the database's clock was set back.
        lease.renewed_at -= Duration::from_hours(1);
    }

    #[test]
    fn a_lease_is_over_when_it_has_not_changed_for_its_length() {
        let (mut watch, mut all) = (Watch::default(), leases(2));
        for half_seconds in 0..16 {
            assert_eq!(watch.look(&all, Duration::from_millis(half_seconds * 500), LEASE), []);
            renew(&mut all[1]);
        }
        assert_eq!(watch.look(&all, LEASE, LEASE), [all[0]]);
        assert_eq!(watch.look(&all, LEASE + LEASE / 4, LEASE), [all[0]], "until it is declared lost");
    }

    #[test]
    fn a_broken_contact_begins_anew() {
        let at = Duration::from_secs;
        for is_reported in [false, true] {
            let (mut watch, all) = (Watch::default(), leases(1));
            for second in 0..7 {
                assert_eq!(watch.look(&all, at(second), LEASE), []);
            }
            // Either a failure is reported, or the rescuer was away for longer than half a lease.
            let back = if is_reported {
                watch.lose_contact();
                8
            } else {
                11
            };
            for second in back..back + 8 {
                assert_eq!(watch.look(&all, at(second), LEASE), [], "{second}");
            }
            assert_eq!(watch.look(&all, at(back + 8), LEASE), all);
        }
    }

    #[test]
    fn a_lease_that_comes_back_under_the_same_id_is_watched_anew() {
        let (mut watch, all) = (Watch::default(), leases(1));
        for second in 0..8 {
            let there = if second == 4 { &[] } else { &all[..] };
            assert_eq!(watch.look(there, Duration::from_secs(second), LEASE), []);
        }
        assert_eq!(watch.look(&all, LEASE, LEASE), []);
    }
}
