//! Refuses to delete an object that is still referenced.

use super::checks::Checks;
use crate::{
    refusal::RefusalCode,
    steps::StepError,
    store::{
        StoreError,
        catalogue::references::{JOBS_COUNTED_MAX, References, Referrers},
    },
};

/// Refuses to delete a `noun` that is still referenced, and names what references it.
pub(super) fn check(checks: &mut Checks, noun: &str, uses: &References) {
    if uses.is_empty() {
        return;
    }
    let parts: Vec<String> = [
        told(&uses.profiles, "profile", "profiles", i64::MAX),
        told(&uses.commands, "command", "commands", i64::MAX),
        told(&uses.schedules, "schedule", "schedules", i64::MAX),
        told(&uses.jobs, "unfinished job", "unfinished jobs", JOBS_COUNTED_MAX),
    ]
    .into_iter()
    .flatten()
    .collect();
    let message = format!("the {noun} is used by {}", parts.join(", and by "));
    checks.refuse(RefusalCode::InUse, &["id"], message);
}

/// Converts a constraint's refusal of the delete, after a reference was added since [`check`].
pub(super) fn refused_by_constraint(error: StoreError, noun: &str) -> StepError {
    if error.constraint().is_some_and(|name| name.ends_with("_fkey")) {
        let message = format!("the {noun} has just come into use by another request");
        return StepError::refused(RefusalCode::InUse, &["id"], message);
    }
    error.into()
}

/// Returns "5 profiles: `a`, `b`, `c` and 2 others", or `None` without referrers. A count of
/// `counted_max` may mean more.
fn told(users: &Referrers, one: &str, many: &str, counted_max: i64) -> Option<String> {
    if users.count == 0 {
        return None;
    }
    let or_more = if users.count >= counted_max { " or more" } else { "" };
    let noun = if users.count == 1 { one } else { many };
    let names = users.first.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let others = users.count - users.first.len() as i64;
    let others = if others > 0 { format!(" and {others}{or_more} others") } else { String::new() };
    Some(format!("{}{or_more} {noun}: {names}{others}", users.count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(count: i64, first: &[&str]) -> Referrers {
        Referrers { count, first: first.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn names_three_and_counts_the_others() {
        let message = |uses: &References| {
            let mut checks = Checks::default();
            check(&mut checks, "service", uses);
            match checks.passed() {
                Err(StepError::Refused(mut refusals)) => refusals.pop().map(|refusal| refusal.message),
                Ok(()) | Err(StepError::Store(_) | StepError::Evaluator(_)) => None,
            }
        };
        assert_eq!(message(&References::default()), None);
        let one = References { commands: users(1, &["a"]), ..References::default() };
        assert_eq!(message(&one).unwrap(), "the service is used by 1 command: `a`");
        let all = References {
            profiles: users(5, &["a", "b", "c"]),
            commands: users(2, &["d", "e"]),
            schedules: users(1, &["s"]),
            jobs: users(JOBS_COUNTED_MAX, &["f", "g", "h"]),
        };
        assert_eq!(
            message(&all).unwrap(),
            "the service is used by 5 profiles: `a`, `b`, `c` and 2 others, and by 2 commands: `d`, `e`, \
             and by 1 schedule: `s`, and by 1000 or more unfinished jobs: `f`, `g`, `h` \
             and 997 or more others"
        );
    }
}
