//! The audit of what changes nothing: sign-ins and refusals. (A change writes its entry itself, in
//! its transaction.)
//!
//! Nothing here holds up or fails a request. Entries wait in a bounded queue and are written once a
//! second. Equal ones of a second become one with a count, so that a flood of refusals costs a row
//! a second. What does not fit is counted.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_graphql::Context;
use callboard::{
    audit::{Actor, By, Entry, Outcome},
    clock::IdSource,
    ids::ApiKeyId,
    store::{Store, StoreError, audit},
};
use tokio::sync::{mpsc, oneshot};

/// Most entries that wait to be written.
const WAITING_MAX: usize = 4096;
/// Most different entries of one second.
const KINDS_MAX: usize = 500;
/// Most different entries of one second of one actor, so that nobody crowds out the others. All
/// strangers are one actor.
const OF_ACTOR_MAX: usize = 20;
/// The action of what an actor did beyond them.
const FURTHER: &str = "further";
/// How long entries are gathered before they are written.
const GATHER_FOR: Duration = Duration::from_secs(1);
/// Longest text of an entry, in characters. Parts of it may come from strangers.
const TEXT_CHARS_MAX: usize = 300;

/// Writes sign-ins and refusals. Cheap to clone. In the data of the schema.
#[derive(Debug, Clone)]
pub struct AuditLog {
    sender: mpsc::Sender<Message>,
    dropped: Arc<AtomicU32>,
}

#[derive(Debug)]
enum Message {
    Entry(Box<Entry>),
    /// Everything sent before is to be written now.
    Flush(oneshot::Sender<()>),
}

impl AuditLog {
    /// Starts the writer. Must be called inside Tokio. It ends when all clones are gone.
    pub fn start(store: Store) -> Self {
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::<AtomicU32>::default();
        tokio::spawn(Writer { store, dropped: Arc::clone(&dropped), gathered: HashMap::new() }.run(messages));
        Self { sender, dropped }
    }

    /// Records that a key was used for the first time from an address. (What sessions do is in the
    /// entries of their mutations.)
    pub fn signed_in(&self, actor: &Actor) {
        self.send(Entry::new(IdSource.make(), actor, "signIn"));
    }

    /// Records a sign-in that was refused. `actor` has the name of the key, if it is known, and the
    /// client. `why` is one sentence without the key's text.
    pub fn sign_in_failed(&self, actor: &Actor, why: &str) {
        self.send(Entry::new(IdSource.make(), actor, "signIn").refused(cut(why)));
    }

    /// Records that an operation, or a mutation, was refused.
    pub fn refused(&self, actor: &Actor, action: &str, why: impl Into<String>) {
        self.send(Entry::new(IdSource.make(), actor, &cut(action)).refused(cut(&why.into())));
    }

    /// Waits until everything that was recorded is written, or cannot be written.
    pub async fn flush(&self) {
        let (sender, written) = oneshot::channel();
        if self.sender.send(Message::Flush(sender)).await.is_ok() {
            // The writer is gone only with the process.
            let _gone = written.await;
        }
    }

    fn send(&self, entry: Entry) {
        if self.sender.try_send(Message::Entry(Box::new(entry))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What makes two entries equal.
type Kind =
    (Option<String>, Option<ApiKeyId>, Option<IpAddr>, Option<&'static str>, String, bool, Option<String>);

struct Writer {
    store: Store,
    dropped: Arc<AtomicU32>,
    gathered: HashMap<Kind, Entry>,
}

impl Writer {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut inbox = Vec::new();
        while messages.recv_many(&mut inbox, WAITING_MAX).await > 0 {
            let mut flushed = self.gather(&mut inbox);
            if flushed.is_empty() {
                let end = tokio::time::sleep(GATHER_FOR);
                tokio::pin!(end);
                while flushed.is_empty() {
                    tokio::select! {
                        () = &mut end => break,
                        received = messages.recv_many(&mut inbox, WAITING_MAX) => {
                            if received == 0 {
                                break;
                            }
                            flushed = self.gather(&mut inbox);
                        }
                    }
                }
            }
            if let Err(error) = self.write().await {
                tracing::warn!(%error, "sign-ins and refusals could not be written to the audit, trying again");
            }
            for reply in flushed {
                // The receiver may be gone.
                let _gone = reply.send(());
            }
        }
    }

    fn gather(&mut self, inbox: &mut Vec<Message>) -> Vec<oneshot::Sender<()>> {
        let mut flushed = Vec::new();
        for message in inbox.drain(..) {
            let entry = match message {
                Message::Entry(entry) => *entry,
                Message::Flush(reply) => {
                    flushed.push(reply);
                    continue;
                }
            };
            self.add(entry);
        }
        flushed
    }

    /// Adds an entry, to an equal one if there is one.
    fn add(&mut self, entry: Entry) {
        let kind = kind_of(&entry);
        let is_of_actor = |other: &&Entry| (&other.actor, other.key) == (&entry.actor, entry.key);
        if let Some(known) = self.gathered.get_mut(&kind) {
            known.count = known.count.saturating_add(entry.count);
        } else if self.gathered.len() >= KINDS_MAX {
            self.dropped.fetch_add(entry.count.unsigned_abs(), Ordering::Relaxed);
        } else if entry.action == FURTHER || self.gathered.values().filter(is_of_actor).count() < OF_ACTOR_MAX
        {
            self.gathered.insert(kind, entry);
        } else {
            let message = "Sign-ins and refusals of one second that were not recorded individually.";
            let Entry { id, count, actor, role, key, .. } = entry;
            let further = Entry::new(id, &Actor::default(), FURTHER).refused(message);
            self.add(Entry { count, actor, role, key, ..further });
        }
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        let mut entries: Vec<Entry> = self.gathered.values().cloned().collect();
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            entries.push(Entry {
                count: i32::try_from(dropped).unwrap_or(i32::MAX),
                ..Entry::new(IdSource.make(), &Actor::default(), "audit").refused(
                    "Too many sign-ins and refusals at once. This many were not recorded individually.",
                )
            });
        }
        if !entries.is_empty() {
            entries.sort_by_key(|entry| entry.id);
            audit::insert(&mut *self.store.connection().await?, &entries).await?;
        }
        self.dropped.fetch_sub(dropped, Ordering::Relaxed);
        self.gathered.clear();
        Ok(())
    }
}

fn kind_of(entry: &Entry) -> Kind {
    let is_refused = entry.outcome == Outcome::Refused;
    let (action, message) = (entry.action.clone(), entry.message.clone());
    (entry.actor.clone(), entry.key, entry.address, entry.transport, action, is_refused, message)
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Who the operation of a resolver is for.
pub fn actor_in(ctx: &Context<'_>) -> Arc<Actor> {
    ctx.data_opt::<Arc<Actor>>().cloned().unwrap_or_default()
}

/// Who carries out this mutation.
pub fn by(ctx: &Context<'_>, mutation: &'static str) -> By {
    By { actor: actor_in(ctx), mutation: Some(mutation) }
}

/// Records the refusal of the field that is being resolved. Names only codes and places, because a
/// message may quote what was given.
pub fn note_refusal(ctx: &Context<'_>, why: impl FnOnce() -> String) {
    if let Some(log) = ctx.data_opt::<AuditLog>() {
        log.refused(&actor_in(ctx), ctx.field().name(), why());
    }
}

#[cfg(test)]
mod tests {
    use callboard_test_support::Database;

    use super::*;

    fn actor(name: &str) -> Actor {
        Actor { name: name.to_owned(), ..Actor::default() }
    }

    #[tokio::test]
    async fn no_actor_crowds_out_the_others() {
        let database = Database::create().await;
        let planning = callboard::store::Planning::ByValue;
        let store = Store::open(&database.url().into(), 2, "audit-test", planning).unwrap();
        let mut writer = Writer { store, dropped: Arc::default(), gathered: HashMap::new() };
        let refused = |name: &str, action: &str| {
            Entry::new(IdSource.make(), &actor(name), action).refused("not allowed")
        };
        for number in 0..2000 {
            writer.add(refused("noisy", &format!("alias{number}")));
            writer.add(refused("", &format!("alias{number}")));
        }
        writer.add(refused("quiet", "apiKeyCreate"));
        writer.add(refused("quiet", "apiKeyCreate"));
        let count = |of: &str, action: &str| {
            let is_it = |entry: &&Entry| {
                entry.actor.as_deref().unwrap_or_default() == of && entry.action.starts_with(action)
            };
            let found: Vec<i32> = writer.gathered.values().filter(is_it).map(|entry| entry.count).collect();
            (found.len(), found.iter().sum::<i32>())
        };
        for of in ["noisy", ""] {
            assert_eq!(count(of, "alias"), (OF_ACTOR_MAX, OF_ACTOR_MAX as i32));
            assert_eq!(count(of, FURTHER), (1, 2000 - OF_ACTOR_MAX as i32));
        }
        assert_eq!(count("quiet", "apiKeyCreate"), (1, 2));
        assert_eq!(writer.dropped.load(Ordering::Relaxed), 0);
    }
}
