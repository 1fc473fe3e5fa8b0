//! Cursors of streams: a tag for the kind and its version, then the position.

use callboard::ids::JobId;
use uuid::Uuid;

use crate::cursor::{Cursor, Keyset};

/// The last time that a cursor can have been made at, the end of the year 9999, in milliseconds.
/// Positions and times are bounded when they are read, so that a forged cursor cannot overflow a
/// calculation.
const MADE_AT_MS_MAX: i64 = 253_402_300_799_999;

/// Tags. A cursor with another tag is invalid.
const EVENT: &str = "e1";
const LINE: &str = "l1";
const CHANGES: &str = "c1";

/// The position after an event of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCursor {
    /// The job.
    pub job: JobId,
    /// The event's version. 0 is before the first event.
    pub version: i32,
}

/// The position after a log line of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCursor {
    /// The job.
    pub job: JobId,
    /// The line's sequence. 0 is before the first line.
    pub sequence: i64,
}

/// The position after all changes of all jobs up to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesCursor {
    /// A transaction id of Postgres. All changes with a lower one are before this position.
    pub position: i64,
    /// When the cursor was made, in milliseconds since 1970, by the clock of the process that made
    /// it.
    pub made_at_ms: i64,
}

impl Cursor for EventCursor {
    fn encode(&self) -> String {
        Keyset((EVENT, self.job.uuid(), self.version)).write()
    }

    fn decode(text: &str) -> Option<Self> {
        let (tag, job, version) = read::<(String, Uuid, i32)>(text)?;
        (tag == EVENT && (0..i32::MAX).contains(&version)).then_some(Self { job: job.into(), version })
    }
}

impl Cursor for LogCursor {
    fn encode(&self) -> String {
        Keyset((LINE, self.job.uuid(), self.sequence)).write()
    }

    fn decode(text: &str) -> Option<Self> {
        let (tag, job, sequence) = read::<(String, Uuid, i64)>(text)?;
        (tag == LINE && (0..i64::MAX).contains(&sequence)).then_some(Self { job: job.into(), sequence })
    }
}

impl Cursor for ChangesCursor {
    fn encode(&self) -> String {
        Keyset((CHANGES, self.position, self.made_at_ms)).write()
    }

    fn decode(text: &str) -> Option<Self> {
        let (tag, position, made_at_ms) = read::<(String, i64, i64)>(text)?;
        let is_possible = (0..i64::MAX).contains(&position) && (0..=MADE_AT_MS_MAX).contains(&made_at_ms);
        (tag == CHANGES && is_possible).then_some(Self { position, made_at_ms })
    }
}

/// Longest accepted cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 256;

fn read<T: serde::Serialize + serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    if text.len() > CURSOR_BYTES_MAX {
        return None;
    }
    Keyset::<T>::decode(text).map(|keyset| keyset.0)
}

/// Encodes values that cannot be decoded into themselves, because the tags are not owned.
trait Write {
    fn write(&self) -> String;
}

impl<T: serde::Serialize> Write for Keyset<T> {
    fn write(&self) -> String {
        use async_graphql::connection::{CursorType as _, OpaqueCursor};
        OpaqueCursor(serde_json::to_value(&self.0).unwrap_or_default()).encode_cursor()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_cursor_reads_back(id in any::<u128>(), version in 0..i32::MAX, place in 0..i64::MAX, at in 0..=MADE_AT_MS_MAX) {
            let job = JobId::from(Uuid::from_u128(id));
            let (event, line) = (EventCursor { job, version }, LogCursor { job, sequence: place });
            let changes = ChangesCursor { position: place, made_at_ms: at };
            prop_assert_eq!(EventCursor::decode(&event.encode()), Some(event));
            prop_assert_eq!(LogCursor::decode(&line.encode()), Some(line));
            prop_assert_eq!(ChangesCursor::decode(&changes.encode()), Some(changes));
        }

        #[test]
        fn a_damaged_cursor_is_refused_or_a_valid_one(id in any::<u128>(), at in 0usize..60, byte in any::<u8>()) {
            let mut bytes = EventCursor { job: JobId::from(Uuid::from_u128(id)), version: 3 }.encode().into_bytes();
            let length = bytes.len();
            bytes[at % length] = byte;
            if let Ok(text) = String::from_utf8(bytes)
                && let Some(read) = EventCursor::decode(&text)
            {
                prop_assert!(read.version >= 0);
                prop_assert_eq!(EventCursor::decode(&read.encode()), Some(read));
            }
        }

        #[test]
        fn any_text_is_decoded_without_a_panic(text in ".{0,300}") {
            EventCursor::decode(&text);
            LogCursor::decode(&text);
            ChangesCursor::decode(&text);
        }
    }

    #[test]
    fn a_cursor_reads_back_and_never_as_another_kind() {
        let job = JobId::from(Uuid::from_u128(7));
        let event = EventCursor { job, version: 3 };
        let line = LogCursor { job, sequence: i64::MAX - 1 };
        let changes = ChangesCursor { position: 1 << 40, made_at_ms: 1_795_000_000_000 };
        assert_eq!(EventCursor::decode(&event.encode()), Some(event));
        assert_eq!(LogCursor::decode(&line.encode()), Some(line));
        assert_eq!(ChangesCursor::decode(&changes.encode()), Some(changes));
        assert_eq!(EventCursor::decode(&line.encode()), None);
        assert_eq!(LogCursor::decode(&event.encode()), None);
        assert_eq!(ChangesCursor::decode(&event.encode()), None);
        for bad in ["", "x", "!!!!", &event.encode()[1..], &"A".repeat(1000)] {
            assert_eq!(EventCursor::decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_position_beyond_all_others_is_no_cursor() {
        let job = JobId::from(Uuid::from_u128(7));
        for version in [-1, i32::MIN, i32::MAX] {
            assert_eq!(EventCursor::decode(&EventCursor { job, version }.encode()), None, "{version}");
        }
        for number in [-1, i64::MIN, i64::MAX] {
            assert_eq!(LogCursor::decode(&LogCursor { job, sequence: number }.encode()), None, "{number}");
            for changes in [
                ChangesCursor { position: number, made_at_ms: 0 },
                ChangesCursor { position: 0, made_at_ms: number },
            ] {
                assert_eq!(ChangesCursor::decode(&changes.encode()), None, "{changes:?}");
            }
        }
    }
}
