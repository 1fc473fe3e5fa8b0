//! Which of the cookies of a request is the session's. Another path or host may have set some of
//! them.

use std::sync::Arc;

use callboard::ids::SessionId;

use super::{
    Access, Authenticator, Caller, KeyHash, Presented, Proof,
    authenticator::is_over,
    look_up::Found,
    messages::{SESSION_OVER, expired},
};
use crate::error::ApiError;

impl Authenticator {
    /// Of the sessions of these cookies, the one of the last sign-in, because another path or host
    /// may have set the others. If none is valid, it says why of one that is known.
    pub(super) async fn admit_session(&self, cookies: &[KeyHash]) -> Result<Access, ApiError> {
        let (mut newest, mut why, mut unchecked) = (None, None, None);
        // What Callboard did not make is in no database, and need not be remembered.
        for proof in cookies.iter().filter(|cookie| cookie.is_made).map(|cookie| Proof::Session(*cookie)) {
            let found = self.look_up(proof).await;
            if let Ok(found) = &found {
                self.note(proof, matches!(found, Found::Valid(caller) if !is_over(caller)));
            }
            match found {
                Ok(Found::Valid(caller)) if !is_over(&caller) => {
                    let is_newer = |(known, _): &(Arc<Caller>, Proof)| caller.session() > known.session();
                    if newest.as_ref().is_none_or(is_newer) {
                        newest = Some((caller, proof));
                    }
                }
                Ok(Found::Valid(_)) => why = Some(expired(proof)),
                Ok(Found::Refused(known, Some(_))) => why = Some(known),
                Ok(Found::Refused(_unknown, None)) => {}
                Err(error) => unchecked = Some(error),
            }
        }
        match (newest, unchecked) {
            (Some((caller, proof)), _) => Ok(Access::SignedIn(caller, proof)),
            (None, Some(error)) => Err(error),
            (None, None) => {
                Ok(Access::CookieIgnored(why.map_or_else(|| SESSION_OVER.into(), |why| why.message.into())))
            }
        }
    }

    /// The valid sessions of a request, mostly one or none.
    pub async fn sessions(&self, presented: &Presented) -> Result<Vec<SessionId>, ApiError> {
        let Presented::Sessions(cookies) = presented else { return Ok(Vec::new()) };
        let mut valid = Vec::new();
        for proof in cookies.iter().filter(|cookie| cookie.is_made).map(|cookie| Proof::Session(*cookie)) {
            if let Found::Valid(caller) = self.look_up(proof).await? {
                valid.extend(caller.session());
            }
        }
        Ok(valid)
    }
}
