//! The messages of one subscription. No cursor goes past what could not be loaded.
//!
//! While Postgres is unreachable, a message is repeated for at most [`REPEAT_MAX`]. Everything else
//! that is UNAVAILABLE, such as a statement that takes too long, could go on for ever, so it ends
//! the stream at once. The client then subscribes again with the last cursor that it has.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{PathSegment, Response, ServerError};
use callboard::store::StoreError;
use futures::{FutureExt as _, Stream, StreamExt as _, stream, stream::BoxStream};
use tokio::time::Instant;

use super::{
    RequestId,
    answer::Answer,
    finish::{finish, refusal_of},
};
use crate::{
    allowance::Allowance,
    error::{ApiError, Code, classify, store_error},
    repeat::Repeat,
};

/// Pause before a message of which a part could not be loaded is tried again.
const REPEAT_AFTER: Duration = Duration::from_millis(500);
/// How long a message is repeated before its stream ends with an error.
pub(super) const REPEAT_MAX: Duration = Duration::from_mins(1);

/// The error of a message that would be larger than an answer may be.
const TOO_LARGE: &str = "The next message would be larger than 16 MiB, so the stream ends before it. Select less: leave \
     `input` and `result` out, and read them by `nodes`. Then subscribe again, with the last cursor as `after`.";

/// The messages of a subscription, made from its responses.
pub(super) struct Messages {
    pub(super) responses: BoxStream<'static, Response>,
    pub(super) repeat: Arc<Repeat>,
    pub(super) repeat_max: Duration,
    /// Whether its errors propose no names of the schema.
    pub(super) hides_names: bool,
    /// What each message may take.
    pub(super) allowance: Arc<Allowance>,
    pub(super) id: RequestId,
    pub(super) span: tracing::Span,
}

/// What happens to a response.
enum Fate {
    Sent,
    /// It is left out, and its message is made again.
    Repeated,
    /// The stream ends with this error.
    Ended(ApiError),
}

impl Messages {
    /// The messages as a stream, with `held` kept until its end.
    pub(super) fn into_stream<T: Send>(self, held: T) -> impl Stream<Item = Answer> + Send + use<T> {
        stream::unfold(Some((self, held)), |going| async move {
            let (mut messages, held) = going?;
            let (response, goes_on) = messages.next().await?;
            let answer = Answer::new(response, &messages.allowance);
            Some((answer, goes_on.then_some((messages, held))))
        })
    }

    /// The next message, and whether the stream goes on after it.
    async fn next(&mut self) -> Option<(Response, bool)> {
        let mut failing_since = None;
        loop {
            let Ok(response) = AssertUnwindSafe(self.responses.next()).catch_unwind().await else {
                // The panic hook has logged the panic and its location.
                return Some((self.refuse(&super::engine::internal()), false));
            };
            let mut response = response?;
            if self.hides_names {
                super::engine::hide_names(&mut response.errors);
            }
            match self.fate(&response, *failing_since.get_or_insert_with(Instant::now)) {
                Fate::Sent => {
                    let (span, id) = (self.span.clone(), &self.id);
                    return Some((span.in_scope(|| finish(response, id)), true));
                }
                Fate::Repeated => {
                    // The message is weighed anew when it is made again.
                    drop(self.allowance.take());
                    tokio::time::sleep(REPEAT_AFTER).await;
                }
                Fate::Ended(error) => return Some((self.refuse(&error), false)),
            }
        }
    }

    fn refuse(&self, error: &ApiError) -> Response {
        self.span.in_scope(|| refusal_of(error, &self.id))
    }

    fn fate(&self, response: &Response, failing_since: Instant) -> Fate {
        // It would be lost if the stream went on.
        if let Some(error) = response.errors.iter().find(|error| Code::of(error) == Some(Code::TooComplex))
            && self.repeat.is_given()
        {
            tracing::warn!(parent: &self.span, error = error.message, "a message is too large");
            return Fate::Ended(ApiError::new(Code::TooComplex, TOO_LARGE));
        }
        let is_missing = |error: &&ServerError| classify(error).code == Code::Unavailable;
        let is_outage = |error: &ServerError| matches!(store_error(error), Some(StoreError::Unavailable(_)));
        let mut missing = response.errors.iter().filter(is_missing);
        let Some(first) = missing.next() else { return Fate::Sent };
        // Nothing was given that could be repeated when the stream itself could not be opened.
        if !self.repeat.is_given() {
            return Fate::Sent;
        }
        let lasting = if is_outage(first) { missing.find(|error| !is_outage(error)) } else { Some(first) };
        let is_over = failing_since.elapsed() >= self.repeat_max;
        if lasting.is_none() && !is_over && self.repeat.again() {
            tracing::debug!(parent: &self.span, error = first.message, "repeating a message that could not be loaded");
            return Fate::Repeated;
        }
        let error = lasting.unwrap_or(first);
        tracing::warn!(parent: &self.span, error = error.message, "a message could not be loaded");
        Fate::Ended(not_loaded(error))
    }
}

fn not_loaded(error: &ServerError) -> ApiError {
    let segment = |segment: &PathSegment| match segment {
        PathSegment::Field(name) => name.clone(),
        PathSegment::Index(index) => index.to_string(),
    };
    let path: Vec<String> = error.path.iter().map(segment).collect();
    let message = format!(
        "`{}` of the next message could not be loaded, so the stream ends before that message. Subscribe \
         again, with the last cursor as `after`, to continue without a gap.",
        path.join(".")
    );
    ApiError::new(Code::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use async_graphql::{Context, EmptyMutation, Object, Schema, Subscription};

    use super::*;
    use crate::{
        allowance::{ANSWER_BYTES_MAX, Allowances},
        graphql::weigh::Weigh,
        operation::Written,
    };

    type MakeError = fn() -> StoreError;

    /// An item of which a part fails.
    #[derive(Clone)]
    struct Item {
        cursor: i32,
    }

    #[derive(Clone, Copy)]
    struct Failing {
        at: i32,
        with: MakeError,
    }

    #[Object]
    impl Item {
        async fn cursor(&self) -> i32 {
            self.cursor
        }

        async fn text(&self) -> String {
            "x".repeat(ANSWER_BYTES_MAX / 5 * 2)
        }

        async fn part(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<i32>> {
            let failing = ctx.data_opt::<Failing>()?;
            Some(if failing.at == self.cursor { Err((failing.with)().into()) } else { Ok(self.cursor) })
        }
    }

    struct Items;

    #[Object(name = "Query")]
    impl Items {
        async fn one(&self) -> i32 {
            1
        }
    }

    #[Subscription(name = "Subscription")]
    impl Items {
        async fn items(&self, ctx: &Context<'_>) -> impl Stream<Item = Item> + use<> {
            Repeat::each(ctx, stream::iter((1..=3).map(|cursor| Item { cursor })))
        }
    }

    async fn received(failing: Failing, repeat_max: Duration) -> Vec<serde_json::Value> {
        received_of("cursor part", failing, repeat_max).await
    }

    async fn received_of(fields: &str, failing: Failing, repeat_max: Duration) -> Vec<serde_json::Value> {
        let schema = Schema::build(Items, EmptyMutation, Items).extension(Weigh).data(failing).finish();
        let (repeat, allowance) = (Arc::<Repeat>::default(), Arc::new(Allowances::default().of(None)));
        let request = async_graphql::Request::new(format!("subscription {{ items {{ {fields} }} }}"));
        let request = request.data(Arc::clone(&repeat)).data(Arc::clone(&allowance));
        let messages = Messages {
            responses: schema.execute_stream(request).boxed(),
            repeat,
            repeat_max,
            hides_names: false,
            allowance,
            id: RequestId::draw(callboard::clock::IdSource),
            span: tracing::Span::none(),
        };
        let answers: Vec<Answer> = messages.into_stream(()).collect().await;
        answers.iter().map(|answer| serde_json::to_value(Written(answer)).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_stream_ends_with_an_error_before_what_cannot_be_loaded() {
        let outage = || StoreError::Unavailable(std::io::Error::other("gone").into());
        let contended = || StoreError::Contended(std::io::Error::other("timeout").into());
        let limit = Duration::from_millis(1200);
        let cases: [(MakeError, Duration, bool); 3] =
            [(outage, limit, true), (outage, Duration::ZERO, false), (contended, REPEAT_MAX, false)];
        for (with, repeat_max, is_repeated) in cases {
            let began = Instant::now();
            let received = received(Failing { at: 2, with }, repeat_max).await;
            assert_eq!(began.elapsed() >= repeat_max.min(limit), is_repeated || repeat_max.is_zero());
            assert_eq!(received.len(), 2, "{received:?}");
            assert_eq!(received[0]["data"]["items"]["cursor"], 1);
            let error = &received[1]["errors"][0];
            assert_eq!(
                (&received[1]["data"], &error["path"]),
                (&serde_json::Value::Null, &serde_json::Value::Null)
            );
            assert_eq!(error["extensions"]["code"], "UNAVAILABLE");
            assert!(error["message"].as_str().unwrap().starts_with("`items.part` of"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_message_is_weighed_anew_when_it_is_repeated() {
        let outage = || StoreError::Unavailable(std::io::Error::other("gone").into());
        let failing = Failing { at: 1, with: outage };
        // Three times the message would be more than an answer may be.
        let received = received_of("cursor text part", failing, Duration::from_millis(1200)).await;
        assert_eq!(received.len(), 1);
        assert_eq!(received[0]["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    }

    #[tokio::test]
    async fn what_is_wrong_for_ever_does_not_keep_the_client_from_what_follows() {
        let corrupt = || StoreError::corrupt("jobs", "state", &"x");
        let received = received(Failing { at: 2, with: corrupt }, REPEAT_MAX).await;
        let cursors: Vec<_> = received.iter().map(|each| each["data"]["items"]["cursor"].clone()).collect();
        assert_eq!(cursors, [1, 2, 3]);
        assert_eq!(received[1]["errors"][0]["extensions"]["code"], "INTERNAL");
    }
}
