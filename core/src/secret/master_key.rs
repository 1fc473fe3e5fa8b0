//! A master key, and the id by which what it seals names it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, zeroize::Zeroize as _};
use sha2::{Digest as _, Sha256};

/// Length of a key, in bytes.
pub(super) const KEY_BYTES: usize = 32;
/// Length of the id of a master key, in bytes.
const ID_BYTES: usize = 4;
/// Random bytes have about 30 different values among 32. Fewer than 17 happen to nobody.
const DIFFERENT_BYTES_MIN: usize = 17;

/// The id of a master key: the first bytes of its SHA-256. Public, and shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_BYTES]);

impl KeyId {
    /// Length of an id, in bytes.
    pub(super) const BYTES: usize = ID_BYTES;

    pub(super) const fn bytes(self) -> [u8; ID_BYTES] {
        self.0
    }
}

impl From<[u8; ID_BYTES]> for KeyId {
    fn from(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a master key. Reveals nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not [`KEY_BYTES`] bytes in base64 or hex.
    #[error(
        "a master key must be 32 bytes, as base64 or 64 hexadecimal digits. Make one with `openssl rand \
         -base64 32`"
    )]
    Form,
    /// All bytes are the same, as in a placeholder.
    #[error("all bytes of the master key are the same. Make one with `openssl rand -base64 32`")]
    Placeholder,
}

/// One master key.
pub(super) struct MasterKey {
    pub(super) id: KeyId,
    bytes: SecretBox<[u8; KEY_BYTES]>,
}

impl MasterKey {
    pub(super) fn parse(text: &str) -> Result<Self, BadKey> {
        let mut decoded = if text.len() == 2 * KEY_BYTES { from_hex(text) } else { from_base64(text) };
        let bytes = <[u8; KEY_BYTES]>::try_from(decoded.as_slice());
        decoded.zeroize();
        let mut bytes = bytes.map_err(|_| BadKey::Form)?;
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(BadKey::Placeholder);
        }
        let digest = Sha256::digest(bytes);
        let id = KeyId([digest[0], digest[1], digest[2], digest[3]]);
        let kept = SecretBox::init_with(|| bytes);
        bytes.zeroize();
        Ok(Self { id, bytes: kept })
    }

    /// Whether somebody could have typed or guessed the key: a text, a sequence, a repetition.
    pub(super) fn is_weak(&self) -> bool {
        let bytes = self.bytes.expose_secret();
        let mut different = bytes.to_vec();
        different.sort_unstable();
        different.dedup();
        let is_few = different.len() < DIFFERENT_BYTES_MIN;
        different.zeroize();
        let step = bytes[1].wrapping_sub(bytes[0]);
        let is_sequence = bytes.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
        is_few || is_sequence || bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
    }

    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }

    pub(super) fn mac(&self, purpose: &str, message: &[u8]) -> Hmac<Sha256> {
        let derived = keyed(self.bytes.expose_secret(), &[b"callboard mac v1\0", purpose.as_bytes()]);
        keyed(&derived.finalize().into_bytes(), &[message])
    }
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// Returns the bytes, or an empty vector if a character is not a digit.
fn from_hex(text: &str) -> Vec<u8> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    digits.unwrap_or_default().chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Decodes standard or URL-safe base64, padded or not. Returns an empty vector for anything else.
fn from_base64(text: &str) -> Vec<u8> {
    let bare = text.trim_end_matches('=');
    STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_somebody_could_have_typed_is_weak() {
        for weak in [
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "fffdfbf9f7f5f3f1efedebe9e7e5e3e1dfdddbd9d7d5d3d1cfcdcbc9c7c5c3c1",
            &"0123456789abcdef".repeat(4),
            "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbee0",
            "0000000000000000000000000000000000000000000000000000000000000001",
            &STANDARD.encode("correct horse battery staple 123"),
            &STANDARD.encode("change-me-change-me-change-me-!!"),
        ] {
            assert!(MasterKey::parse(weak).unwrap().is_weak(), "{weak}");
        }
    }

    proptest! {
        #[test]
        fn random_keys_are_not_weak(bytes: [u8; KEY_BYTES]) {
            prop_assert!(!MasterKey::parse(&STANDARD.encode(bytes)).unwrap().is_weak());
        }
    }
}
