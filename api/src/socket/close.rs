//! Why a socket is closed, and its close code.
//!
//! Clients of graphql-ws connect again after 1001, 1013, 4403 and 4408, and never after 1002, 1009
//! and other 44xx codes. So a key that does not work closes with 4401, which ends its client with
//! the reason, and 1013 means try again later.

use axum::extract::ws::CloseFrame;

use crate::error::{ApiError, Code};

/// Longest reason that fits into a close frame, in bytes.
const REASON_BYTES_MAX: usize = 123;

/// Why the server closes a socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client closed, or asked to with the older protocol's `connection_terminate`.
    Normal,
    /// The server is shutting down. Clients should reconnect.
    GoingAway,
    /// The client was silent for too long.
    Idle,
    /// A message was larger than [`super::RECEIVED_BYTES_MAX`], or larger than
    /// [`super::MESSAGE_BYTES_MAX`] without the id of an operation, or larger than
    /// [`super::UNSIGNED_BYTES_MAX`] from a client that has not signed in.
    TooBig,
    /// A frame violated the WebSocket protocol.
    Broken,
    /// A message violated the GraphQL protocol.
    BadMessage,
    /// `subscribe` came before `connection_init`.
    NotInitialised,
    /// The client has not signed in in time, and no operation was running.
    Anonymous,
    /// The client has not signed in and sends too much, or its key has too many sockets.
    TooMany,
    /// The key is unknown, expired or revoked, or the session has ended. With the message that a
    /// request gets.
    Unauthenticated(String),
    /// Whether the key or the session still works could not be looked up. With the message.
    Unchecked(String),
    /// Too many sign-ins from the client's address have failed. With the message that says for how
    /// long to wait.
    TooManyFailures(String),
    /// The client offered only unsupported protocols.
    WrongProtocol,
    /// No `connection_init` came in time.
    InitTimeout,
    /// An operation with this id is already running.
    DuplicateId,
    /// `connection_init` came twice.
    SecondInit,
}

impl Close {
    /// Why a client is closed whose key or session did not pass its check.
    pub(super) fn of_check(error: ApiError) -> Self {
        match error.code {
            Code::Unauthenticated => Self::Unauthenticated(error.message),
            Code::RateLimited => Self::TooManyFailures(error.message),
            Code::BadRequest
            | Code::ParseFailed
            | Code::ValidationFailed
            | Code::BadCursor
            | Code::Forbidden
            | Code::NotFound
            | Code::TooComplex
            | Code::Unavailable
            | Code::Internal => Self::Unchecked(error.message),
        }
    }

    /// The close code.
    pub const fn code(&self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway | Self::Idle => 1001,
            Self::Broken => 1002,
            Self::TooBig => 1009,
            Self::TooMany | Self::Unchecked(_) | Self::TooManyFailures(_) => 1013,
            Self::BadMessage => 4400,
            Self::NotInitialised | Self::Anonymous | Self::Unauthenticated(_) => 4401,
            Self::WrongProtocol => 4406,
            Self::InitTimeout => 4408,
            Self::DuplicateId => 4409,
            Self::SecondInit => 4429,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Normal => "Bye",
            Self::GoingAway => "Going away",
            Self::Idle => "Idle timeout",
            Self::Broken => "Protocol error",
            Self::TooBig => "Message too big",
            Self::BadMessage => "Invalid message",
            Self::NotInitialised => "Send connection_init before subscribe",
            Self::Anonymous => "No sign-in in time. Send an API key in connection_init",
            Self::TooMany => "Try again later",
            Self::Unauthenticated(why) | Self::Unchecked(why) | Self::TooManyFailures(why) => why,
            Self::WrongProtocol => "Subprotocol not acceptable",
            Self::InitTimeout => "Connection initialisation timeout",
            Self::DuplicateId => "Subscriber already exists",
            Self::SecondInit => "Too many initialisation requests",
        }
    }

    /// Returns the close frame.
    pub(super) fn frame(&self) -> CloseFrame {
        CloseFrame { code: self.code(), reason: fitting(self.reason()).into() }
    }
}

/// As much of a reason as fits.
fn fitting(reason: &str) -> String {
    if reason.len() <= REASON_BYTES_MAX {
        return reason.to_owned();
    }
    let end = reason.floor_char_boundary(REASON_BYTES_MAX - "...".len());
    format!("{}...", &reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_its_frame() {
        for reason in ["x".repeat(123), "x".repeat(124), "\u{1f600}".repeat(100), String::new()] {
            let sent = Close::Unauthenticated(reason.clone()).frame().reason.to_string();
            assert!(sent.len() <= REASON_BYTES_MAX, "{sent}");
            assert_eq!(sent == reason, reason.len() <= REASON_BYTES_MAX, "{sent}");
            assert!(reason.starts_with(sent.trim_end_matches('.')), "{sent}");
        }
    }
}
