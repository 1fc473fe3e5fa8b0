//! Rescue: declare workers lost whose leases ran out, and give their jobs back to the queue.
//!
//! A duty of every worker. A lease has run out when its row has stood still for a whole lease before the eyes of one rescuer,
//! who had unbroken contact with Postgres all the while (docs/adr/0010): an outage of Postgres makes nobody lost, and no clock
//! is compared with another.

use std::{collections::BTreeMap, time::Duration};

use super::settle::{Settlement, settle_within};
use crate::{
    clock::Time,
    ids::{JobId, WorkerId},
    job::{Outcome, Standing},
    mutant::Mutant,
    steps::{After, limits::wake::Recheck},
    store::{
        Connection, Store, StoreError, commit,
        jobs::live,
        limits::usage,
        workers::{self, Lease},
    },
};

/// Most jobs of one transaction; a worker with more is emptied in several.
const RESCUE_BATCH_MAX: i64 = 500;

/// What one rescuer has seen of the leases of all workers, by its own clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Watch {
    /// When it looked last.
    looked_at: Option<Duration>,
    /// Since when each lease has stood still.
    still: BTreeMap<WorkerId, (Time, Duration)>,
}

impl Watch {
    /// Takes in what the leases are. `now` is the rescuer's clock: time since some fixed moment, going on while the machine is
    /// suspended. Answers those that have stood still for the length of a lease. A pause of more than half a lease
    /// between two looks breaks the contact.
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

    /// Postgres could not be asked: whoever did not renew meanwhile may not have been able to either.
    pub fn lose_contact(&mut self) {
        if !Mutant::RescueWithoutContact.is_on() {
            self.still.clear();
        }
    }
}

/// The leases to look at.
pub async fn leases(store: &Store) -> Result<Vec<Lease>, StoreError> {
    workers::leases(&mut *store.connection().await?).await
}

/// What one round did.
#[derive(Debug, Default)]
pub struct Rescued {
    /// Whether the worker was declared lost by this round.
    pub is_lost: bool,
    /// Jobs that were taken from lost workers.
    pub jobs: usize,
    /// Whether another round has work.
    pub has_more: bool,
}

/// One round: declares a worker lost, if one is given and it has not renewed its lease since, and gives back a batch of jobs of
/// lost workers.
pub async fn rescue(store: &Store, lease: Option<&Lease>) -> Result<(Rescued, After), StoreError> {
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
    Ok((Rescued { is_lost, jobs, has_more }, after))
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
        lease.renewed_at -= Duration::from_hours(1); // the database's clock was set back
    }

    #[test]
    fn a_lease_is_over_when_it_has_stood_still_for_its_length() {
        let (mut watch, mut all) = (Watch::default(), leases(2));
        for half_seconds in 0..16 {
            assert_eq!(watch.look(&all, Duration::from_millis(half_seconds * 500), LEASE), []);
            renew(&mut all[1]);
        }
        assert_eq!(watch.look(&all, LEASE, LEASE), [all[0]]);
        assert_eq!(
            watch.look(&all, LEASE + LEASE / 4, LEASE),
            [all[0]],
            "until somebody has declared it lost"
        );
    }

    #[test]
    fn a_broken_contact_begins_anew() {
        let at = Duration::from_secs;
        for is_told in [false, true] {
            let (mut watch, all) = (Watch::default(), leases(1));
            for second in 0..7 {
                assert_eq!(watch.look(&all, at(second), LEASE), []);
            }
            // Told of a failure, or away for longer than half a lease.
            let back = if is_told {
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
    fn who_comes_back_under_the_same_id_is_seen_anew() {
        let (mut watch, all) = (Watch::default(), leases(1));
        for second in 0..8 {
            let there = if second == 4 { &[] } else { &all[..] };
            assert_eq!(watch.look(there, Duration::from_secs(second), LEASE), []);
        }
        assert_eq!(watch.look(&all, LEASE, LEASE), []);
    }
}
