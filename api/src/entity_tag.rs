//! Compares a client's `If-None-Match` with the entity tag of a file (RFC 9110, section 13.1.2).

use axum::http::{HeaderMap, header};

/// Whether the client has the file with this tag already: it names the tag in a list, as a weak
/// tag (proxies that compress make tags weak), or any by `*`.
pub(crate) fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let lists = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_every_form() {
        let knows = |lists: &[&str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(header::IF_NONE_MATCH, list.parse().unwrap());
            }
            is_known(&headers, "\"a\"")
        };
        for fine in [&["\"a\""][..], &["W/\"a\""], &["*"], &["\"b\", W/\"a\""], &["\"b\"", "\"a\""]] {
            assert!(knows(fine), "{fine:?}");
        }
        for other in [&[][..], &[""], &["a"], &["\"b\""], &["w/\"a\""], &["\"a\"x"]] {
            assert!(!knows(other), "{other:?}");
        }
    }
}
