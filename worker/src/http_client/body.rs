//! A response's body: decompressed, decoded, without secrets, and small enough to be kept.
//!
//! What cannot be decoded is never a failure, because the request has had its effect.

use std::io::Read;

use callboard::{
    bounds::{RESULT_BYTES_MAX, RESULT_DEPTH_MAX},
    secret::{MASK, Redactor},
    text::{first_rounded, json_depth, parse_json, storable},
};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use ruzstd::decoding::{
    StreamingDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
use serde_json::Value;

/// Longest body, in bytes of its text. The rest is cut off, and `isTruncated` says so.
pub(super) const BODY_BYTES_MAX: usize = 512 * 1024;
/// Longest body, in bytes of JSON: the largest result, less room for the headers.
const BODY_JSON_BYTES_MAX: usize = RESULT_BYTES_MAX - 256 * 1024;
/// Most codings that are undone.
const CODINGS_MAX: usize = 4;

/// A body that was read.
#[derive(Debug)]
pub(super) struct Body {
    /// JSON if the response is JSON, and else text.
    pub(super) value: Value,
    pub(super) is_truncated: bool,
    /// What the reader should know, a sentence each.
    pub(super) notes: Vec<String>,
}

/// What the headers say of the body.
#[derive(Debug, Default)]
pub(super) struct BodyKind {
    /// `Content-Type`.
    pub(super) content_type: String,
    /// The codings of `Content-Encoding`, in the order in which they were applied.
    pub(super) codings: Vec<String>,
}

/// Bytes to read at most, so that every secret that begins in what is kept is seen whole.
pub(super) fn bytes_max(redactor: &Redactor) -> usize {
    BODY_BYTES_MAX + 4 * redactor.spelling_bytes_max()
}

impl Body {
    /// Reads `bytes`. `is_cut` says that the response has more.
    pub(super) fn read(mut bytes: Vec<u8>, mut is_cut: bool, kind: &BodyKind, redactor: &Redactor) -> Self {
        let mut notes = Vec::new();
        if !bytes.is_empty() {
            for coding in kind.codings.iter().rev().take(CODINGS_MAX) {
                match decompressed(coding, &bytes, bytes_max(redactor)) {
                    Some(Decompressed { bytes: found, is_broken: true, .. }) if found.is_empty() => {
                        notes.push(format!(
                            "The response is not {coding} as it says. It was kept as it came."
                        ));
                        break;
                    }
                    Some(Decompressed { bytes: found, is_cut: is_more, is_broken }) => {
                        if is_broken && !is_cut {
                            notes.push(format!(
                                "The response's {coding} data is broken. What could be read was kept."
                            ));
                        }
                        bytes = found;
                        is_cut |= is_more || is_broken;
                    }
                    // Not named here, because it may hold a secret in lower case.
                    None => notes.push("A coding of the response (content-encoding) is not known.".into()),
                }
            }
        }
        let text = read(&bytes, &kind.content_type, redactor);
        let mut body = Self { value: Value::Null, is_truncated: false, notes };
        if is_json(&kind.content_type)
            && !is_cut
            && text.len() <= BODY_BYTES_MAX
            && body.take_json(&text, redactor)
        {
            return body;
        }
        body.take_text(&text, is_cut, redactor);
        body
    }

    fn take_json(&mut self, text: &str, redactor: &Redactor) -> bool {
        // The result is an object around the body.
        if json_depth(text) >= RESULT_DEPTH_MAX {
            return self.is_no_json(&format!("is nested deeper than {} levels", RESULT_DEPTH_MAX - 1));
        }
        let Ok(value) = parse_json(text.as_bytes()) else {
            // Many servers send their JSON type with no body too.
            return !text.trim().is_empty() && self.is_no_json("cannot be read");
        };
        let value = redactor.redact_value(value);
        if value.to_string().len() > BODY_JSON_BYTES_MAX {
            return self.is_no_json("is too long with its numbers written out");
        }
        if let Some(number) = first_rounded(text) {
            self.notes.push(format!(
                "The response's JSON has the number {}, which a JSON reader rounds.",
                redactor.redact(number)
            ));
        }
        self.value = value;
        true
    }

    /// Says why what should be JSON is kept as text.
    fn is_no_json(&mut self, why: &str) -> bool {
        self.notes.push(format!("The response's JSON {why} and was kept as text."));
        false
    }

    fn take_text(&mut self, text: &str, is_cut: bool, redactor: &Redactor) {
        // The end of a cut text may be the beginning of a secret.
        let whole = if is_cut { redactor.settled_len(text.as_bytes()) } else { text.len() };
        let mut kept = redactor.redact_up_to(text, whole.min(BODY_BYTES_MAX));
        self.is_truncated = is_cut || text.len() > BODY_BYTES_MAX;
        let fitting = fitting(&kept);
        if fitting < kept.len() {
            kept.truncate(fitting);
            self.is_truncated = true;
        }
        if self.is_truncated {
            self.notes.push(format!("The response's body was cut to {} bytes.", kept.len()));
        }
        self.value = Value::String(kept);
    }
}

/// Length of the beginning of a text that is small enough as JSON.
fn fitting(text: &str) -> usize {
    let mut left = BODY_JSON_BYTES_MAX;
    for (index, c) in text.char_indices() {
        let length = match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            c if c < ' ' => 6,
            c => c.len_utf8(),
        };
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return index,
        }
    }
    text.len()
}

struct Decompressed {
    bytes: Vec<u8>,
    is_cut: bool,
    is_broken: bool,
}

/// Undoes one coding, up to `max` bytes. `None` for a coding that is not known.
fn decompressed(coding: &str, bytes: &[u8], max: usize) -> Option<Decompressed> {
    Some(match coding {
        "identity" => Decompressed { bytes: bytes.to_vec(), is_cut: false, is_broken: false },
        "gzip" | "x-gzip" => read_up_to(flate2::read::MultiGzDecoder::new(bytes), max),
        "deflate" if has_zlib_header(bytes) => read_up_to(flate2::read::ZlibDecoder::new(bytes), max),
        // Some servers leave the header out.
        "deflate" => read_up_to(flate2::read::DeflateDecoder::new(bytes), max),
        "br" => read_up_to(brotli_decompressor::Decompressor::new(bytes, 4096), max),
        "zstd" => zstd(bytes, max),
        _ => return None,
    })
}

/// All frames, one after another. Those that hold something else are skipped (RFC 8878, 3.1.2).
fn zstd(mut bytes: &[u8], max: usize) -> Decompressed {
    let mut all = Decompressed { bytes: Vec::new(), is_cut: false, is_broken: false };
    while !bytes.is_empty() && !all.is_cut && !all.is_broken {
        let left = max - all.bytes.len();
        match StreamingDecoder::new(&mut bytes).map(|frame| read_up_to(frame, left)) {
            Ok(frame) => {
                all.bytes.extend(frame.bytes);
                (all.is_cut, all.is_broken) = (frame.is_cut, frame.is_broken);
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => match bytes.get(length as usize..) {
                Some(rest) => bytes = rest,
                None => all.is_broken = true,
            },
            Err(_) => all.is_broken = true,
        }
    }
    all
}

fn has_zlib_header(bytes: &[u8]) -> bool {
    let [first, second, ..] = bytes else { return false };
    first & 0x0F == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0
}

fn read_up_to(reader: impl Read, max: usize) -> Decompressed {
    let mut bytes = Vec::new();
    let read = reader.take(max as u64 + 1).read_to_end(&mut bytes);
    let is_cut = bytes.len() > max;
    bytes.truncate(max);
    Decompressed { bytes, is_cut, is_broken: read.is_err() }
}

/// The text of the bytes. A server may name another encoding than that of what it repeats, so of
/// the readings that are likely, the one in which the most secrets are found is taken.
fn read(bytes: &[u8], content_type: &str, redactor: &Redactor) -> String {
    let encoding = encoding_of(bytes, content_type);
    let decoded = |encoding: &'static Encoding| storable(&encoding.decode(bytes).0).into_owned();
    let text = decoded(encoding);
    let is_utf_8 = std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    if bytes.is_ascii() || encoding == UTF_8 && is_utf_8 {
        return text;
    }
    let masks = |text: &str| redactor.redact(text).matches(MASK).count();
    let others = [UTF_8, WINDOWS_1252].into_iter().filter(|other| *other != encoding).map(decoded);
    let mut best = (masks(&text), text);
    for other in others {
        let found = masks(&other);
        if found > best.0 {
            best = (found, other);
        }
    }
    best.1
}

/// The encoding of the bytes: the `charset` of the content type, what an XML or HTML document says
/// of itself, UTF-8 if it is that, and for other text Windows-1252, as in browsers. A byte order
/// mark comes before all of them, and is not part of the text.
fn encoding_of(bytes: &[u8], content_type: &str) -> &'static Encoding {
    let named = charset(content_type).and_then(|name| encoding(name.as_bytes()));
    named.or_else(|| own_charset(bytes, content_type)).unwrap_or_else(|| {
        if is_json(content_type)
            && let &[first, second, ..] = bytes
        {
            // JSON begins with a character of ASCII (RFC 4627, 3).
            match (first, second) {
                (0, 1..) => return UTF_16BE,
                (1.., 0) => return UTF_16LE,
                (0, 0) | (1.., 1..) => {}
            }
        }
        let is_other = std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_some());
        if is_other && essence(content_type).starts_with("text/") { WINDOWS_1252 } else { UTF_8 }
    })
}

/// An encoding by its name. `None` also for names of those that no reader decodes any more.
fn encoding(name: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(name)
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether the content type is JSON: `application/json`, `text/json`, `application/problem+json`.
fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence.ends_with("/json") || essence.ends_with("/x-json") || essence.ends_with("+json")
}

fn charset(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charsets.next().map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
}

/// `<?xml encoding="..."?>` and `<meta charset="...">` in the first bytes. As in browsers, UTF-16
/// means UTF-8, because a text in UTF-16 could not have been read so far.
fn own_charset(bytes: &[u8], content_type: &str) -> Option<&'static Encoding> {
    let essence = essence(content_type);
    let key = if essence.ends_with("/xml") || essence.ends_with("+xml") {
        "encoding="
    } else if essence == "text/html" {
        "charset="
    } else {
        return None;
    };
    let start: String = bytes.iter().take(1024).map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let (_, rest) = start.split_once(key)?;
    let rest = rest.trim_start_matches(['"', '\'']);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)).unwrap_or(rest.len());
    let found = encoding(&rest.as_bytes()[..end])?;
    Some(if found == UTF_16LE || found == UTF_16BE { UTF_8 } else { found })
}
