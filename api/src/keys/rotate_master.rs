//! `keys rotate-master`: seals everything again with the master key that seals now.
//!
//! Each batch is a transaction, so it may be killed at any time and run again.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::bail;
use callboard::{
    audit::{Actor, COMMAND_LINE, Change, Entry, Object, ROTATION},
    clock::IdSource,
    secret::{KeyId, Keyring},
    settings::{DatabaseSettings, LogSettings, SealingSettings, SettingsError, StartSettings},
    steps::maintain::reseal::{Cursor, by_key, check_keys, count_sealed, reseal_batch},
    store::{
        Planning, Store, StoreError, audit,
        maintenance::sealed::{HeadCount, SealedColumn},
    },
};
use clap::Args;

use super::check_schema;

/// Rows that are locked for a moment are left out of a pass. More passes than these mean that an
/// API or a worker still seals with another key.
const PASSES_MAX: usize = 5;
/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Pause before a batch is repeated that Postgres did not take.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Unreadable values that are listed.
const UNREADABLE_SHOWN: usize = 20;

/// Settings of `keys rotate-master`.
#[derive(Debug, Args)]
#[command(override_usage = "callboard-api keys rotate-master [OPTIONS]")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    #[command(flatten)]
    pub(crate) sealing: SealingSettings,
    #[command(flatten)]
    pub(crate) start: StartSettings,
    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Runs the command.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let keyring = match arguments.sealing.keyring() {
        // To make a new key now would be wrong: in the middle of a rotation there are two.
        Err(SettingsError::Missing { name, .. }) => bail!(
            "{name} is not set. Give this command the settings of the API: the new key in {name} (or {name}_FILE) \
             and the old one in CALLBOARD_OTHER_MASTER_KEYS (or CALLBOARD_OTHER_MASTER_KEYS_FILE). `callboard-api \
             keys master-status` shows which keys are in use"
        ),
        keyring => keyring?,
    };
    let store = Store::open(&arguments.database.url()?, 2, "callboard-api keys", Planning::ByValue)?;
    let patience = arguments.start.timeout();
    match store.reach().await {
        // To wait would mend nothing.
        Err(why) if !why.may_pass => return Err(why.into()),
        Ok(()) | Err(_) => callboard::startup::wait_for_postgres(&store, patience).await?,
    }
    check_schema(&store).await?;
    check_keys(&store, &keyring).await?;
    let mut rotation = Rotation { store, keyring, patience, unreadable: Vec::new(), done: 0 };
    let ended = rotation.run().await;
    rotation.store.close().await;
    ended
}

/// A rotation under way.
struct Rotation {
    store: Store,
    keyring: Keyring,
    /// How long Postgres may be away.
    patience: Duration,
    /// Values that do not open, with the reason.
    unreadable: Vec<Unreadable>,
    done: u64,
}

impl Rotation {
    async fn run(&mut self) -> anyhow::Result<()> {
        let seals = self.keyring.sealing_key();
        let mut counts = count_sealed(&self.store).await?;
        let to_do: u64 = self.stale(&counts).map(|count| count.values).sum();
        if to_do == 0 {
            let total: u64 = counts.iter().map(|count| count.values).sum();
            say(&format!("Nothing is left to do: all {total} values are sealed with key {seals}."));
            return Ok(());
        }
        self.note(seals, to_do).await?;
        say(&format!("Key {seals} seals. {to_do} values are to be sealed again."));
        for _ in 0..PASSES_MAX {
            self.unreadable.clear();
            let done = self.done;
            self.pass(&counts).await?;
            counts = count_sealed(&self.store).await?;
            let left: u64 = self.stale(&counts).map(|count| count.values).sum();
            if left == values_of(&self.unreadable) || self.done == done {
                break;
            }
        }
        self.conclude(seals, &counts)
    }

    /// Adds a rotation that begins, or is continued, to the audit.
    async fn note(&self, seals: KeyId, to_do: u64) -> Result<(), StoreError> {
        let actor = Actor { name: COMMAND_LINE.into(), ..Actor::default() };
        let change = Change::default().and("values", to_do.into());
        let entry = Entry::new(IdSource.make(), &actor, ROTATION)
            .on(Object::new("masterKey", &seals, None))
            .changing(change);
        audit::insert(&mut *self.store.connection().await?, &[entry]).await
    }

    /// What is not sealed as values are sealed now.
    fn stale<'a>(&self, counts: &'a [HeadCount]) -> impl Iterator<Item = &'a HeadCount> + use<'a> {
        let current = self.keyring.head();
        counts.iter().filter(move |count| count.head != Some(current))
    }

    /// Goes through all columns once.
    async fn pass(&mut self, counts: &[HeadCount]) -> anyhow::Result<()> {
        for column in SealedColumn::ALL {
            let stale: Vec<HeadCount> =
                self.stale(counts).filter(|count| count.column == column).copied().collect();
            let to_do: u64 = stale.iter().map(|count| count.values).sum();
            let mut progress = Progress::new(column, to_do);
            for count in stale {
                let Some(head) = count.head else {
                    let why = format!("{} values of {}: not sealed values", count.values, column.name());
                    self.unreadable.push(Unreadable { values: count.values, why });
                    continue;
                };
                self.reseal(Cursor::new(column, head), &mut progress).await?;
            }
            progress.end();
        }
        Ok(())
    }

    /// Seals the values of a column with one head again.
    async fn reseal(&mut self, from: Cursor, progress: &mut Progress) -> Result<(), StoreError> {
        let mut at = Some(from);
        let mut failing_since: Option<Instant> = None;
        while let Some(cursor) = at.take() {
            match reseal_batch(&self.store, &self.keyring, &cursor).await {
                Ok(batch) => {
                    failing_since = None;
                    self.done += batch.values;
                    progress.add(batch.values);
                    self.unreadable.extend(
                        batch
                            .unreadable
                            .iter()
                            .map(|(owner, why)| Unreadable { values: 1, why: format!("{owner}: {why}") }),
                    );
                    at = batch.next;
                }
                // A batch may be repeated whatever became of it: what is done is not found again.
                Err(error)
                    if may_be_repeated(&error)
                        && failing_since.get_or_insert_with(Instant::now).elapsed() < self.patience =>
                {
                    tracing::warn!(%error, "a batch is repeated");
                    tokio::time::sleep(RETRY_AFTER).await;
                    at = Some(cursor);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Shows what is sealed with which key now, and says what is left.
    fn conclude(&self, seals: KeyId, counts: &[HeadCount]) -> anyhow::Result<()> {
        say(&format!("\n{} values were sealed again. Values by key:", self.done));
        for (key, values) in by_key(counts) {
            let seals = if key == seals { "  (seals)" } else { "" };
            say(&format!("  {key}  {values:>12}{seals}"));
        }
        let left: u64 = self.stale(counts).map(|count| count.values).sum();
        if !self.unreadable.is_empty() {
            let shown = self.unreadable.iter().take(UNREADABLE_SHOWN).map(|one| one.why.as_str());
            let shown = shown.collect::<Vec<_>>().join("\n  ");
            bail!("{}:\n  {shown}", not_opened(values_of(&self.unreadable)));
        }
        if left > 0 {
            bail!(
                "{left} values were sealed with another key meanwhile. An API or a worker still seals with \
                 it: start it again with key {seals} first in CALLBOARD_MASTER_KEY, then run this again"
            );
        }
        say(&format!(
            "Every value is sealed with key {seals}. The other keys are not needed any more: remove them from \
             the settings and start the API and the workers again."
        ));
        Ok(())
    }
}

/// Values that could not be opened.
struct Unreadable {
    values: u64,
    why: String,
}

fn values_of(unreadable: &[Unreadable]) -> u64 {
    unreadable.iter().map(|one| one.values).sum()
}

fn not_opened(values: u64) -> String {
    let (what, stays) =
        if values == 1 { ("value", "stays as it was") } else { ("values", "stay as they were") };
    format!(
        "{values} {what} could not be opened and {stays}. Set these secrets anew or delete their owners, then \
         run this again"
    )
}

fn may_be_repeated(error: &StoreError) -> bool {
    matches!(error, StoreError::CommitUnknown(_) | StoreError::Contended(_) | StoreError::Unavailable(_))
}

/// The progress of a column, on one line of a terminal.
struct Progress {
    column: SealedColumn,
    done: u64,
    to_do: u64,
    shown_at: Instant,
}

impl Progress {
    fn new(column: SealedColumn, to_do: u64) -> Self {
        Self { column, done: 0, to_do, shown_at: Instant::now() }
    }

    fn add(&mut self, values: u64) {
        self.done += values;
        if self.shown_at.elapsed() >= SHOW_EVERY {
            self.shown_at = Instant::now();
            say(&self.line());
        }
    }

    fn end(&self) {
        if self.to_do > 0 {
            say(&self.line());
        }
    }

    fn line(&self) -> String {
        format!("{:<22} {} of {}", self.column.title(), self.done, self.to_do.max(self.done))
    }
}

/// Writes a line of the command's output. A reader that has gone does not stop the rotation.
fn say(line: &str) {
    let _gone = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_that_does_not_open_is_counted() {
        let unreadable = |values| Unreadable { values, why: String::new() };
        let told = |unreadable: &[Unreadable]| not_opened(values_of(unreadable));
        assert!(told(&[unreadable(5), unreadable(1)]).starts_with("6 values could not be opened and stay "));
        assert!(told(&[unreadable(1)]).starts_with("1 value could not be opened and stays "));
    }
}
