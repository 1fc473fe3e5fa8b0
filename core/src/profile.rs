//! A profile, which is one browser identity: a Chrome user-data directory, its variables and
//! secrets.
//!
//! Pure: the value and its rules. Stored by `store::catalogue::profiles`, composed into commands by
//! `compose`.

use std::collections::BTreeMap;

use crate::{
    clock::Time,
    ids::{ProfileId, ProxyId},
    limit::Cap,
    refusal::Refusal,
};

/// Most variables or secrets of one profile.
pub const VARIABLES_MAX: usize = 100;
/// Longest path of a profile directory below the profile root, in bytes.
pub const PATH_BYTES_MAX: usize = 400;

/// A browser identity as the catalogue keeps it. Its secrets are kept apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// Unique among profiles.
    pub name: String,
    /// Path below the worker's profile root. See [`check_profile_path`].
    pub chrome_profile_path: String,
    /// For people.
    pub description: Option<String>,
    /// Sorted, each once.
    pub labels: Vec<String>,
    /// Plain variables that commands may use.
    pub environment: BTreeMap<String, String>,
    /// How the next proxy is chosen among the profile's.
    pub proxy_selection: ProxySelection,
    /// How many attempts may start on it in a day or a month.
    pub caps: Vec<Cap>,
    /// Rises with every change.
    pub version: i32,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// How an attempt's proxy is chosen among a profile's own, which are in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxySelection {
    /// The first one that is not known to be down.
    #[default]
    FirstHealthy,
    /// Each in rotation, from attempt to attempt.
    RoundRobin,
    /// The one with the fewest running jobs.
    LeastBusy,
}

impl ProxySelection {
    /// Picks the proxy of an attempt from `proxies`, which are in order of preference. `busy`
    /// counts the attempts on a proxy, `last` is the one that the profile chose last. If all are
    /// out, picks the one of the least `fallback_rank`, because without a proxy the attempt would
    /// show the worker's own address. Returns `None` only for an empty list.
    pub fn pick<Despair: Ord>(
        self,
        proxies: &[ProxyId],
        is_out: impl Fn(&ProxyId) -> bool,
        busy: impl Fn(&ProxyId) -> i64,
        last: Option<ProxyId>,
        fallback_rank: impl Fn(&ProxyId) -> Despair,
    ) -> Option<ProxyId> {
        let mut fit = proxies.iter().filter(|id| !is_out(id));
        let picked = match self {
            Self::FirstHealthy => fit.next(),
            Self::RoundRobin => {
                let after = proxies.iter().position(|id| Some(*id) == last).map_or(0, |place| place + 1);
                let (before, next) = proxies.split_at(after);
                next.iter().chain(before).find(|id| !is_out(id))
            }
            Self::LeastBusy => fit.min_by_key(|id| busy(id)),
        };
        picked.or_else(|| proxies.iter().min_by_key(|id| fallback_rank(id))).copied()
    }

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstHealthy => "first_healthy",
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
        }
    }

    /// From what is stored.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::FirstHealthy, Self::RoundRobin, Self::LeastBusy].into_iter().find(|each| each.as_str() == text)
    }
}

/// A path must stay below the worker's profile root: relative, without `..`, without empty parts or
/// parts that begin with a dot, and only of characters that file systems and shells show as they
/// are.
pub fn check_profile_path(field: &str, path: &str) -> Result<(), Refusal> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+');
    let part_is_fine = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(is_fine);
    if path.is_empty() || path.len() > PATH_BYTES_MAX || !path.split('/').all(part_is_fine) {
        return Err(Refusal::invalid(
            field,
            format!(
                "must be relative to the profile root, such as `team/alice`, with at most {PATH_BYTES_MAX} bytes. \
                 Its parts are letters, digits and `_-.@+`, and must not begin with a dot."
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_the_one_after_the_last_that_is_up() {
        let [a, b, c, other] = [1, 2, 3, 4].map(|n| ProxyId::from(uuid::Uuid::from_u128(n)));
        let pick = |selection: ProxySelection, down: &[ProxyId], last| {
            selection.pick(&[a, b, c], |id| down.contains(id), |id| i64::from(*id == a), last, |id| *id != b)
        };
        let in_turn = |down: &[ProxyId], last| pick(ProxySelection::RoundRobin, down, last);
        assert_eq!([None, Some(a), Some(b), Some(c)].map(|last| in_turn(&[], last)), [a, b, c, a].map(Some));
        assert_eq!([Some(a), Some(b), Some(c)].map(|last| in_turn(&[b], last)), [c, c, a].map(Some));
        assert_eq!(in_turn(&[a, c], Some(b)), Some(b), "the only one that is up");
        assert_eq!(in_turn(&[], Some(other)), Some(a), "a proxy that the profile no longer has");
        assert_eq!(pick(ProxySelection::LeastBusy, &[], None), Some(b));
        for selection in [ProxySelection::FirstHealthy, ProxySelection::RoundRobin, ProxySelection::LeastBusy]
        {
            assert_eq!(pick(selection, &[a, b, c], Some(b)), Some(b), "all are out");
            assert_eq!(selection.pick(&[], |_| false, |_| 0, None, |_| 0), None);
        }
    }

    #[test]
    fn a_profile_stays_below_its_root() {
        for fine in ["alice", "team/alice", "a.b/c_d-e@f+g"] {
            assert_eq!(check_profile_path("chromeProfilePath", fine), Ok(()), "{fine}");
        }
        for bad in
            ["", "/etc", "../alice", "a/../b", "a//b", "a/", "./a", "a/.b", "a b", "a\0b", "é", "C:\\x", "~"]
        {
            let refusal = check_profile_path("chromeProfilePath", bad).unwrap_err();
            assert_eq!(refusal.path, ["chromeProfilePath"], "{bad}");
        }
    }
}
