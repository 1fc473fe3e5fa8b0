//! The body of an answer, which keeps its place among the large answers until it has been sent.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};

use crate::allowance::LargePlace;

/// Bytes of one frame. The connection asks for the next one when it has room.
const FRAME_BYTES: usize = 64 * 1024;

/// A text in frames, with its place until the last one is taken.
#[derive(Debug)]
pub(super) struct WeighedBody {
    rest: Bytes,
    place: Option<LargePlace>,
}

impl WeighedBody {
    pub(super) fn new(text: String, place: Option<LargePlace>) -> Self {
        Self { rest: text.into(), place }
    }
}

impl HttpBody for WeighedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(FRAME_BYTES);
        let frame = self.rest.split_to(length);
        if self.rest.is_empty() {
            self.place = None;
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
