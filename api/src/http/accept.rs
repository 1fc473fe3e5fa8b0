//! Chooses the media type of a response from the `Accept` headers.

use axum::http::{HeaderMap, HeaderValue, header::ACCEPT};

use crate::auth::Transport;

/// Media types of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status says whether the operation was run.
    GraphqlJson,
    /// `application/json`: 200 for every well-formed request.
    Json,
    /// `text/event-stream`: GraphQL over server-sent events, distinct connections mode.
    EventStream,
}

impl Media {
    /// The transport of an operation that is answered in this type.
    pub(super) const fn transport(self) -> Transport {
        match self {
            Self::GraphqlJson | Self::Json => Transport::Http,
            Self::EventStream => Transport::EventStream,
        }
    }
}

/// Returns the client's preferred media type, by weight and then by its order. Without a header it
/// is JSON, as old clients expect. `None` if no type is acceptable.
pub(super) fn choose(headers: &HeaderMap) -> Option<Media> {
    let mut ranges = Vec::new();
    for value in headers.get_all(ACCEPT) {
        let text = value.to_str().ok()?;
        ranges.extend(text.split(',').filter_map(range));
    }
    if ranges.is_empty() && headers.get(ACCEPT).is_none_or(HeaderValue::is_empty) {
        return Some(Media::Json);
    }
    let refused: Vec<Media> = ranges
        .iter()
        .filter(|(range, weight)| *weight == 0 && !range.contains('*'))
        .filter_map(|(range, _)| media(range))
        .collect();
    // A stable sort keeps ranges of equal weight in the client's order.
    ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let wanted = ranges.iter().filter(|(_, weight)| *weight > 0).filter_map(|(range, _)| media(range));
    wanted.into_iter().find(|media| !refused.contains(media))
}

/// Parses a media range and its weight in thousandths.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';');
    let range = parts.next()?.trim().to_ascii_lowercase();
    let weight = parts
        .find_map(|part| part.trim().to_ascii_lowercase().strip_prefix("q=").map(str::to_owned))
        .map_or(Some(1.0), |text| text.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight)))?;
    (!range.is_empty()).then_some((range, (weight * 1000.0) as u16))
}

fn media(range: &str) -> Option<Media> {
    match range {
        "application/graphql-response+json" => Some(Media::GraphqlJson),
        "application/json" | "application/*" | "*/*" => Some(Media::Json),
        "text/event-stream" | "text/*" => Some(Media::EventStream),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        choose(&headers)
    }

    #[test]
    fn the_preferred_media_type_is_chosen() {
        use Media::{EventStream, GraphqlJson, Json};
        assert_eq!(choose(&HeaderMap::new()), Some(Json));
        for (accept, media) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("Application/JSON; charset=utf-8", Some(Json)),
            ("application/graphql-response+json", Some(GraphqlJson)),
            ("application/graphql-response+json, application/json;q=0.9", Some(GraphqlJson)),
            ("application/json;q=0.9, application/graphql-response+json", Some(GraphqlJson)),
            ("application/json, text/event-stream", Some(Json)),
            ("text/event-stream", Some(EventStream)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some(Json)),
            ("application/json;q=0, */*", None),
            ("application/json;q=0, application/graphql-response+json;q=0.1", Some(GraphqlJson)),
            ("text/html", None),
            ("application/json;q=x", None),
            ("image/png;q=0.1, application/json;q=0", None),
        ] {
            assert_eq!(of(accept), media, "{accept}");
        }
    }
}
