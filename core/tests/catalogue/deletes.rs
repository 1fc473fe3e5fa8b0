//! Deletes: refused with the names of the references, and complete once there are none.

use callboard::{
    catalogue::{
        CommandChanges, CommandCreate, CommandUpdate, ProfileChanges, ProfileCreate, ProfileUpdate,
        SecretInput,
    },
    ids::JobId,
    patch::Patch,
    refusal::RefusalCode::{InUse, NotFound, StaleVersion},
    store::catalogue::command_versions,
};

use crate::database::{a_command, a_profile, catalogue, expected, message, refusals};

const END_JOB: &str =
    "WITH ended AS (DELETE FROM live_jobs WHERE job_id = $1) DELETE FROM live_job_services WHERE job_id = $1";

#[tokio::test]
async fn a_profile_is_referenced_by_commands_and_live_jobs() {
    let catalogue = catalogue().await;
    let secrets = vec![SecretInput { name: "s".into(), value: "x".into(), expires_at: None }];
    let (service, proxy) = (catalogue.service("s").await, catalogue.proxy("x").await);
    let create =
        ProfileCreate { secrets, service_ids: vec![service], proxy_ids: vec![proxy], ..a_profile("p") };
    let profile = catalogue.profile_create(create).await.unwrap().id;
    let mut commands = Vec::new();
    for name in ["e", "d", "c", "b", "a"] {
        let create = CommandCreate { profile_id: Some(profile), ..a_command(name) };
        commands.push(catalogue.command_create(create).await.unwrap());
    }
    let job = catalogue.live_job(&commands[0], Some(profile), None, None).await;
    let reason = message(catalogue.profile_delete(profile, None).await);
    let job_id = JobId::from(job);
    assert_eq!(
        reason,
        format!(
            "the profile is used by 5 commands: `a`, `b`, `c` and 2 others, \
             and by 1 unfinished job: `{job_id}`"
        )
    );
    for command in commands {
        let changes = CommandChanges { profile_id: Patch::Clear, ..CommandChanges::default() };
        catalogue.command_update(CommandUpdate { id: command.id, version: None, changes }).await.unwrap();
    }
    assert_eq!(
        refusals(catalogue.profile_delete(profile, Some(7)).await),
        expected(&[(StaleVersion, "version"), (InUse, "id")])
    );
    catalogue.execute(END_JOB, &[job]).await;
    catalogue.profile_delete(profile, Some(1)).await.unwrap();
    assert_eq!(refusals(catalogue.profile_delete(profile, None).await), expected(&[(NotFound, "id")]));
    let left = "SELECT (SELECT count(*) FROM profile_secrets) + (SELECT count(*) FROM profile_services)
                    + (SELECT count(*) FROM profile_proxies)";
    assert_eq!(catalogue.value::<i64>(left).await, 0);
    catalogue.service_delete(service, None).await.expect("no profile lists it any more");
    catalogue.proxy_delete(proxy, None).await.expect("no profile lists it any more");
}

#[tokio::test]
async fn a_service_is_referenced_by_profiles_commands_and_live_jobs() {
    let catalogue = catalogue().await;
    let service = catalogue.service("s").await;
    let profile = catalogue
        .profile_create(ProfileCreate { service_ids: vec![service], ..a_profile("p") })
        .await
        .unwrap();
    let create = CommandCreate { service_ids: vec![service], ..a_command("c") };
    let command = catalogue.command_create(create).await.unwrap();
    let job = catalogue.live_job(&command, None, None, Some(service)).await;
    let reason = message(catalogue.service_delete(service, None).await);
    let job_id = JobId::from(job);
    assert_eq!(
        reason,
        format!(
            "the service is used by 1 profile: `p`, and by 1 command: `c`, \
             and by 1 unfinished job: `{job_id}`"
        )
    );
    let changes = ProfileChanges { service_ids: Patch::Clear, ..ProfileChanges::default() };
    catalogue.profile_update(ProfileUpdate { id: profile.id, version: None, changes }).await.unwrap();
    catalogue.command_delete(command.id, None).await.unwrap();
    assert_eq!(
        refusals(catalogue.service_delete(service, None).await),
        expected(&[(InUse, "id")]),
        "the job still references it"
    );
    catalogue.execute(END_JOB, &[job]).await;
    assert_eq!(
        refusals(catalogue.service_delete(service, Some(3)).await),
        expected(&[(StaleVersion, "version")])
    );
    catalogue.service_delete(service, Some(1)).await.unwrap();
    assert_eq!(refusals(catalogue.service_delete(service, None).await), expected(&[(NotFound, "id")]));
}

#[tokio::test]
async fn a_proxy_is_referenced_by_profiles_commands_live_jobs_and_running_attempts() {
    let catalogue = catalogue().await;
    let proxy = catalogue.proxy("x").await;
    let profile =
        catalogue.profile_create(ProfileCreate { proxy_ids: vec![proxy], ..a_profile("p") }).await.unwrap();
    let create = CommandCreate { proxy_id: Some(proxy), ..a_command("c") };
    let command = catalogue.command_create(create).await.unwrap();
    let job = catalogue.live_job(&command, None, Some(proxy), None).await;
    let reason = message(catalogue.proxy_delete(proxy, None).await);
    let job_id = JobId::from(job);
    assert_eq!(
        reason,
        format!(
            "the proxy is used by 1 profile: `p`, and by 1 command: `c`, \
             and by 1 unfinished job: `{job_id}`"
        )
    );
    catalogue.execute(END_JOB, &[job]).await;
    catalogue.command_delete(command.id, None).await.unwrap();
    catalogue.profile_delete(profile.id, None).await.unwrap();

    let other = catalogue.command("d").await;
    let running = catalogue.live_job(&other, None, None, None).await;
    catalogue
        .execute(
            "UPDATE live_jobs SET state = 'running', attempt = 1, attempt_id = $1, worker_id = $1,
                 attempt_at = now(), started_at = now(), attempt_proxy_id = $2 WHERE job_id = $1",
            &[running, proxy.uuid()],
        )
        .await;
    assert_eq!(
        refusals(catalogue.proxy_delete(proxy, None).await),
        expected(&[(InUse, "id")]),
        "an attempt uses it"
    );
    catalogue.execute(END_JOB, &[running]).await;
    assert_eq!(
        refusals(catalogue.proxy_delete(proxy, Some(2)).await),
        expected(&[(StaleVersion, "version")])
    );
    catalogue.proxy_delete(proxy, Some(1)).await.unwrap();
    assert_eq!(refusals(catalogue.proxy_delete(proxy, None).await), expected(&[(NotFound, "id")]));
}

#[tokio::test]
async fn a_deleted_command_leaves_its_version_to_its_jobs() {
    let catalogue = catalogue().await;
    let command = catalogue.command("c").await;
    catalogue.live_job(&command, None, None, None).await;
    assert_eq!(
        refusals(catalogue.command_delete(command.id, Some(2)).await),
        expected(&[(StaleVersion, "version")])
    );
    catalogue.command_delete(command.id, Some(1)).await.unwrap();
    assert_eq!(refusals(catalogue.command_delete(command.id, None).await), expected(&[(NotFound, "id")]));
    let version = command_versions::load(&mut *catalogue.begin().await, &[command.version_id]).await.unwrap();
    assert_eq!(version[0].command_id, command.id);
    catalogue.command("c").await;
}
