//! Reseal: seals everything again with the master key that seals now (docs/adr/0023).
//!
//! `callboard-api keys rotate-master` repeats [`reseal_batch`] until nothing is left, while the API
//! and workers run. A batch is one short transaction. It takes rows that nobody has locked, and
//! nobody waits for more than it. Each value says itself by which key it is sealed, so a rotation
//! that was killed goes on where it was.

use std::collections::BTreeMap;

use crate::{
    secret::{KeyId, Keyring, OpenError, SealHead},
    store::{
        Store, StoreError, commit,
        maintenance::sealed::{self, HeadCount, Place, SealedColumn, SealedValue},
    },
};

/// Values that are sealed again in one transaction.
pub const BATCH: usize = 500;

/// A key is missing without which stored values cannot be opened, or Postgres failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Values are sealed with keys that are not configured.
    #[error(
        "stored secrets are sealed with a master key that is not configured (key id {}): {}. Add the key to \
         CALLBOARD_OTHER_MASTER_KEYS or CALLBOARD_OTHER_MASTER_KEYS_FILE. To do without it, run `callboard-api \
         keys rotate-master` with both keys first",
        texts(keys),
        texts(what)
    )]
    Missing {
        /// The keys.
        keys: Vec<KeyId>,
        /// The values.
        what: Vec<&'static str>,
    },
    /// A failure of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn texts(list: &[impl ToString]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Checks that every stored value can be opened with a key of the keyring. Every API and worker
/// does this when it starts, because a job that needs a missing key would fail.
pub async fn check_keys(store: &Store, keyring: &Keyring) -> Result<(), KeyError> {
    let mut connection = store.connection().await?;
    let (mut keys, mut what) = (Vec::new(), Vec::new());
    for column in SealedColumn::ALL {
        let heads = match column {
            SealedColumn::JobInput => sealed::heads_of_jobs(&mut connection).await?,
            SealedColumn::ProfileSecret
            | SealedColumn::ServiceToken
            | SealedColumn::ProxyUsername
            | SealedColumn::ProxyPassword
            | SealedColumn::ScheduleInput => {
                sealed::count(&mut connection, column).await?.iter().filter_map(|count| count.head).collect()
            }
        };
        let missing: Vec<KeyId> =
            heads.into_iter().map(SealHead::key).filter(|key| !keyring.has(*key)).collect();
        if !missing.is_empty() {
            what.push(column.title());
            keys.extend(missing);
        }
    }
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() { Ok(()) } else { Err(KeyError::Missing { keys, what }) }
}

/// How many values there are, by column and head.
pub async fn count_sealed(store: &Store) -> Result<Vec<HeadCount>, StoreError> {
    let mut connection = store.connection().await?;
    let mut counts = Vec::new();
    for column in SealedColumn::ALL {
        counts.extend(sealed::count(&mut connection, column).await?);
    }
    Ok(counts)
}

/// How many values each key has sealed.
pub fn by_key(counts: &[HeadCount]) -> BTreeMap<KeyId, u64> {
    let mut keys = BTreeMap::new();
    for (key, values) in counts.iter().filter_map(|count| Some((count.head?.key(), count.values))) {
        *keys.entry(key).or_default() += values;
    }
    keys
}

/// What to seal again next: the values of a column with a head, behind a place.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The column.
    pub column: SealedColumn,
    /// The head of the values.
    pub head: SealHead,
    /// The last place that was looked at.
    after: Place,
}

impl Cursor {
    /// Before the first value.
    pub fn new(column: SealedColumn, head: SealHead) -> Self {
        Self { column, head, after: Place { id: uuid::Uuid::nil(), name: String::new() } }
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Resealed {
    /// Values that were sealed again.
    pub values: u64,
    /// Values that do not open, with their owners. They stay as they are.
    pub unreadable: Vec<(String, OpenError)>,
    /// Where to go on. `None` at the end of the column.
    pub next: Option<Cursor>,
}

/// Seals a batch of values again, in one transaction.
pub async fn reseal_batch(store: &Store, keyring: &Keyring, at: &Cursor) -> Result<Resealed, StoreError> {
    let mut transaction = store.begin().await?;
    let found = sealed::lock(&mut transaction, at.column, at.head, &at.after, BATCH as i64).await?;
    let next = found
        .last()
        .filter(|_| found.len() == BATCH)
        .map(|last| Cursor { after: last.place.clone(), ..at.clone() });
    let (mut changed, mut unreadable) = (Vec::with_capacity(found.len()), Vec::new());
    for SealedValue { place, sealed } in found {
        let owner = at.column.owner(&place);
        match keyring.reseal(owner, &sealed) {
            Ok(sealed) => changed.push(SealedValue { place, sealed }),
            Err(error) => unreadable.push((owner.to_string(), error)),
        }
    }
    if !changed.is_empty() {
        sealed::replace(&mut transaction, at.column, &changed).await?;
    }
    commit(transaction).await?;
    Ok(Resealed { values: changed.len() as u64, unreadable, next })
}
