//! The master keys: seal secrets for the database, and make message authentication codes.
//!
//! Never logs or shows a key or a value.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString, zeroize::Zeroize as _};
use sha2::{Digest as _, Sha256};

use super::Owner;
use crate::clock;

/// Length of a master key, in bytes.
const KEY_BYTES: usize = 32;
/// First byte of every sealed value, so that another format can be distinguished later.
const VERSION: u8 = 1;
/// Bytes that identify the key: the first of its SHA-256.
const KEY_ID_BYTES: usize = 4;
/// XChaCha20's nonce, long enough for random nonces never to collide.
const NONCE_BYTES: usize = 24;
/// Version, key id, nonce.
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// One or more master keys. The first seals and signs, and all of them open and verify. A key can
/// thus be replaced while values sealed with the old one are still stored.
pub struct Keyring {
    first: Key,
    older: Vec<Key>,
}

struct Key {
    id: [u8; KEY_ID_BYTES],
    bytes: SecretBox<[u8; KEY_BYTES]>,
}

/// Why a text is not a master key. Reveals nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not [`KEY_BYTES`] bytes in base64 or hex.
    #[error("a master key must be 32 bytes, as base64 or 64 hexadecimal digits")]
    Form,
    /// All bytes are the same, as in a placeholder.
    #[error("all bytes of the master key are the same, so generate one with `openssl rand -base64 32`")]
    Weak,
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a value that [`Keyring::seal`] made.
    #[error("not a sealed value, or in a format that this version does not support")]
    Malformed,
    /// Sealed with a key that is not in the keyring.
    #[error("sealed with a master key that is not configured (key id {})", hex(*key_id))]
    UnknownKey {
        /// The key's id, which is public.
        key_id: [u8; KEY_ID_BYTES],
    },
    /// Changed, or sealed for another owner.
    #[error("cannot be opened because it was changed or belongs to another owner")]
    Forged,
}

impl Keyring {
    /// Parses one key, or several separated by commas. The first one seals.
    pub fn parse(text: &SecretString) -> Result<Self, BadKey> {
        let mut keys = text.expose_secret().split(',').map(|part| Key::parse(part.trim()));
        let first = keys.next().unwrap_or(Err(BadKey::Form))?;
        Ok(Self { first, older: keys.collect::<Result<_, _>>()? })
    }

    /// Seals `plain` for its owner. It opens for no other owner, so a ciphertext copied to another
    /// row is useless.
    ///
    /// # Panics
    /// For values of more than 256 GiB.
    pub fn seal(&self, owner: Owner<'_>, plain: &SecretString) -> Vec<u8> {
        let owner = owner.to_string();
        let nonce = clock::random_bytes::<NONCE_BYTES>();
        let payload = Payload { msg: plain.expose_secret().as_bytes(), aad: owner.as_bytes() };
        #[expect(clippy::expect_used, reason = "fails only for messages of more than 256 GiB")]
        let sealed = self.first.cipher().encrypt(&XNonce::from(nonce), payload).expect("fits");
        let mut out = Vec::with_capacity(HEADER_BYTES + sealed.len());
        out.push(VERSION);
        out.extend_from_slice(&self.first.id);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        out
    }

    /// Opens what [`seal`](Self::seal) made for the same owner, with the key of the keyring that
    /// sealed it.
    pub fn open(&self, owner: Owner<'_>, sealed: &[u8]) -> Result<SecretString, OpenError> {
        let owner = owner.to_string();
        let (header, body) = sealed.split_at_checked(HEADER_BYTES).ok_or(OpenError::Malformed)?;
        let (version, header) = header.split_at(1);
        let (key_id, nonce) = header.split_at(KEY_ID_BYTES);
        let key_id = <[u8; KEY_ID_BYTES]>::try_from(key_id).map_err(|_| OpenError::Malformed)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| OpenError::Malformed)?;
        if version != [VERSION] {
            return Err(OpenError::Malformed);
        }
        let key = self.keys().find(|key| key.id == key_id).ok_or(OpenError::UnknownKey { key_id })?;
        let payload = Payload { msg: body, aad: owner.as_bytes() };
        let plain = key.cipher().decrypt(&XNonce::from(nonce), payload).map_err(|_| OpenError::Forged)?;
        match String::from_utf8(plain) {
            Ok(plain) => Ok(SecretString::from(plain)),
            Err(not_text) => {
                not_text.into_bytes().zeroize();
                Err(OpenError::Malformed)
            }
        }
    }

    /// Whether `sealed` was made with the current key. If not, sealing the value again finishes a
    /// rotation.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=KEY_ID_BYTES) == Some(&self.first.id[..])
    }

    /// Returns the HMAC-SHA256 of `message` with a key derived for `purpose`. A code for one
    /// purpose does not verify for another.
    pub fn mac(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        self.first.mac(purpose, message).finalize().into_bytes().into()
    }

    /// [`mac`](Self::mac) under each key of the keyring.
    pub fn macs(&self, purpose: &str, message: &[u8]) -> Vec<[u8; 32]> {
        self.keys().map(|key| key.mac(purpose, message).finalize().into_bytes().into()).collect()
    }

    /// Whether `code` is [`mac`](Self::mac) of the message under any key of the keyring. Takes
    /// constant time per key.
    pub fn verify(&self, purpose: &str, message: &[u8], code: &[u8]) -> bool {
        self.keys().any(|key| key.mac(purpose, message).verify_slice(code).is_ok())
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.older)
    }
}

impl Key {
    fn parse(text: &str) -> Result<Self, BadKey> {
        let mut decoded = if text.len() == 2 * KEY_BYTES { from_hex(text) } else { from_base64(text) };
        let bytes = <[u8; KEY_BYTES]>::try_from(decoded.as_slice());
        decoded.zeroize();
        let mut bytes = bytes.map_err(|_| BadKey::Form)?;
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(BadKey::Weak);
        }
        let digest = Sha256::digest(bytes);
        let id = [digest[0], digest[1], digest[2], digest[3]];
        let kept = SecretBox::init_with(|| bytes);
        bytes.zeroize();
        Ok(Self { id, bytes: kept })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }

    fn mac(&self, purpose: &str, message: &[u8]) -> Hmac<Sha256> {
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

fn hex(id: [u8; KEY_ID_BYTES]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().map(|key| hex(key.id))).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const NEW: &str = "qrvM3e7/ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJk=";

    fn owner(name: &str) -> Owner<'_> {
        Owner::ProfileSecret(uuid::Uuid::from_u128(1).into(), name)
    }

    fn ring(text: &str) -> Keyring {
        Keyring::parse(&text.into()).unwrap()
    }

    #[test]
    fn reads_hex_and_base64_of_32_bytes_and_nothing_else() {
        let url_safe = NEW.replace('/', "_").replace('=', "");
        for fine in [OLD.into(), NEW.into(), url_safe, format!(" {NEW} , {OLD}")] {
            assert!(Keyring::parse(&fine.as_str().into()).is_ok(), "{fine}");
        }
        let (long, foreign, open) = (format!("{OLD}00"), OLD.replace('0', "g"), format!("{NEW},"));
        for bad in ["", ",", "secret", &OLD[1..], &long, &foreign, &open] {
            assert_eq!(Keyring::parse(&bad.into()).unwrap_err(), BadKey::Form, "{bad}");
        }
        assert_eq!(Keyring::parse(&"00".repeat(32).into()).unwrap_err(), BadKey::Weak);
    }

    #[test]
    fn a_sealed_value_opens_only_for_its_owner() {
        let ring = ring(OLD);
        let sealed = ring.seal(owner("a"), &"tok_123".into());
        assert_eq!(ring.open(owner("a"), &sealed).unwrap().expose_secret(), "tok_123");
        assert_eq!(ring.open(owner("b"), &sealed).unwrap_err(), OpenError::Forged);
        assert_ne!(sealed, ring.seal(owner("a"), &"tok_123".into()), "every sealed value has its own nonce");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(ring.open(owner("a"), &changed).is_err(), "byte {index}");
            assert!(ring.open(owner("a"), &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn after_a_rotation_old_values_open_and_new_ones_use_the_new_key() {
        let (before, between, after) = (ring(OLD), ring(&format!("{NEW},{OLD}")), ring(NEW));
        let old = before.seal(owner("x"), &"value".into());
        assert_eq!(between.open(owner("x"), &old).unwrap().expose_secret(), "value");
        assert!(!between.is_current(&old));
        let new = between.seal(owner("x"), &"value".into());
        assert!(between.is_current(&new));
        assert_eq!(after.open(owner("x"), &new).unwrap().expose_secret(), "value");
        assert!(matches!(after.open(owner("x"), &old), Err(OpenError::UnknownKey { .. })));
        assert!(between.verify("url", b"m", &before.mac("url", b"m")));
        assert!(!after.verify("url", b"m", &before.mac("url", b"m")));
    }

    #[test]
    fn a_code_verifies_for_one_purpose_and_message() {
        let ring = ring(OLD);
        let code = ring.mac("artifact-url", b"a");
        assert!(ring.verify("artifact-url", b"a", &code));
        assert!(!ring.verify("artifact-url", b"b", &code));
        assert!(!ring.verify("idempotency", b"a", &code));
        assert!(!ring.verify("artifact-url", b"a", &code[..31]));
    }

    #[test]
    fn debug_shows_key_ids_only() {
        assert_eq!(format!("{:?}", ring(OLD)), "[\"630dcd29\"]");
    }

    proptest! {
        #[test]
        fn a_sealed_value_opens(name in ".*", value in ".*") {
            let ring = ring(OLD);
            let sealed = ring.seal(owner(&name), &value.as_str().into());
            let opened = ring.open(owner(&name), &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), value);
        }
    }
}
