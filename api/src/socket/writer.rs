//! The writing half of a socket: sends frames from the bounded queue and drops stalled clients.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures::{SinkExt as _, stream::SplitSink};
use tokio::sync::mpsc;

use super::Close;
use crate::operation::Weight;

/// A frame to send.
#[derive(Debug)]
pub(super) enum Frame {
    /// A GraphQL message.
    Text(String),
    /// The answer to an operation, with what it takes until it has been sent.
    Answer(String, Weight),
    /// A ping of WebSocket itself, which browsers acknowledge automatically.
    Ping,
    /// The last frame.
    Close(Close),
}

impl Frame {
    fn weight(&self) -> Option<Weight> {
        match self {
            Self::Answer(_, weight) => Some(weight.clone()),
            Self::Text(_) | Self::Ping | Self::Close(_) => None,
        }
    }
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

/// Sends frames until the queue closes, the close frame is sent, or the client stalls.
pub(super) async fn run(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Frame>,
    stall: Duration,
) -> Written {
    while let Some(frame) = queue.recv().await {
        let is_last = matches!(frame, Frame::Close(_));
        let sent = tokio::time::timeout(stall, async {
            let mut weights = Vec::new();
            weights.extend(frame.weight());
            sink.feed(message(frame)).await?;
            // Queued frames are sent together.
            let mut was_last = is_last;
            while !was_last && let Ok(frame) = queue.try_recv() {
                was_last = matches!(frame, Frame::Close(_));
                weights.extend(frame.weight());
                sink.feed(message(frame)).await?;
            }
            sink.flush().await.map(|()| was_last)
        });
        match sent.await {
            Ok(Ok(true)) => return Written::All,
            Ok(Ok(false)) => {}
            Ok(Err(_broken)) => return Written::Broken,
            Err(_elapsed) => return Written::Stalled,
        }
    }
    Written::All
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) | Frame::Answer(text, _) => Message::Text(Utf8Bytes::from(text)),
        Frame::Ping => Message::Ping(Vec::new().into()),
        Frame::Close(close) => Message::Close(Some(close.frame())),
    }
}
