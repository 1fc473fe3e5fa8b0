//! What an entry of the audit may have as its action, so that a filter by another one is refused.

use crate::{
    audit::OWN_ACTIONS,
    auth::rules,
    error::{ApiError, Code},
};

/// Most actions that are proposed in place of a wrong one.
const PROPOSED_MAX: usize = 3;
/// Longest part of a wrong action that is quoted, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// Refuses what is no action of any entry.
pub(super) fn check(action: &str) -> Result<(), ApiError> {
    if all().any(|known| known == action) || rules::is_introspection(action) {
        return Ok(());
    }
    // A refused field of a type that needs more than what returned it.
    if action.split_once('.').is_some_and(|(of, _)| rules::types().any(|known| known == of)) {
        return Ok(());
    }
    let given: String = action.chars().take(QUOTED_CHARS_MAX).collect();
    let near = near(&given).iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let hint = if near.is_empty() { String::new() } else { format!(" Near are {near}.") };
    let message = format!(
        "`{given}` is no action of the audit.{hint} An action is the name of a mutation, or of another operation \
         that was refused, or one of {}.",
        OWN_ACTIONS.map(|own| format!("`{own}`")).join(", ")
    );
    Err(ApiError::new(Code::BadRequest, message))
}

fn all() -> impl Iterator<Item = &'static str> {
    rules::operations().chain(OWN_ACTIONS)
}

/// The actions that are written alike, the nearest first.
fn near(given: &str) -> Vec<&'static str> {
    let given = given.to_lowercase();
    let most = (given.chars().count() / 3).max(2);
    let mut near: Vec<(usize, &str)> = all()
        .map(|name| (distance(&given, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).take(PROPOSED_MAX).collect()
}

/// How many characters must be inserted, removed or replaced to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (at, wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *wanted);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_an_action_is_accepted_and_the_near_ones_are_named() {
        for fine in [
            "jobEnqueue",
            "apiKeys",
            "jobLog",
            "signIn",
            "further",
            "audit",
            "keys rotate-master",
            "__schema",
            "ApiKey.name",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (wrong, near) in [
            ("nonsense", ""),
            ("", ""),
            ("JOBENQUEUE", "`jobEnqueue`, `jobsEnqueue`"),
            ("jobEnqueue1", "`jobEnqueue`"),
            ("sign_in", "`signIn`"),
            ("signin", "`signIn`"),
            ("service update", "`serviceUpdate`"),
            ("Job.id", ""),
        ] {
            let error = check(wrong).unwrap_err();
            assert_eq!(error.code, Code::BadRequest);
            let hint = if near.is_empty() { String::new() } else { format!("Near are {near}") };
            assert!(error.message.contains(&hint), "{wrong}: {error}");
            assert_eq!(error.message.contains("Near are"), !near.is_empty(), "{wrong}: {error}");
        }
        assert!(check(&"x".repeat(100_000)).unwrap_err().message.len() < 500);
    }
}
