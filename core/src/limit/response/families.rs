//! Families of limit headers: a header for each field (`x-ratelimit-remaining-tokens`,
//! `anthropic-ratelimit-tokens-remaining`), one header for all (`32/40`), and `RateLimit` of the
//! later drafts.

use sfv::{BareItem, Dictionary, Item, List, ListEntry, Parameters, Parser};

use super::{OBSERVED_MAX, Observed, ServiceResponse, values};

const DEFAULT: &str = "default";
/// Longest name kept, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Returns every limit that the headers name, in their order.
pub(super) fn limits(answer: &ServiceResponse<'_>) -> Vec<Observed> {
    let mut found = Found::default();
    by_field(answer, &mut found);
    in_one(answer, &mut found);
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
    // GitHub names the resource, Discord the bucket.
    let resource = ["x-ratelimit-resource", "x-ratelimit-bucket"]
        .into_iter()
        .find_map(|name| answer.header(name).filter(|name| !name.is_empty()));
    for (header, value) in answer.headers {
        let Some((field, named)) = field_of(header) else { continue };
        let name = named.or(resource).unwrap_or(DEFAULT);
        match field {
            "remaining" if named == Some("resource") => by_resource(value, found),
            "reset-after" => {
                if let Some(resets_at) = values::retry_after(value, answer) {
                    found.named(name).resets_at = Some(resets_at);
                }
            }
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

/// The fields of the families, the longer of two that begin alike first.
const FIELDS: [&str; 4] = ["limit", "remaining", "reset-after", "reset"];

/// Splits a header into its field and the limit's name, in either order: `x-ratelimit-reset-tokens`
/// and `anthropic-ratelimit-tokens-reset` are the reset of `tokens`.
fn field_of(header: &str) -> Option<(&str, Option<&str>)> {
    if matches!(header, "x-rate-limit" | "x-ratelimit") {
        return Some(("limit", None));
    }
    let rest = after_family(header)?;
    FIELDS.iter().find_map(|field| {
        if rest == *field {
            return Some((*field, None));
        }
        let first = rest.strip_prefix(field).and_then(|rest| rest.strip_prefix('-'));
        let last = || rest.strip_suffix(field).and_then(|rest| rest.strip_suffix('-'));
        let name = first.or_else(last).filter(|name| !name.is_empty())?;
        Some((*field, Some(name)))
    })
}

/// What follows the family's name, whatever prefix is before it: `x-`, `anthropic-`, `x-ms-`.
fn after_family(header: &str) -> Option<&str> {
    // X counts an app's and a user's day.
    if let Some(rest) =
        ["x-app-limit-", "x-user-limit-"].iter().find_map(|prefix| header.strip_prefix(prefix))
    {
        return Some(rest);
    }
    ["ratelimit-", "rate-limit-"].into_iter().find_map(|family| {
        let start = header.find(family)?;
        let is_whole = start == 0 || header[..start].ends_with('-');
        is_whole.then(|| &header[start + family.len()..])
    })
}

/// Azure's `x-ms-ratelimit-remaining-resource: Microsoft.Compute/HighCostGet;107,...`.
fn by_resource(value: &str, found: &mut Found) {
    for (name, remaining) in value.split(',').filter_map(|entry| entry.rsplit_once(';')) {
        if let Some(remaining) = values::count(remaining) {
            found.named(name.trim()).remaining = Some(remaining);
        }
    }
}

/// Reads headers that tell what is used of the whole: Shopify's `32/40`, Salesforce's
/// `api-usage=18/5000`.
fn in_one(answer: &ServiceResponse<'_>, found: &mut Found) {
    for header in ["x-shopify-shop-api-call-limit", "sforce-limit-info"] {
        for entry in answer.header(header).unwrap_or_default().split(',') {
            let (name, part) = entry.split_once('=').unwrap_or((DEFAULT, entry));
            let Some((used, limit)) = part.split_once('/') else { continue };
            let Some((used, limit)) =
                values::count(used).zip(values::count(limit)).filter(|(_, limit)| *limit > 0)
            else {
                continue;
            };
            let observed = found.named(name.trim());
            (observed.limit, observed.remaining) = (Some(limit), Some((limit - used).max(0)));
        }
    }
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
