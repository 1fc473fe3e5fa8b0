//! Which part of a file a request asks for: `Range` and `If-Range` of RFC 9110, section 14.
//!
//! One range of bytes is served. A request for several, in another unit or malformed gets the whole
//! file, which the RFC allows.

use axum::http::{HeaderMap, HeaderValue, header};

/// The part of a file to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The whole file.
    Whole,
    /// The bytes from `first` to `last`, both included.
    Range {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// No byte of the range exists.
    Unsatisfiable,
}

impl Part {
    /// The part that these headers ask for, of a file with this length and entity tag.
    pub(super) fn asked(headers: &HeaderMap, length: u64, tag: &HeaderValue) -> Self {
        if headers.get(header::IF_RANGE).is_some_and(|known| known != tag) {
            return Self::Whole;
        }
        let mut ranges = headers.get_all(header::RANGE).iter();
        let (Some(range), None) = (ranges.next(), ranges.next()) else { return Self::Whole };
        range.to_str().ok().and_then(|text| Self::parse(text, length)).unwrap_or(Self::Whole)
    }

    fn parse(text: &str, length: u64) -> Option<Self> {
        let (unit, range) = text.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let range = match (first, last) {
            ("", suffix) => {
                let suffix = number(suffix)?;
                (suffix > 0 && length > 0).then(|| (length.saturating_sub(suffix), length - 1))
            }
            (first, "") => {
                let first = number(first)?;
                (first < length).then(|| (first, length - 1))
            }
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                (first < length).then(|| (first, last.min(length - 1)))
            }
        };
        Some(range.map_or(Self::Unsatisfiable, |(first, last)| Self::Range { first, last }))
    }
}

/// A number of digits only. One too large to hold is beyond any file.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_every_range() {
        const HUGE: &str = "bytes=99999999999999999999-";
        let range = |first, last| Part::Range { first, last };
        for (text, length, part) in [
            ("bytes=0-", 10, range(0, 9)),
            ("bytes=0-0", 10, range(0, 0)),
            ("bytes=2-5", 10, range(2, 5)),
            ("BYTES=2-5", 10, range(2, 5)),
            ("bytes=9-9", 10, range(9, 9)),
            ("bytes=2-10", 10, range(2, 9)),
            ("bytes=2-99999999999999999999", 10, range(2, 9)),
            ("bytes=-1", 10, range(9, 9)),
            ("bytes=-10", 10, range(0, 9)),
            ("bytes=-11", 10, range(0, 9)),
            ("bytes=10-", 10, Part::Unsatisfiable),
            ("bytes=10-20", 10, Part::Unsatisfiable),
            (HUGE, 10, Part::Unsatisfiable),
            ("bytes=-0", 10, Part::Unsatisfiable),
            ("bytes=0-", 0, Part::Unsatisfiable),
            ("bytes=-5", 0, Part::Unsatisfiable),
            ("bytes=5-2", 10, Part::Whole),
            ("bytes=-", 10, Part::Whole),
            ("bytes=a-b", 10, Part::Whole),
            ("bytes=+1-2", 10, Part::Whole),
            ("bytes=0-1,3-4", 10, Part::Whole),
            ("lines=0-1", 10, Part::Whole),
            ("bytes", 10, Part::Whole),
            ("", 10, Part::Whole),
        ] {
            let tag = HeaderValue::from_static("\"tag\"");
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(text));
            assert_eq!(Part::asked(&headers, length, &tag), part, "{text} of {length}");
            headers.insert(header::IF_RANGE, tag.clone());
            assert_eq!(Part::asked(&headers, length, &tag), part, "{text} of {length}");
            for other in ["\"other\"", "W/\"tag\"", "Sun, 29 Nov 2026 00:00:00 GMT"] {
                headers.insert(header::IF_RANGE, HeaderValue::from_static(other));
                assert_eq!(Part::asked(&headers, length, &tag), Part::Whole, "{text} if {other}");
            }
        }
        assert_eq!(Part::asked(&HeaderMap::new(), 10, &HeaderValue::from_static("\"t\"")), Part::Whole);
    }
}
