//! Asks again whether jobs may run on what was chosen for them, before someone runs them again.

use std::collections::HashMap;

use crate::{
    audit::By,
    ids::{CommandId, JobId},
    refusal::Refusal,
    steps::choices::{check_choices, chosen},
    store::{
        Connection, StoreError,
        catalogue::{
            commands::{self, Command},
            ingredients::{self, Wanted},
        },
        jobs::records::JobRecord,
    },
};

/// Why this caller may not run jobs again, by the job. Jobs without a reason are left out. A
/// command that was deleted has no choices any more.
pub(super) async fn refused(
    connection: &mut Connection,
    jobs: &[JobRecord],
    by: &By,
) -> Result<HashMap<JobId, Vec<Refusal>>, StoreError> {
    if !by.actor.is_bound {
        return Ok(HashMap::new());
    }
    let mut commands: Vec<CommandId> = jobs.iter().map(|job| job.command_id).collect();
    commands.sort_unstable_by_key(|command| command.uuid());
    commands.dedup();
    let commands = commands::load(connection, &commands).await?;
    let commands: HashMap<CommandId, Command> =
        commands.into_iter().map(|command| (command.id, command)).collect();
    let wanted = Wanted {
        profiles: jobs.iter().filter_map(|job| job.profile_id).collect(),
        proxies: jobs.iter().filter_map(|job| job.proxy_id).collect(),
        services: jobs
            .iter()
            .flat_map(|job| &job.service_ids)
            .chain(commands.values().flat_map(|command| &command.service_ids))
            .copied()
            .collect(),
    };
    let found = ingredients::load(connection, &wanted).await?;
    let refusals = jobs.iter().filter_map(|job| {
        let command = commands.get(&job.command_id)?;
        let refusals = check_choices(&found, chosen(&found, job, command), command, Some(&by.actor));
        (!refusals.is_empty()).then_some((job.id, refusals))
    });
    Ok(refusals.collect())
}
