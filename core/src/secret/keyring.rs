//! The master keys: seal secrets for the database, and make message authentication codes.
//!
//! A value is sealed in an envelope (docs/adr/0023): with a data key of its own, which is wrapped
//! by a master key and stored with the value. The value names that master key by its id. To rotate
//! the master key is to wrap the data keys again, and no value is opened for it.
//!
//! Never logs or shows a key or a value.

use std::fmt;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::Mac as _;
use secrecy::{
    ExposeSecret as _, SecretString,
    zeroize::{Zeroize as _, Zeroizing},
};

use super::{
    Owner,
    master_key::{BadKey, KEY_BYTES, KeyId, MasterKey},
};
use crate::clock;

/// First byte of a value that the master key itself sealed, as before there were envelopes: then
/// key id, nonce, ciphertext.
const DIRECT: u8 = 1;
/// First byte of a value in an envelope: then key id, nonce of the wrapping, wrapped data key,
/// ciphertext.
const ENVELOPE: u8 = 2;
/// XChaCha20's nonce, long enough for random nonces never to collide.
const NONCE_BYTES: usize = 24;
/// A data key seals one value only, so the nonce of the value may be fixed.
const NO_NONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];
/// The data key and its authentication code.
const WRAPPED_BYTES: usize = KEY_BYTES + 16;

/// The first bytes of a sealed value: its format, and the id of its master key. By them, SQL finds
/// what is sealed with which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealHead([u8; SealHead::BYTES]);

impl SealHead {
    /// Length of a head, in bytes.
    pub const BYTES: usize = 1 + KeyId::BYTES;

    /// The head of a sealed value. `None` for what is too short to be one.
    pub fn of(sealed: &[u8]) -> Option<Self> {
        sealed.first_chunk().copied().map(Self)
    }

    /// The master key that the value names.
    pub fn key(self) -> KeyId {
        let [_, key @ ..] = self.0;
        key.into()
    }

    /// The bytes.
    pub const fn bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

/// One or more master keys. The first seals and signs, and all of them open and verify. A key can
/// thus be replaced while values sealed with the old one are still stored.
pub struct Keyring {
    first: MasterKey,
    others: Vec<MasterKey>,
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a value that [`Keyring::seal`] made.
    #[error("not a sealed value, or in a format that this version does not support")]
    Malformed,
    /// Sealed with a key that is not in the keyring.
    #[error("sealed with a master key that is not configured (key id {key})")]
    UnknownKey {
        /// The key's id, which is public.
        key: KeyId,
    },
    /// Changed, or sealed for another owner.
    #[error("cannot be opened because it was changed or belongs to another owner")]
    Forged,
}

/// A sealed value, taken apart.
enum Parts<'a> {
    Direct { key: &'a MasterKey, nonce: [u8; NONCE_BYTES], body: &'a [u8] },
    Envelope { key: &'a MasterKey, nonce: [u8; NONCE_BYTES], wrapped: &'a [u8], body: &'a [u8] },
}

impl Keyring {
    /// Parses one key, or several separated by commas or lines. The first one seals.
    pub fn parse(text: &SecretString) -> Result<Self, BadKey> {
        let mut keys = parse_keys(text);
        let first = keys.next().unwrap_or(Err(BadKey::Form))?;
        Ok(Self { first, others: keys.collect::<Result<_, _>>()? })
    }

    /// Adds keys that open and verify, but do not seal.
    pub fn add(&mut self, text: &SecretString) -> Result<(), BadKey> {
        let keys: Vec<MasterKey> = parse_keys(text).collect::<Result<_, _>>()?;
        self.others.extend(keys);
        Ok(())
    }

    /// The key that seals.
    pub const fn sealing_key(&self) -> KeyId {
        self.first.id
    }

    /// Whether the key that seals could have been typed or guessed.
    pub fn is_weak(&self) -> bool {
        self.first.is_weak()
    }

    /// Whether the keyring has this key.
    pub fn has(&self, key: KeyId) -> bool {
        self.keys().any(|each| each.id == key)
    }

    /// The head of every value that is sealed from now on.
    pub fn head(&self) -> SealHead {
        let mut head = [ENVELOPE; SealHead::BYTES];
        head[1..].copy_from_slice(&self.first.id.bytes());
        SealHead(head)
    }

    /// Seals `plain` for its owner. It opens for no other owner, so a ciphertext copied to another
    /// row is useless.
    ///
    /// # Panics
    /// For values of more than 256 GiB.
    pub fn seal(&self, owner: Owner<'_>, plain: &SecretString) -> Vec<u8> {
        let data_key = Zeroizing::new(clock::random_bytes::<KEY_BYTES>());
        let mut out = self.wrap(owner, &data_key);
        let plain = plain.expose_secret().as_bytes();
        out.extend_from_slice(&encrypt(&cipher(&data_key), NO_NONCE, plain, &owner.to_string()));
        out
    }

    /// Opens what [`seal`](Self::seal) made for the same owner, with the key of the keyring that
    /// sealed it.
    pub fn open(&self, owner: Owner<'_>, sealed: &[u8]) -> Result<SecretString, OpenError> {
        let (cipher, nonce, body) = match self.take_apart(sealed)? {
            Parts::Direct { key, nonce, body } => (key.cipher(), nonce, body),
            Parts::Envelope { key, nonce, wrapped, body } => {
                (cipher(&*unwrap(owner, key, nonce, wrapped)?), NO_NONCE, body)
            }
        };
        match String::from_utf8(decrypt(&cipher, nonce, body, &owner.to_string())?) {
            Ok(plain) => Ok(SecretString::from(plain)),
            Err(not_text) => {
                not_text.into_bytes().zeroize();
                Err(OpenError::Malformed)
            }
        }
    }

    /// Seals a value again, with the key that seals now. Of a value in an envelope, only the data
    /// key is wrapped again. Returns an error if the value's key is not in the keyring, or the
    /// value belongs to another owner.
    pub fn reseal(&self, owner: Owner<'_>, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        match self.take_apart(sealed)? {
            Parts::Direct { .. } => Ok(self.seal(owner, &self.open(owner, sealed)?)),
            Parts::Envelope { key, nonce, wrapped, body } => {
                let mut out = self.wrap(owner, &*unwrap(owner, key, nonce, wrapped)?);
                out.extend_from_slice(body);
                Ok(out)
            }
        }
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

    fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The head, the nonce and the wrapped data key of a value in an envelope.
    fn wrap(&self, owner: Owner<'_>, data_key: &[u8; KEY_BYTES]) -> Vec<u8> {
        let nonce = clock::random_bytes::<NONCE_BYTES>();
        let wrapped = encrypt(&self.first.cipher(), nonce, data_key, &wrapping_of(owner));
        [&self.head().bytes()[..], &nonce, &wrapped].concat()
    }

    fn take_apart<'a>(&'a self, sealed: &'a [u8]) -> Result<Parts<'a>, OpenError> {
        let head = SealHead::of(sealed).ok_or(OpenError::Malformed)?;
        let (nonce, rest) =
            sealed[SealHead::BYTES..].split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Malformed)?;
        let key = || {
            let id = head.key();
            self.keys().find(|key| key.id == id).ok_or(OpenError::UnknownKey { key: id })
        };
        match head.0[0] {
            DIRECT => Ok(Parts::Direct { key: key()?, nonce: *nonce, body: rest }),
            ENVELOPE => {
                let (wrapped, body) = rest.split_at_checked(WRAPPED_BYTES).ok_or(OpenError::Malformed)?;
                Ok(Parts::Envelope { key: key()?, nonce: *nonce, wrapped, body })
            }
            _ => Err(OpenError::Malformed),
        }
    }
}

fn parse_keys(text: &SecretString) -> impl Iterator<Item = Result<MasterKey, BadKey>> {
    text.expose_secret().split([',', '\n']).map(|part| MasterKey::parse(part.trim()))
}

fn cipher(key: &[u8; KEY_BYTES]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

fn encrypt(cipher: &XChaCha20Poly1305, nonce: [u8; NONCE_BYTES], plain: &[u8], bound_to: &str) -> Vec<u8> {
    let payload = Payload { msg: plain, aad: bound_to.as_bytes() };
    #[expect(clippy::expect_used, reason = "fails only for messages of more than 256 GiB")]
    cipher.encrypt(&XNonce::from(nonce), payload).expect("fits")
}

fn decrypt(
    cipher: &XChaCha20Poly1305,
    nonce: [u8; NONCE_BYTES],
    sealed: &[u8],
    bound_to: &str,
) -> Result<Vec<u8>, OpenError> {
    let payload = Payload { msg: sealed, aad: bound_to.as_bytes() };
    cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| OpenError::Forged)
}

/// What a wrapped data key is bound to. Distinct from what a value is bound to.
fn wrapping_of(owner: Owner<'_>) -> String {
    format!("data key of {owner}")
}

fn unwrap(
    owner: Owner<'_>,
    key: &MasterKey,
    nonce: [u8; NONCE_BYTES],
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; KEY_BYTES]>, OpenError> {
    let plain = Zeroizing::new(decrypt(&key.cipher(), nonce, wrapped, &wrapping_of(owner))?);
    <[u8; KEY_BYTES]>::try_from(plain.as_slice()).map(Zeroizing::new).map_err(|_| OpenError::Forged)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().map(|key| key.id)).finish()
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
        assert_eq!(Keyring::parse(&"00".repeat(32).into()).unwrap_err(), BadKey::Placeholder);
        assert!(
            Keyring::parse(&format!("{NEW}\n{OLD}").as_str().into()).unwrap().has(ring(OLD).sealing_key())
        );
        let mut two = ring(NEW);
        two.add(&OLD.into()).unwrap();
        assert!(two.has(ring(OLD).sealing_key()) && two.sealing_key() == ring(NEW).sealing_key());
        // The bytes of both come again in a pattern.
        assert!(two.is_weak() && ring(OLD).is_weak());
        assert!(!ring("r4kv9dRyO2cbxUwQkzJZb5nOe7dGm1T0u8LhV6XiYpA=").is_weak());
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

    /// Sealed with OLD before there were envelopes, for the owner `x`.
    fn direct(plain: &str) -> Vec<u8> {
        let ring = ring(OLD);
        let owner = owner("x").to_string();
        let body = encrypt(&ring.first.cipher(), [7; NONCE_BYTES], plain.as_bytes(), &owner);
        [&[DIRECT][..], &ring.first.id.bytes(), &[7; NONCE_BYTES], &body].concat()
    }

    #[test]
    fn after_a_rotation_old_values_open_and_new_ones_use_the_new_key() {
        let (before, between, after) = (ring(OLD), ring(&format!("{NEW},{OLD}")), ring(NEW));
        for old in [before.seal(owner("x"), &"value".into()), direct("value")] {
            assert_eq!(between.open(owner("x"), &old).unwrap().expose_secret(), "value");
            assert_eq!(SealHead::of(&old).unwrap().key(), before.sealing_key());
            let unknown = OpenError::UnknownKey { key: before.sealing_key() };
            assert_eq!(after.open(owner("x"), &old).unwrap_err(), unknown);
            assert_eq!(after.reseal(owner("x"), &old).unwrap_err(), unknown);
            assert_eq!(between.reseal(owner("y"), &old).unwrap_err(), OpenError::Forged);
            let new = between.reseal(owner("x"), &old).unwrap();
            assert_eq!(SealHead::of(&new), Some(after.head()));
            assert_eq!(after.open(owner("x"), &new).unwrap().expose_secret(), "value");
            assert!(before.open(owner("x"), &new).is_err());
        }
        assert!(between.verify("url", b"m", &before.mac("url", b"m")));
        assert!(!after.verify("url", b"m", &before.mac("url", b"m")));
    }

    #[test]
    fn values_of_before_there_were_envelopes_are_sealed_again_with_the_same_key() {
        let (ring, old) = (ring(OLD), direct("value"));
        assert_ne!(SealHead::of(&old), Some(ring.head()));
        let new = ring.reseal(owner("x"), &old).unwrap();
        assert_eq!(SealHead::of(&new), Some(ring.head()));
        assert_eq!(ring.open(owner("x"), &new).unwrap().expose_secret(), "value");
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
        assert_eq!(format!("{:?}", ring(OLD)), "[630dcd29]");
    }

    proptest! {
        #[test]
        fn a_sealed_value_opens(name in ".*", value in ".*") {
            let ring = ring(OLD);
            let sealed = ring.seal(owner(&name), &value.as_str().into());
            let opened = ring.open(owner(&name), &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), value);
        }

        #[test]
        fn nothing_that_is_stored_makes_opening_panic(sealed: Vec<u8>, is_envelope: bool, owned in ".*") {
            let ring = ring(OLD);
            let version = if is_envelope { ENVELOPE } else { DIRECT };
            for text in [sealed.clone(), [&[version][..], &ring.first.id.bytes(), &sealed].concat()] {
                prop_assert!(ring.open(owner(&owned), &text).is_err());
                prop_assert!(ring.reseal(owner(&owned), &text).is_err());
            }
        }
    }
}
