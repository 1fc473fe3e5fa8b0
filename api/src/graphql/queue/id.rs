//! Ids of queues. A queue is identified by its name, and its id is a hash of the name in the form
//! of all other ids.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// The alphabet of Crockford's base32, as in all ids.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Number of characters after the prefix: 128 bits, five per character and three in the first.
const CHARACTERS: usize = 26;

/// The id of a queue: the first 128 bits of its name's SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct QueueId(u128);

impl QueueId {
    /// The prefix of this kind of id, without the underscore.
    pub const PREFIX: &'static str = "queue";

    /// Returns the id of the queue with this name.
    pub fn of(name: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        let half = digest.iter().take(16);
        Self(half.fold(0, |value, byte| value << 8 | u128::from(*byte)))
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_", Self::PREFIX)?;
        (0..CHARACTERS).rev().try_for_each(|index| {
            let digit = self.0 >> (5 * index) & 31;
            write!(f, "{}", char::from(ALPHABET[digit as usize]))
        })
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not the id of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a queue")]
pub struct BadQueueId;

impl FromStr for QueueId {
    type Err = BadQueueId;

    fn from_str(text: &str) -> Result<Self, BadQueueId> {
        let digits =
            text.strip_prefix(Self::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(BadQueueId)?;
        if digits.len() != CHARACTERS || digits.as_bytes()[0] > b'7' {
            return Err(BadQueueId);
        }
        digits
            .bytes()
            .try_fold(0_u128, |value, character| {
                let digit = ALPHABET.iter().position(|known| *known == character).ok_or(BadQueueId)?;
                Ok(value << 5 | digit as u128)
            })
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_looks_like_all_others() {
        let id = QueueId::of("default");
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.len(), "queue_".len() + CHARACTERS);
        assert_ne!(QueueId::of("Default"), id);
        for bad in
            ["", "queue_", "job_00000000000000000000000000", "queue_80000000000000000000000000", &text[..31]]
        {
            assert_eq!(bad.parse::<QueueId>(), Err(BadQueueId), "{bad}");
        }
    }
}
