//! `session_create`, `session_delete`, and how a session is recognised.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{Keys, api_keys::TOUCH_AFTER_SECS};
use crate::{
    api_key::{self, TextKind},
    audit::{Change, Object},
    clock::Time,
    ids::SessionId,
    steps::StepError,
    store::{
        StoreError,
        catalogue::{
            api_keys::CredentialStatus,
            sessions::{self, KeyRef, NewSession, Session},
        },
        commit,
    },
};

/// Maximum number of sessions of one key. Beyond it, the oldest ends.
pub const SESSIONS_MAX: i64 = 100;
/// How many expired sessions are deleted when one is created.
const EXPIRED_AT_A_TIME: i64 = 100;

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
pub struct SessionLife {
    /// The longest time without a request.
    pub idle: Duration,
    /// The longest time in all.
    pub whole: Duration,
}

impl SessionLife {
    /// How often a use is stored: often enough for the idle time.
    fn touch_after_secs(&self) -> f64 {
        TOUCH_AFTER_SECS.min(self.idle.as_secs_f64() / 4.0)
    }
}

/// A new session.
#[derive(Debug)]
pub struct OpenedSession {
    /// Its id.
    pub id: SessionId,
    /// The text for the cookie, which is returned here and nowhere else.
    pub text: SecretString,
    /// When it expires at the latest.
    pub expires_at: Time,
}

impl Keys {
    /// Opens a session for a key, in place of the session `instead_of`. The audit names each
    /// session that ends because of it.
    pub async fn session_create(
        &self,
        key: KeyRef,
        life: SessionLife,
        instead_of: Option<SessionId>,
    ) -> Result<OpenedSession, StepError> {
        let text = TextKind::Session.draw();
        let (id, hash) = (self.ids.make(), api_key::hash(text.expose_secret()));
        let mut transaction = self.store.begin().await?;
        sessions::delete_expired(&mut transaction, EXPIRED_AT_A_TIME).await?;
        let mut ended = sessions::delete_oldest(&mut transaction, key, SESSIONS_MAX - 1).await?;
        if let Some(old) = instead_of
            && sessions::delete(&mut transaction, old).await?
        {
            ended.push(old);
        }
        let new = NewSession { id, hash: &hash, key, life_secs: life.whole.as_secs_f64() };
        let expires_at = sessions::insert(&mut transaction, &new).await?;
        for old in ended {
            let change = Change::default().and("endedBy", id.to_string().into());
            self.note(&mut transaction, "sessionDelete", of_session(old), change).await?;
        }
        let change = Change::default().and("expiresAt", json!(expires_at));
        self.note(&mut transaction, "sessionCreate", of_session(id), change).await?;
        commit(transaction).await?;
        Ok(OpenedSession { id, text, expires_at })
    }

    /// Ends a session. One that has ended already is no error.
    pub async fn session_delete(&self, id: SessionId) -> Result<(), StepError> {
        let mut transaction = self.store.begin().await?;
        if sessions::delete(&mut transaction, id).await? {
            self.note(&mut transaction, "sessionDelete", of_session(id), Change::default()).await?;
        }
        commit(transaction).await?;
        Ok(())
    }

    /// Returns the session whose cookie has this hash, or `None` if there is none. Records the use
    /// of a valid session, at most once a minute.
    pub async fn session(
        &self,
        hash: &[u8; 32],
        life: SessionLife,
    ) -> Result<Option<CredentialStatus<Session>>, StoreError> {
        let (idle, touch_after) = (life.idle.as_secs_f64(), life.touch_after_secs());
        let mut connection = self.store.connection().await?;
        let found = sessions::find(&mut connection, hash, idle, touch_after).await?;
        if let Some(CredentialStatus::Valid { of, is_due: true }) = &found {
            sessions::touch(&mut connection, of.id, touch_after).await?;
        }
        Ok(found)
    }
}

fn of_session(id: SessionId) -> Object {
    Object::new("session", &id, None)
}
