//! Why a socket is closed, and its close code.
//!
//! Clients of graphql-ws reconnect after 1001, 1013, 4403 and 4408, and never after other 44xx
//! codes.

use axum::extract::ws::CloseFrame;

/// Why the server closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The key is unknown, expired or revoked, or the session has ended.
    Forbidden,
    /// Too many sign-ins from the client's address have failed.
    TooManyFailures,
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
    /// The close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway | Self::Idle => 1001,
            Self::Broken => 1002,
            Self::TooBig => 1009,
            Self::TooMany => 1013,
            Self::BadMessage => 4400,
            Self::NotInitialised | Self::Anonymous => 4401,
            Self::Forbidden => 4403,
            Self::WrongProtocol => 4406,
            Self::InitTimeout => 4408,
            Self::DuplicateId => 4409,
            Self::SecondInit | Self::TooManyFailures => 4429,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "Bye",
            Self::GoingAway => "Going away",
            Self::Idle => "Idle timeout",
            Self::Broken => "Protocol error",
            Self::TooBig => "Message too big",
            Self::BadMessage => "Invalid message",
            Self::NotInitialised => "Unauthorized",
            Self::Anonymous => "No sign-in in time",
            Self::TooMany => "Try again later",
            Self::Forbidden => "Forbidden",
            Self::WrongProtocol => "Subprotocol not acceptable",
            Self::InitTimeout => "Connection initialisation timeout",
            Self::DuplicateId => "Subscriber already exists",
            Self::TooManyFailures => "Too many failed sign-ins",
            Self::SecondInit => "Too many initialisation requests",
        }
    }

    /// Returns the close frame.
    pub(super) fn frame(self) -> CloseFrame {
        CloseFrame { code: self.code(), reason: self.reason().into() }
    }
}
