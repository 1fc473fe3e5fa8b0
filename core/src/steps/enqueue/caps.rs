//! Caps that refuse new jobs once they are reached.
//!
//! [`prepare`](super::prepare) checks them before anything is written. Caps count starts, not
//! accepted jobs. Jobs accepted before a cap is reached wait at its gate. Caps that defer jobs are
//! left to the claim.

use std::collections::{BTreeSet, HashMap};

use super::targets::Targets;
use crate::{
    clock::{Time, written},
    ids::CommandId,
    job::JobRequest,
    limit::{Cap, GateKey, WhenReached, gate::Gate},
    policy::Policy,
    refusal::{Refusal, RefusalCode},
    store::{Connection, StoreError, catalogue::ingredients::StoredIngredients, limits::gates},
};

/// The gates of all caps that may refuse a job of this submission.
#[derive(Debug)]
pub(super) struct Caps(HashMap<GateKey, Gate>);

impl Caps {
    /// Loads the gates that these job requests need. Reads nothing if no cap refuses.
    pub(super) async fn load(
        connection: &mut Connection,
        submissions: &[impl AsRef<[JobRequest]> + Sync],
        policies: impl Iterator<Item = (CommandId, &Policy)>,
        found: &StoredIngredients,
    ) -> Result<Self, StoreError> {
        let refuses = |caps: &[Cap]| caps.iter().any(|cap| cap.when_reached == WhenReached::Refuse);
        let policies =
            policies.filter(|(_, policy)| refuses(&policy.limits.caps)).map(|(command, _)| command);
        // A job's own policy may have caps that the command's does not.
        let own = submissions
            .iter()
            .flat_map(AsRef::as_ref)
            .filter(|request| request.policy.is_some())
            .map(|request| request.command);
        let commands: BTreeSet<CommandId> = policies.chain(own).collect();
        let profiles = found.profiles.iter().filter(|(_, stored)| refuses(&stored.profile.caps));
        let services = found.services.iter().filter(|(_, stored)| refuses(&stored.service.limits.caps));
        let keys: Vec<GateKey> = commands
            .into_iter()
            .map(GateKey::Command)
            .chain(profiles.map(|(id, _)| GateKey::Profile(*id)))
            .chain(services.map(|(id, _)| GateKey::Service(*id)))
            .collect();
        if keys.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        Ok(Self(gates::look(connection, &keys).await?.gates))
    }

    /// Why a job with this policy and these targets is refused now.
    pub(super) fn check(
        &self,
        command: CommandId,
        policy: &Policy,
        targets: &Targets,
        found: &StoredIngredients,
        now: Time,
    ) -> Vec<Refusal> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let profile = targets.profile.and_then(|id| Some((id, &found.profiles.get(&id)?.profile)));
        let services = targets.services.iter().filter_map(|id| Some((*id, &found.services.get(id)?.service)));
        let of_command = ("commandId", GateKey::Command(command), "command".to_owned(), &policy.limits.caps);
        let of_profile = profile.map(|(id, profile)| {
            ("profileId", GateKey::Profile(id), format!("profile {}", profile.name), &profile.caps)
        });
        let of_services = services.map(|(id, service)| {
            ("serviceIds", GateKey::Service(id), format!("service {}", service.name), &service.limits.caps)
        });
        let all = std::iter::once(of_command).chain(of_profile).chain(of_services);
        all.filter_map(|(path, key, what, caps)| {
            let cap = reached(self.0.get(&key)?, caps, now)?;
            let (per, end) = (cap.per.as_str(), written(cap.per.end(now)));
            let message = format!(
                "The {what} has reached its cap of {} a {per}. Enqueue the job at {end} or later, or raise the cap.",
                cap.most
            );
            Some(Refusal::new(RefusalCode::TooMany, path, message))
        })
        .collect()
    }
}

/// Of the refusing caps that are reached, the one with the longest period.
fn reached<'a>(gate: &Gate, caps: &'a [Cap], now: Time) -> Option<&'a Cap> {
    let refusing = caps.iter().filter(|cap| cap.when_reached == WhenReached::Refuse);
    refusing.filter(|cap| gate.is_reached(cap, now)).max_by_key(|cap| cap.per)
}
