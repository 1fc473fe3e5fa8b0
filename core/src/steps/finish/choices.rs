//! Asks again whether jobs may run on what was chosen for them, before someone runs them again.

use std::collections::HashMap;

use crate::{
    audit::By,
    ids::{CommandId, JobId},
    refusal::Refusal,
    steps::choices::{Named, Services, check_choices},
    store::{
        Connection, StoreError,
        catalogue::{
            commands::{self, Command},
            ingredients::{self, StoredIngredients, Wanted},
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

/// What was chosen for a job. Services that its command or its profile gives it anyway are not.
fn chosen<'a>(found: &StoredIngredients, job: &'a JobRecord, command: &Command) -> Named<'a> {
    let named = Named { profile: job.profile_id, proxy: job.proxy_id, services: None };
    let given = match named.services_over(Some(command)) {
        Services::Listed(listed) => listed,
        Services::OfProfile(profile) => {
            found.profiles.get(&profile).map(|stored| &stored.services[..]).unwrap_or_default()
        }
        Services::None => &[],
    };
    Named { services: (job.service_ids != given).then_some(&job.service_ids[..]), ..named }
}
