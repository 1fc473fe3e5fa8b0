//! What a caller is told whose key or session does not work.

use super::Proof;
use crate::error::{ApiError, Code};

/// What the audit says of a cookie from a page of another address.
pub(super) const OTHER_PAGE: &str =
    "The cookie of a session does not count in a request from a page of another address.";
/// Of a session that has ended, for whatever reason.
pub(super) const SESSION_OVER: &str = "Your session has ended. Sign in again.";
/// Why a socket or a stream ends of which no more is known.
const ACCESS_OVER: &str = "The API key was revoked or has expired, or the session has ended. Sign in again.";

/// An error of the code UNAUTHENTICATED.
pub(super) fn refused(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::Unauthenticated, message)
}

pub(super) fn unknown(proof: Proof) -> ApiError {
    refused(match proof {
        Proof::Key(_) => "This API key is unknown. Check that it was copied as a whole.",
        Proof::Session(_) => SESSION_OVER,
    })
}

pub(super) fn revoked(proof: Proof, name: &str) -> ApiError {
    refused(match proof {
        Proof::Key(_) => format!("The API key `{name}` was revoked."),
        Proof::Session(_) => {
            format!("Your session has ended: its API key `{name}` was revoked. Sign in with another key.")
        }
    })
}

pub(super) fn expired(proof: Proof) -> ApiError {
    refused(match proof {
        Proof::Key(_) => "This API key has expired.",
        Proof::Session(_) => "Your session has expired. Sign in again.",
    })
}

pub(super) fn unreadable() -> ApiError {
    refused("The credentials are not an API key. Send one header `Authorization: Bearer cb_...`.")
}

/// Access that could not be confirmed for too long.
pub(super) fn unchecked() -> ApiError {
    let message = "Whether the key or the session still works could not be checked. Connect again.";
    ApiError::new(Code::Unavailable, message)
}

/// Of what was watched and has ended, when no more is known.
pub(super) fn over() -> ApiError {
    refused(ACCESS_OVER)
}
