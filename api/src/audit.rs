//! The audit of what changes nothing: sign-ins and refusals. (A change writes its entry itself, in
//! its transaction.)
//!
//! Nothing here holds up or fails a request. Entries wait in a bounded queue and are written once a
//! second. Equal ones of a second become one with a count, so that a flood of refusals costs a row
//! a second. What does not fit is counted. What could not be written is tried again, and what may
//! have been written is looked for first.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

mod object;

use async_graphql::Context;
use callboard::{
    audit::{Actor, By, Entry, Object, Outcome, ROTATION},
    clock::IdSource,
    ids::ApiKeyId,
    store::{Store, StoreError, audit},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

pub use object::object_of;

/// Most entries that wait to be written.
const WAITING_MAX: usize = 4096;
/// Most different entries of one second.
const KINDS_MAX: usize = 500;
/// Most different entries of one second of one actor, so that nobody crowds out the others. All
/// strangers are one actor.
const OF_ACTOR_MAX: usize = 20;
/// The action of a sign-in.
const SIGN_IN: &str = "signIn";
/// The action of what an actor did beyond them.
const FURTHER: &str = "further";
/// The action of what was not recorded, because it was too much of all actors.
const DROPPED: &str = "audit";
/// The actions that are no fields of the schema.
pub const OWN_ACTIONS: [&str; 4] = [SIGN_IN, FURTHER, DROPPED, ROTATION];
/// How long entries are gathered before they are written.
const GATHER_FOR: Duration = Duration::from_secs(1);
/// Pause before what could not be written is tried again, where somebody waits for it.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How long it is tried again before the process ends.
const LAST_TRIES_MAX: Duration = Duration::from_secs(3);
/// How much the clocks of Postgres and of this process may drift while something is tried again.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_mins(1);
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
    /// What happened, and when.
    Entry(Box<Entry>, Instant),
    /// Everything sent before is to be written now.
    Flush(oneshot::Sender<()>),
}

impl AuditLog {
    /// Starts the writer. Must be called inside Tokio. It ends when all clones are gone.
    pub fn start(store: Store) -> Self {
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::<AtomicU32>::default();
        tokio::spawn(Writer::new(store, Arc::clone(&dropped)).run(messages));
        Self { sender, dropped }
    }

    /// Records that a key was used for the first time from an address. (What sessions do is in the
    /// entries of their mutations.)
    pub fn signed_in(&self, actor: &Actor) {
        self.send(Entry::new(IdSource.make(), actor, SIGN_IN));
    }

    /// Records a sign-in that was refused. `actor` has the name of the key, if it is known, and the
    /// client. `why` is one sentence without the key's text.
    pub fn sign_in_failed(&self, actor: &Actor, why: &str) {
        self.send(Entry::new(IdSource.make(), actor, SIGN_IN).refused(cut(why)));
    }

    /// Records that an operation, or a mutation, was refused, and to what object it would have been
    /// done, as far as the caller has named it.
    pub fn refused(&self, actor: &Actor, action: &str, object: Object, why: impl Into<String>) {
        self.send(Entry::new(IdSource.make(), actor, &cut(action)).on(object).refused(cut(&why.into())));
    }

    /// Waits until everything that was recorded is written, for a few seconds if it cannot be. To
    /// be called before the process ends.
    pub async fn flush(&self) {
        let (sender, written) = oneshot::channel();
        if self.sender.send(Message::Flush(sender)).await.is_ok() {
            // The writer is gone only with the process.
            let _gone = written.await;
        }
    }

    fn send(&self, entry: Entry) {
        if self.sender.try_send(Message::Entry(Box::new(entry), Instant::now())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What makes two entries equal.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    actor: Option<String>,
    key: Option<ApiKeyId>,
    address: Option<IpAddr>,
    transport: Option<&'static str>,
    action: String,
    is_refused: bool,
    object: Object,
    message: Option<String>,
}

/// An entry, and when it happened.
#[derive(Debug)]
struct Noted {
    entry: Entry,
    at: Instant,
}

struct Writer {
    store: Store,
    dropped: Arc<AtomicU32>,
    /// The first of each kind, which has the count of all.
    gathered: HashMap<Kind, Noted>,
    /// What was gathered before, and could not be written.
    unwritten: Vec<Noted>,
    /// Since when it cannot.
    failing_since: Option<Instant>,
}

impl Writer {
    fn new(store: Store, dropped: Arc<AtomicU32>) -> Self {
        Self { store, dropped, gathered: HashMap::new(), unwritten: Vec::new(), failing_since: None }
    }

    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let (mut inbox, mut is_open) = (Vec::new(), true);
        while is_open {
            let mut flushed = Vec::new();
            // What could not be written is tried again also if nothing new comes.
            if self.unwritten.is_empty() {
                is_open = messages.recv_many(&mut inbox, WAITING_MAX).await > 0;
                flushed = self.gather(&mut inbox);
            }
            let end = tokio::time::sleep(GATHER_FOR);
            tokio::pin!(end);
            while is_open && flushed.is_empty() {
                tokio::select! {
                    () = &mut end => break,
                    received = messages.recv_many(&mut inbox, WAITING_MAX) => {
                        is_open = received > 0;
                        flushed = self.gather(&mut inbox);
                    }
                }
            }
            let is_last = !is_open || !flushed.is_empty();
            self.write_within(if is_last { LAST_TRIES_MAX } else { Duration::ZERO }).await;
            let count = self.unwritten_count();
            if is_last && count > 0 {
                tracing::error!(
                    count,
                    "sign-ins and refusals could not be written to the audit and are lost if this process ends now"
                );
            }
            for reply in flushed {
                // The receiver may be gone.
                let _gone = reply.send(());
            }
        }
    }

    /// How many sign-ins and refusals have not been written, whether recorded individually or not.
    fn unwritten_count(&self) -> u64 {
        let noted = self.unwritten.iter().chain(self.gathered.values());
        let counted: u64 = noted.map(|noted| u64::from(noted.entry.count.unsigned_abs())).sum();
        counted + u64::from(self.dropped.load(Ordering::Relaxed))
    }

    /// Writes what there is. Tries again for this time.
    async fn write_within(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while let Err(error) = self.write().await {
            tracing::warn!(%error, "sign-ins and refusals could not be written to the audit, trying again");
            if Instant::now() + RETRY_AFTER > until {
                return;
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    fn gather(&mut self, inbox: &mut Vec<Message>) -> Vec<oneshot::Sender<()>> {
        let mut flushed = Vec::new();
        for message in inbox.drain(..) {
            match message {
                Message::Entry(entry, at) => self.add(Noted { entry: *entry, at }),
                Message::Flush(reply) => flushed.push(reply),
            }
        }
        flushed
    }

    /// Adds an entry, to an equal one if there is one.
    fn add(&mut self, noted: Noted) {
        let entry = &noted.entry;
        let kind = kind_of(entry);
        let is_of_actor = |other: &&Noted| (&other.entry.actor, other.entry.key) == (&entry.actor, entry.key);
        if let Some(known) = self.gathered.get_mut(&kind) {
            known.entry.count = known.entry.count.saturating_add(entry.count);
        } else if self.gathered.len() >= KINDS_MAX {
            self.dropped.fetch_add(entry.count.unsigned_abs(), Ordering::Relaxed);
        } else if entry.action == FURTHER || self.gathered.values().filter(is_of_actor).count() < OF_ACTOR_MAX
        {
            self.gathered.insert(kind, noted);
        } else {
            let message = "Sign-ins and refusals of one second that were not recorded individually.";
            let Noted { entry: Entry { id, count, actor, role, key, .. }, at } = noted;
            let further = Entry::new(id, &Actor::default(), FURTHER).refused(message);
            self.add(Noted { entry: Entry { count, actor, role, key, ..further }, at });
        }
    }

    /// Writes what could not be written before, and then what was gathered since.
    async fn write(&mut self) -> Result<(), StoreError> {
        loop {
            if self.unwritten.is_empty() {
                self.unwritten = self.gathered.drain().map(|(_, noted)| noted).collect();
                self.unwritten.extend(self.too_many());
                self.unwritten.sort_by_key(|noted| noted.entry.id);
            }
            if self.unwritten.is_empty() {
                return Ok(());
            }
            // A try that failed may have been committed nevertheless.
            let failing_since = self.failing_since;
            let began = *self.failing_since.get_or_insert_with(Instant::now);
            let mut connection = self.store.connection().await?;
            let aged = |Noted { entry, at }: &Noted| Entry { ago: at.elapsed(), ..entry.clone() };
            let entries: Vec<Entry> = self.unwritten.iter().map(aged).collect();
            if failing_since.is_some() {
                let within = began.elapsed() + GATHER_FOR + CLOCKS_DIFFER_MAX;
                audit::insert_missing(&mut connection, &entries, within.as_secs_f64()).await?;
            } else {
                audit::insert(&mut connection, &entries).await?;
            }
            self.unwritten.clear();
            self.failing_since = None;
        }
    }

    /// The entry of what was not recorded since the last one.
    fn too_many(&self) -> Option<Noted> {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let entry = Entry::new(IdSource.make(), &Actor::default(), DROPPED)
            .refused("Too many sign-ins and refusals at once. This many were not recorded individually.");
        let count = i32::try_from(dropped).unwrap_or(i32::MAX);
        (dropped > 0).then(|| Noted { entry: Entry { count, ..entry }, at: Instant::now() })
    }
}

fn kind_of(entry: &Entry) -> Kind {
    Kind {
        actor: entry.actor.clone(),
        key: entry.key,
        address: entry.address,
        transport: entry.transport,
        action: entry.action.clone(),
        is_refused: entry.outcome == Outcome::Refused,
        object: entry.object.clone(),
        message: entry.message.clone(),
    }
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
        let field = ctx.field();
        let arguments = field.arguments().unwrap_or_default();
        let object = object_of(field.name(), arguments.iter().map(|(name, value)| (name.as_str(), value)));
        log.refused(&actor_in(ctx), field.name(), object, why());
    }
}

#[cfg(test)]
mod tests {
    use callboard_test_support::Database;

    use super::*;

    fn actor(name: &str) -> Actor {
        Actor { name: name.to_owned(), ..Actor::default() }
    }

    fn store(database: &Database) -> Store {
        let planning = callboard::store::Planning::ByValue;
        Store::open(&database.url().into(), 2, "audit-test", planning).unwrap()
    }

    fn refused(name: &str, action: &str) -> Noted {
        let entry = Entry::new(IdSource.make(), &actor(name), action).refused("not allowed");
        Noted { entry, at: Instant::now() }
    }

    #[tokio::test]
    async fn everything_that_is_not_written_is_counted() {
        let database = Database::create().await;
        let mut writer = Writer::new(store(&database), Arc::default());
        writer.dropped.store(5, Ordering::Relaxed);
        for action in ["a", "a", "b"] {
            writer.add(refused("ann", action));
        }
        assert_eq!(writer.unwritten_count(), 5 + 3);
        writer.store.close().await;
        writer.write().await.unwrap_err();
        assert_eq!(writer.unwritten_count(), 5 + 3, "tried, and not written");
        writer.dropped.store(2, Ordering::Relaxed);
        for action in ["a", "c", "c"] {
            writer.add(refused("ann", action));
        }
        assert_eq!(writer.unwritten_count(), 5 + 3 + 2 + 3, "also what came since");
        writer.store = store(&database);
        writer.write().await.unwrap();
        assert_eq!(writer.unwritten_count(), 0);
    }

    #[tokio::test]
    async fn no_actor_crowds_out_the_others() {
        let database = Database::create().await;
        let mut writer = Writer::new(store(&database), Arc::default());
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
            let entries = writer.gathered.values().map(|noted| &noted.entry);
            let found: Vec<i32> = entries.filter(is_it).map(|entry| entry.count).collect();
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
