//! The keys and sessions in the database, as a source for the authenticator.

use std::collections::{HashMap, HashSet};

use callboard::{
    audit::CONFIGURED_KEY,
    catalogue::{Keys, SessionLife},
    store::{
        StoreError,
        catalogue::{
            api_keys::{self, CredentialStatus},
            sessions::{self, SessionKey},
        },
    },
};
use futures::future::BoxFuture;

use super::{Authenticate, Caller, Credential, KeyHash, Proof, Role, Verdict};

/// The keys and sessions in the database.
#[derive(Debug, Clone)]
pub struct StoredKeys {
    /// Their operations.
    pub keys: Keys,
    /// How long sessions last.
    pub life: SessionLife,
    /// The configured key, whose sessions end when another one is configured.
    pub configured: Option<KeyHash>,
}

impl Caller {
    /// The caller with the configured key.
    pub fn configured() -> Self {
        let credential = Credential::ConfiguredKey;
        Self { name: CONFIGURED_KEY.into(), role: Role::Admin, credential, expires_at: None }
    }
}

impl StoredKeys {
    async fn find_key(&self, key: KeyHash) -> Result<Verdict, StoreError> {
        Ok(match self.keys.key(&key.hash).await? {
            None => Verdict::Unknown,
            Some(CredentialStatus::Revoked(key)) => Verdict::Revoked(key.name),
            Some(CredentialStatus::Expired(key)) => Verdict::Expired(key.name),
            Some(CredentialStatus::Valid { of: key, .. }) => Verdict::Valid(Caller {
                name: key.name,
                role: key.role,
                credential: Credential::Key(key.id),
                expires_at: key.expires_at,
            }),
        })
    }

    async fn find_session(&self, cookie: KeyHash) -> Result<Verdict, StoreError> {
        let session = match self.keys.session(&cookie.hash, self.life).await? {
            None => return Ok(Verdict::Unknown),
            Some(CredentialStatus::Revoked(session)) => {
                return Ok(Verdict::Revoked(session.key.name().to_owned()));
            }
            Some(CredentialStatus::Expired(session)) => {
                return Ok(Verdict::Expired(session.key.name().to_owned()));
            }
            Some(CredentialStatus::Valid { of: session, .. }) => session,
        };
        let expires_at = Some(session.expires_at);
        Ok(match session.key {
            SessionKey::Key(key, name, role) => Verdict::Valid(Caller {
                name,
                role,
                credential: Credential::Session(session.id, Some(key)),
                expires_at,
            }),
            SessionKey::Configured(hash) if self.configured.is_some_and(|key| key.hash == hash) => {
                let credential = Credential::Session(session.id, None);
                Verdict::Valid(Caller { credential, expires_at, ..Caller::configured() })
            }
            SessionKey::Configured(_) => Verdict::Unknown,
        })
    }
}

impl Authenticate for StoredKeys {
    fn authenticate(&self, proof: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
        Box::pin(async move {
            match proof {
                // What Callboard did not make is in no database.
                Proof::Key(hash) | Proof::Session(hash) if !hash.is_made => Ok(Verdict::Unknown),
                Proof::Key(hash) => self.find_key(hash).await,
                Proof::Session(hash) => self.find_session(hash).await,
            }
        })
    }

    fn valid(&self, held: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
        Box::pin(async move {
            let (mut keys, mut cookies) = (HashMap::new(), HashMap::new());
            for proof in held {
                match proof {
                    Proof::Key(hash) => keys.insert(hash.hash, proof),
                    Proof::Session(hash) => cookies.insert(hash.hash, proof),
                };
            }
            let mut connection = self.keys.store.connection().await?;
            let mut valid = HashSet::new();
            if !keys.is_empty() {
                let hashes: Vec<[u8; 32]> = keys.keys().copied().collect();
                let found = api_keys::valid(&mut connection, &hashes).await?;
                valid.extend(found.iter().filter_map(|hash| keys.get(hash)));
            }
            if !cookies.is_empty() {
                let hashes: Vec<[u8; 32]> = cookies.keys().copied().collect();
                let idle = self.life.idle.as_secs_f64();
                let found = sessions::valid(&mut connection, &hashes, idle).await?;
                valid.extend(found.iter().filter_map(|hash| cookies.get(hash)));
            }
            Ok(valid)
        })
    }
}
