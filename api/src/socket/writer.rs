//! The writing half of a socket: sends frames from the bounded queue and drops stalled clients.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures::{SinkExt as _, stream::SplitSink};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Close;
use crate::allowance::LargeAnswerSlot;

/// Bytes per second of a client that is slow and not stalled.
const SLOW: usize = 64 * 1024;

/// A frame to send.
#[derive(Debug)]
pub(super) enum Frame {
    /// A GraphQL message.
    Text(String),
    /// The answer to an operation, with its slot and its room in the queue until it has been sent.
    Answer(String, AnswerPermits),
    /// A ping of WebSocket itself, which browsers acknowledge automatically.
    Ping,
    /// The last frame.
    Close(Close),
}

/// What an answer takes until it has been sent: its slot among the large answers, and its room in
/// the queue.
#[derive(Debug)]
pub(super) struct AnswerPermits {
    pub(super) _slot: Option<LargeAnswerSlot>,
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// How writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The close frame was sent, or all senders are gone.
    All,
    /// The connection broke.
    Broken,
    /// The client read nothing for too long.
    Stalled,
}

impl Written {
    /// The name in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "closed",
            Self::Broken => "broken",
            Self::Stalled => "stalled",
        }
    }
}

/// Sends frames until the queue closes, the close frame is sent, or the client stalls.
pub(super) async fn run(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Frame>,
    stall: Duration,
) -> Written {
    while let Some(frame) = queue.recv().await {
        let mut batch = vec![frame];
        // Queued frames are sent together.
        while !batch.iter().any(Frame::is_last)
            && let Ok(frame) = queue.try_recv()
        {
            batch.push(frame);
        }
        let is_last = batch.iter().any(Frame::is_last);
        let time = stall + Duration::from_secs((batch.iter().map(Frame::len).sum::<usize>() / SLOW) as u64);
        let sent = tokio::time::timeout(time, send(&mut sink, batch)).await;
        match sent {
            Ok(Ok(())) if is_last => return Written::All,
            Ok(Ok(())) => {}
            Ok(Err(_broken)) => return Written::Broken,
            Err(_elapsed) => return Written::Stalled,
        }
    }
    Written::All
}

async fn send(sink: &mut SplitSink<WebSocket, Message>, batch: Vec<Frame>) -> Result<(), axum::Error> {
    let mut held = Vec::new();
    for frame in batch {
        let (message, of_frame) = frame.into_message();
        held.extend(of_frame);
        sink.feed(message).await?;
    }
    sink.flush().await
}

impl Frame {
    const fn is_last(&self) -> bool {
        matches!(self, Self::Close(_))
    }

    const fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Answer(text, _) => text.len(),
            Self::Ping | Self::Close(_) => 0,
        }
    }

    fn into_message(self) -> (Message, Option<AnswerPermits>) {
        match self {
            Self::Text(text) => (Message::Text(Utf8Bytes::from(text)), None),
            Self::Answer(text, held) => (Message::Text(Utf8Bytes::from(text)), Some(held)),
            Self::Ping => (Message::Ping(Vec::new().into()), None),
            Self::Close(close) => (Message::Close(Some(close.frame())), None),
        }
    }
}
