//! The writing half of a socket: takes frames off the bounded queue and sends them, or gives the client up.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures::{SinkExt as _, stream::SplitSink};
use tokio::sync::mpsc;

use super::Close;

/// What is sent.
#[derive(Debug)]
pub(super) enum Frame {
    /// A message.
    Text(String),
    /// A ping of WebSocket itself, which browsers answer by themselves.
    Ping,
    /// The last one.
    Close(Close),
}

/// How writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The closing frame is out, or nobody has anything more to say.
    All,
    /// The connection broke.
    Broken,
    /// The client took nothing for too long.
    Stalled,
}

/// Sends until the queue closes, a closing frame is out, or the client stops taking.
pub(super) async fn run(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Frame>,
    stall: Duration,
) -> Written {
    while let Some(frame) = queue.recv().await {
        let is_last = matches!(frame, Frame::Close(_));
        let sent = tokio::time::timeout(stall, async {
            sink.feed(message(frame)).await?;
            // What waits goes out together.
            let mut was_last = is_last;
            while !was_last && let Ok(frame) = queue.try_recv() {
                was_last = matches!(frame, Frame::Close(_));
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
        Frame::Text(text) => Message::Text(Utf8Bytes::from(text)),
        Frame::Ping => Message::Ping(Vec::new().into()),
        Frame::Close(close) => Message::Close(Some(close.frame())),
    }
}
