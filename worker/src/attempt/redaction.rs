//! Removes secrets where it cannot hold up the heartbeat.
//!
//! A text may take a hundred times as long as another of its length, and what a hostile program
//! writes does. The runtime renews the lease meanwhile, so all but short texts are redacted on
//! threads for blocking work. The caller waits, so the order stays, and nothing more is read from
//! the pipe.

use std::{borrow::Cow, panic};

use callboard::secret::{MASK, RedactingLines, Redactor};
use secrecy::{ExposeSecret as _, SecretString};

/// Up to so many bytes are redacted at once, which takes a millisecond at most.
const SHORT_BYTES: usize = 1024;
/// About how many bytes of spellings are made of each byte of a secret.
const SPELLINGS: usize = 64;

/// Does work on so many bytes on a thread where that may take its time, unless they are few.
pub(super) async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= SHORT_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => panic::resume_unwind(panic),
        // The runtime ends, and this task with it.
        Err(Err(_)) => std::future::pending().await,
    }
}

/// Makes the redactor of these secrets.
pub(super) async fn redactor(secrets: Vec<SecretString>) -> Redactor {
    let bytes: usize = secrets.iter().map(|secret| secret.expose_secret().len()).sum();
    aside(bytes * SPELLINGS, move || Redactor::new(&secrets)).await
}

/// The text of bytes, with its secrets: UTF-8 with U+FFFD for what is not, or Latin-1 if more
/// secrets are found in that.
pub(super) fn decoded<'a>(bytes: &'a [u8], redactor: &Redactor) -> Cow<'a, str> {
    let as_utf_8 = match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => return Cow::Borrowed(text),
        Cow::Owned(text) => text,
    };
    let as_latin_1: String = bytes.iter().copied().map(char::from).collect();
    let masks = |text: &str| redactor.redact(text).matches(MASK).count();
    if masks(&as_latin_1) > masks(&as_utf_8) { as_latin_1.into() } else { as_utf_8.into() }
}

/// Takes the next bytes of a stream of lines, and returns the lines that are now complete.
pub(super) async fn feed(lines: &mut RedactingLines, bytes: Vec<u8>) -> Vec<String> {
    on(lines, bytes.len(), move |lines| lines.feed(&bytes)).await
}

/// Returns the lines that wait, and the text that has no line end yet.
pub(super) async fn unfinished(lines: &mut RedactingLines) -> Vec<String> {
    on(lines, 0, RedactingLines::unfinished).await
}

/// Ends a stream and returns what is left.
pub(super) async fn finish(lines: RedactingLines) -> Vec<String> {
    aside(lines.held_bytes(), move || lines.finish()).await
}

async fn on(
    lines: &mut RedactingLines,
    bytes: usize,
    work: impl FnOnce(&mut RedactingLines) -> Vec<String> + Send + 'static,
) -> Vec<String> {
    let bytes = bytes + lines.held_bytes();
    let mut taken = std::mem::replace(lines, RedactingLines::new(Redactor::new([])));
    let work = move || {
        let found = work(&mut taken);
        (taken, found)
    };
    let (taken, found) = aside(bytes, work).await;
    *lines = taken;
    found
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    /// The only thread of the runtime is free while a long text is worked on, or the work would
    /// wait in vain.
    #[tokio::test]
    async fn the_runtime_goes_on_meanwhile() {
        let (sender, receiver) = mpsc::channel();
        let work = aside(SHORT_BYTES + 1, move || receiver.recv_timeout(Duration::from_mins(1)));
        let (heard, ()) = tokio::join!(work, async move { sender.send(()).unwrap() });
        assert_eq!(heard, Ok(()));
    }

    #[tokio::test]
    async fn lines_of_any_length_keep_their_order_and_what_has_begun() {
        let secret = "hunter2-hunter2".into();
        for size in [1, 100, SHORT_BYTES, 5 * SHORT_BYTES] {
            let text = format!("{}hunter2-\nhunter2{}\nend", "x".repeat(3000), "y".repeat(3000));
            let mut lines = RedactingLines::new(Redactor::new([&secret]));
            let mut shown = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                shown.extend(feed(&mut lines, chunk.to_vec()).await);
            }
            shown.extend(unfinished(&mut lines).await);
            shown.extend(finish(lines).await);
            let expected =
                [format!("{}***", "x".repeat(3000)), format!("***{}", "y".repeat(3000)), "end".into()];
            assert_eq!(shown, expected, "{size}");
        }
    }

    #[tokio::test]
    #[should_panic(expected = "a bug")]
    async fn a_panic_is_not_swallowed() {
        aside(SHORT_BYTES + 1, || panic!("a bug")).await;
    }
}
