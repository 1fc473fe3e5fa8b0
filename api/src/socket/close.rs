//! Why a socket is closed, and the code that says so. Clients of graphql-ws try again after 1001 and 4403, 4408, never
//! after the other 44xx.

use axum::extract::ws::CloseFrame;

/// Why the server closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client closed, or asked to by the older protocol's `connection_terminate`.
    Normal,
    /// The server goes down: connect again.
    GoingAway,
    /// The client was silent for too long.
    Idle,
    /// A message was larger than [`super::MESSAGE_BYTES_MAX`].
    TooBig,
    /// A frame that WebSocket does not allow.
    Broken,
    /// A message that the protocol does not know.
    BadMessage,
    /// `subscribe` came before `connection_init`.
    NotInitialised,
    /// The key is unknown, expired or revoked.
    Forbidden,
    /// The client offered only protocols that are not spoken here.
    WrongProtocol,
    /// No `connection_init` came in time.
    InitTimeout,
    /// An operation with this id is running.
    DuplicateId,
    /// `connection_init` came twice.
    SecondInit,
}

impl Close {
    /// The code on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway | Self::Idle => 1001,
            Self::Broken => 1002,
            Self::TooBig => 1009,
            Self::BadMessage => 4400,
            Self::NotInitialised => 4401,
            Self::Forbidden => 4403,
            Self::WrongProtocol => 4406,
            Self::InitTimeout => 4408,
            Self::DuplicateId => 4409,
            Self::SecondInit => 4429,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "Bye",
            Self::GoingAway => "Going away",
            Self::Idle => "No sign of life",
            Self::Broken => "Protocol error",
            Self::TooBig => "Message too big",
            Self::BadMessage => "Invalid message",
            Self::NotInitialised => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::WrongProtocol => "Subprotocol not acceptable",
            Self::InitTimeout => "Connection initialisation timeout",
            Self::DuplicateId => "Subscriber already exists",
            Self::SecondInit => "Too many initialisation requests",
        }
    }

    /// The frame that says so.
    pub(super) fn frame(self) -> CloseFrame {
        CloseFrame { code: self.code(), reason: self.reason().into() }
    }
}
