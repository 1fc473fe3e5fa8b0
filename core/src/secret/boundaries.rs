//! Where lines and characters end in bytes that may be no text. Pure.

/// The line without the carriage returns at its end.
pub(super) fn without_returns(line: &[u8]) -> &[u8] {
    &line[..line.len() - line.iter().rev().take_while(|byte| **byte == b'\r').count()]
}

pub(super) fn find_line_end(held: &[u8], from: usize) -> Option<usize> {
    memchr::memchr(b'\n', held.get(from..)?).map(|at| from + at)
}

/// Number of bytes at the end that begin a UTF-8 character and do not complete it.
pub(super) fn unfinished_character(bytes: &[u8]) -> usize {
    let is_begun = |length: &usize| {
        let end = &bytes[bytes.len() - length..];
        end[0] & 0xC0 == 0xC0 && str::from_utf8(end).is_err_and(|error| error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(is_begun).unwrap_or(0)
}

/// Returns the last boundary between UTF-8 characters at or before `at`, or `at` itself if the
/// bytes are not UTF-8.
pub(super) fn char_boundary(bytes: &[u8], at: usize) -> usize {
    let is_boundary = |index: &usize| bytes.get(*index).is_none_or(|byte| byte & 0xC0 != 0x80);
    (at.saturating_sub(3)..=at).rev().find(is_boundary).unwrap_or(at)
}
