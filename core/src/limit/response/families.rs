//! Families of limit headers: `x-ratelimit-*` with and without a suffix, `ratelimit-*`, and
//! `RateLimit` of the later drafts.

use sfv::{BareItem, Dictionary, Item, List, ListEntry, Parameters, Parser};

use super::{OBSERVED_MAX, Observed, ServiceResponse, values};

const DEFAULT: &str = "default";
/// Longest name kept, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Returns every limit that the headers name, in their order.
pub(super) fn limits(answer: &ServiceResponse<'_>) -> Vec<Observed> {
    let mut found = Found::default();
    by_field(answer, &mut found);
    structured(answer, &mut found);
    found.0.retain(Observed::says_something);
    found.0.truncate(OBSERVED_MAX);
    found.0
}

impl Observed {
    /// False for a limit without numbers, and for nothing left without a limit or an end. Proxies
    /// and incomplete services send these.
    fn says_something(&self) -> bool {
        match (self.limit, self.remaining, self.resets_at) {
            (None, None, _) | (None, Some(0), None) => false,
            (Some(_), _, _) | (None, Some(_), _) => true,
        }
    }
}

#[derive(Default)]
struct Found(Vec<Observed>);

impl Found {
    fn named(&mut self, name: &str) -> &mut Observed {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let place = self.0.iter().position(|limit| limit.name == name).unwrap_or_else(|| {
            self.0.push(Observed { name, limit: None, remaining: None, resets_at: None });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}

/// Reads families with one header for each of limit, remaining and reset.
fn by_field(answer: &ServiceResponse<'_>, found: &mut Found) {
    let resource = answer.header("x-ratelimit-resource").filter(|name| !name.is_empty());
    for (header, value) in answer.headers {
        let Some((field, suffix)) = field_of(header) else { continue };
        let name = suffix.or(resource).unwrap_or(DEFAULT);
        match field {
            "limit" => {
                if let Some(limit) = values::count(value).filter(|limit| *limit > 0) {
                    found.named(name).limit = Some(limit);
                }
            }
            "remaining" => {
                if let Some(remaining) = values::count(value) {
                    found.named(name).remaining = Some(remaining);
                }
            }
            _ => {
                if let Some(resets_at) = values::reset(value, answer) {
                    found.named(name).resets_at = Some(resets_at);
                }
            }
        }
    }
}

/// Splits a header into its field and the limit's name: `x-ratelimit-reset-tokens` is the reset of
/// `tokens`.
fn field_of(header: &str) -> Option<(&str, Option<&str>)> {
    let rest = ["x-ratelimit-", "x-rate-limit-", "ratelimit-"]
        .into_iter()
        .find_map(|prefix| header.strip_prefix(prefix))?;
    let (field, suffix) = rest.split_once('-').map_or((rest, None), |(field, name)| (field, Some(name)));
    let is_known = ["limit", "remaining", "reset"].contains(&field);
    is_known.then_some((field, suffix.filter(|suffix| !suffix.is_empty())))
}

/// Reads `RateLimit` and `RateLimit-Policy`: a dictionary in draft 7, lists since draft 8.
fn structured(answer: &ServiceResponse<'_>, found: &mut Found) {
    if let Some(value) = answer.header("ratelimit") {
        let entries = Parser::new(value).parse::<Dictionary>();
        match entries {
            Ok(entries) if entries.contains_key("remaining") => draft_7(&entries, answer, found),
            Ok(_) | Err(_) => each(value, |name, parameters| {
                let limit = found.named(name);
                limit.remaining = integer(parameters, "r").filter(|remaining| *remaining >= 0);
                limit.resets_at = integer(parameters, "t").and_then(|wait| after(wait, answer));
            }),
        }
    }
    if let Some(value) = answer.header("ratelimit-policy") {
        each(value, |name, parameters| {
            // A policy without a report applies but is not near its limit. Only reported ones are
            // kept.
            if let Some(limit) = found.0.iter_mut().find(|limit| limit.name == name) {
                limit.limit = integer(parameters, "q").filter(|quota| *quota > 0).or(limit.limit);
            }
        });
    }
}

fn draft_7(entries: &Dictionary, answer: &ServiceResponse<'_>, found: &mut Found) {
    let field = |name: &str| match entries.get(name) {
        Some(ListEntry::Item(item)) => whole(&item.bare_item),
        Some(ListEntry::InnerList(_)) | None => None,
    };
    let limit = found.named(DEFAULT);
    limit.limit = field("limit").filter(|limit| *limit > 0);
    limit.remaining = field("remaining").filter(|remaining| *remaining >= 0);
    limit.resets_at = field("reset").and_then(|wait| after(wait, answer));
}

/// Passes on each named item of a list with its parameters. Ignores a value that is not a list.
fn each(value: &str, mut tell: impl FnMut(&str, &Parameters)) {
    let Ok(entries) = Parser::new(value).parse::<List>() else { return };
    for entry in &entries {
        if let ListEntry::Item(Item { bare_item, params }) = entry {
            let name = bare_item.as_string().map(sfv::StringRef::as_str);
            if let Some(name) = name.or_else(|| bare_item.as_token().map(sfv::TokenRef::as_str)) {
                tell(name, params);
            }
        }
    }
}

fn integer(parameters: &Parameters, name: &str) -> Option<i64> {
    parameters.get(name).and_then(whole)
}

fn whole(item: &BareItem) -> Option<i64> {
    item.as_integer().map(i64::from)
}

fn after(seconds: i64, answer: &ServiceResponse<'_>) -> Option<crate::clock::Time> {
    values::ahead(std::time::Duration::from_secs(u64::try_from(seconds).ok()?), answer)
}
