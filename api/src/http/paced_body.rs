//! A body in small frames, of which what is large has to be read at a pace.
//!
//! A large answer has a slot until it has been sent, which would otherwise be taken for as long as
//! a client likes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};

use crate::allowance::LargeAnswerSlot;

/// Bytes of one frame. The connection asks for the next one when it has room.
const FRAME_BYTES: usize = 64 * 1024;
/// Least pace at which a client reads what is large, in bytes a second, after a time to begin.
const PACE: usize = 128 * 1024;
const BEGIN: Duration = Duration::from_secs(30);

/// One answer with its slot, or the events of a stream.
#[derive(Debug)]
pub(super) struct PacedBody {
    /// What follows the rest.
    source: Body,
    /// What is left of the answer or of the event that is being sent.
    rest: Bytes,
    /// When the last frame of the rest must have been asked for.
    until: Option<Instant>,
    /// The slot of an answer, until its last frame is taken.
    slot: Option<LargeAnswerSlot>,
}

impl PacedBody {
    /// Only an answer that has a slot has to be read at a pace.
    pub(super) fn of_answer(text: String, slot: Option<LargeAnswerSlot>) -> Self {
        let until = slot.as_ref().map(|_| until(text.len()));
        Self { source: Body::empty(), rest: text.into(), until, slot }
    }

    /// The stream of the events keeps their slots. Each event longer than a frame has to be read at
    /// a pace.
    pub(super) fn of_events(source: Body) -> Self {
        Self { source, rest: Bytes::new(), until: None, slot: None }
    }
}

fn until(bytes: usize) -> Instant {
    Instant::now() + BEGIN + Duration::from_secs((bytes / PACE) as u64)
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.source).poll_frame(context)?) else {
                return Poll::Ready(None);
            };
            let event = match frame.into_data() {
                Ok(event) => event,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            self.until = (event.len() > FRAME_BYTES).then(|| until(event.len()));
            self.rest = event;
        } else if self.until.is_some_and(|until| Instant::now() > until) {
            self.slot = None;
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::from(io::ErrorKind::TimedOut)))));
        }
        let length = self.rest.len().min(FRAME_BYTES);
        let frame = self.rest.split_to(length);
        if self.rest.is_empty() {
            self.slot = None;
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.source.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_has_to_be_read_at_a_pace() {
        let text = || "x".repeat(2 * FRAME_BYTES + 1);
        let bodies = [
            PacedBody::of_events(text().into()),
            PacedBody::of_answer(text(), Some(LargeAnswerSlot::default())),
            PacedBody::of_answer(text(), None),
        ];
        let context = &mut Context::from_waker(std::task::Waker::noop());
        for (mut body, is_paced) in bodies.into_iter().zip([true, true, false]) {
            for frame in [FRAME_BYTES, FRAME_BYTES, 1] {
                let Poll::Ready(Some(Ok(taken))) = Pin::new(&mut body).poll_frame(context) else {
                    panic!("a frame is there");
                };
                assert_eq!(taken.into_data().unwrap().len(), frame);
            }
            assert!(matches!(Pin::new(&mut body).poll_frame(context), Poll::Ready(None)));
            assert_eq!(body.until.is_some(), is_paced);
            body.rest = text().into();
            body.until = body.until.and_then(|_| Instant::now().checked_sub(Duration::from_secs(1)));
            let next = Pin::new(&mut body).poll_frame(context);
            assert_eq!(matches!(next, Poll::Ready(Some(Err(_)))), is_paced);
        }
    }
}
