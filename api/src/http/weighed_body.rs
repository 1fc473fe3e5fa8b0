//! The body of an answer, which keeps its slot among the large answers until it has been sent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};

use crate::allowance::LargeAnswerSlot;

/// Bytes of one frame. The connection asks for the next one when it has room.
const FRAME_BYTES: usize = 64 * 1024;
/// Least pace at which a client takes a large answer, in bytes a second, after a time to begin. Its
/// slot would otherwise be taken for as long as a client likes.
const PACE: usize = 128 * 1024;
const BEGIN: Duration = Duration::from_secs(30);

/// A text in frames, with its slot until the last one is taken.
#[derive(Debug)]
pub(super) struct WeighedBody {
    rest: Bytes,
    slot: Option<LargeAnswerSlot>,
    until: Instant,
}

impl WeighedBody {
    pub(super) fn new(text: String, slot: Option<LargeAnswerSlot>) -> Self {
        let until = Instant::now() + BEGIN + Duration::from_secs((text.len() / PACE) as u64);
        Self { rest: text.into(), slot, until }
    }
}

impl HttpBody for WeighedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.slot.is_some() && Instant::now() > self.until {
            self.slot = None;
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let length = self.rest.len().min(FRAME_BYTES);
        let frame = self.rest.split_to(length);
        if self.rest.is_empty() {
            self.slot = None;
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
