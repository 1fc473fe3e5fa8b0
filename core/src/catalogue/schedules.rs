//! `schedule_create`, `schedule_update`, `schedule_delete`.
//!
//! A schedule's job is checked like an enqueued one, and checked again at each firing
//! (`steps::enqueue::fire_schedules`), because commands change.

use serde_json::json;

use super::{
    Catalogue,
    audited::{REPLACED, of_schedule},
    checks::Checks,
};
use crate::{
    audit::{Change, Object},
    clock::Time,
    compose::SecretInputs,
    duration::IsoDuration,
    evaluator::Purpose,
    ids::ScheduleId,
    job::JobRequest,
    name::check_labels,
    patch::Patch,
    refusal::{Refusal, RefusalCode, no_such_id},
    schedule::{Cron, Overlap, Timing, Zone},
    secret::{MASK, Owner},
    steps::{
        StepError,
        enqueue::{context::SubmitContext, fire_schedules::secrets_of, submit},
    },
    store::{
        Connection, StoreError,
        catalogue::schedules::{self, Plan, Schedule, Template},
        commit,
        queues::backlog,
    },
};

/// The kind of object in the audit.
const KIND: &str = "schedule";
const NAME_TAKEN: &str = "another schedule has this name";
const ZONE_DEFAULT: &str = "UTC";

/// A new schedule.
#[derive(Debug, Clone)]
pub struct ScheduleCreate {
    /// Unique among schedules.
    pub name: String,
    /// See [`Cron::parse`].
    pub cron: String,
    /// IANA name, UTC if omitted.
    pub timezone: Option<String>,
    /// The job that each firing enqueues.
    pub job: JobRequest,
    /// [`Overlap::Skip`] if omitted.
    pub overlap: Option<Overlap>,
    /// How far back missed times are made up. If omitted, they are not.
    pub catch_up: Option<IsoDuration>,
    /// Whether it starts paused.
    pub is_paused: bool,
}

/// An update of a schedule.
#[derive(Debug, Clone)]
pub struct ScheduleUpdate {
    /// The schedule.
    pub id: ScheduleId,
    /// The version that the caller read. A stale one is refused. `None` skips this check.
    pub version: Option<i32>,
    /// The changes.
    pub changes: ScheduleChanges,
}

/// Changes of a schedule. [`ScheduleCreate`] has the bounds.
#[derive(Debug, Clone, Default)]
pub struct ScheduleChanges {
    /// Cannot be cleared.
    pub name: Patch<String>,
    /// Cannot be cleared.
    pub cron: Patch<String>,
    /// Clearing resets it to UTC.
    pub timezone: Patch<String>,
    /// Replaces the whole job, except that input values given as `***` keep their stored values.
    /// Cannot be cleared.
    pub job: Patch<JobRequest>,
    /// Clearing resets it to [`Overlap::Skip`].
    pub overlap: Patch<Overlap>,
    /// Clearing resets it to zero: no time is made up.
    pub catch_up: Patch<IsoDuration>,
    /// Clearing resets it to false.
    pub is_paused: Patch<bool>,
}

/// A template that was checked, or what is wrong with it.
type NewTemplate = Result<(Template, Shown), Vec<Refusal>>;
/// What the audit shows of the secrets in an input.
type Shown = Option<&'static str>;

impl Catalogue {
    /// Creates a schedule. `context` checks its job.
    pub async fn schedule_create(
        &self,
        context: &SubmitContext,
        input: ScheduleCreate,
    ) -> Result<Schedule, StepError> {
        let id: ScheduleId = self.ids.make();
        let template = self.template(context, id, input.job, &SecretInputs::default()).await?;
        let mut checks = Checks::default();
        let cron = check_cron(&mut checks, &input.cron);
        let zone = check_zone(&mut checks, input.timezone.as_deref().unwrap_or(ZONE_DEFAULT));
        let mut transaction = self.store.begin().await?;
        let is_taken = async |name: &str| schedules::name_is_taken(&mut transaction, id, name).await;
        let name = checks.name(input.name, None, NAME_TAKEN, is_taken).await?;
        let template = checks.all(template);
        let (Some(cron), Some(zone), Some((template, secrets))) = (cron, zone, template) else {
            return Err(checks.refused());
        };
        checks.passed()?;
        let timing = Timing {
            cron,
            zone,
            overlap: input.overlap.unwrap_or(Overlap::Skip),
            catch_up: input.catch_up.unwrap_or(IsoDuration::from_secs(0)),
        };
        let plan = Plan { name, timing, template, is_paused: input.is_paused };
        let next_at = first_time(&mut transaction, &plan).await?;
        let schedule = schedules::save(&mut transaction, id, &plan, next_at).await.map_err(refused)?;
        let change = Change::between(None, Some(&of_schedule(&plan, secrets)));
        let object = Object::new(KIND, &id, Some(&plan.name));
        self.note(&mut transaction, "scheduleCreate", object, change).await?;
        commit(transaction).await?;
        Ok(schedule)
    }

    /// Updates a schedule. With another pattern or zone, and when it is resumed, it continues from
    /// now, and earlier due times are not made up. A request that changes nothing leaves the
    /// version as it is.
    pub async fn schedule_update(
        &self,
        context: &SubmitContext,
        input: ScheduleUpdate,
    ) -> Result<Schedule, StepError> {
        loop {
            let read = schedules::load(&mut *self.store.connection().await?, &[input.id]).await?.pop();
            let read = read.ok_or_else(|| StepError::no("schedule"))?;
            let template = self.changed_template(context, &read, &input.changes.job).await?;
            if let Some(schedule) = self.schedule_update_read(input.clone(), read.version, template).await? {
                return Ok(schedule);
            }
        }
    }

    /// Updates a schedule whose new template was checked when it had this version. `None` if
    /// somebody has changed it since.
    async fn schedule_update_read(
        &self,
        input: ScheduleUpdate,
        read: i32,
        template: NewTemplate,
    ) -> Result<Option<Schedule>, StepError> {
        let ScheduleUpdate { id, version, changes } = input;
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        if stored.version != read {
            return Ok(None);
        }
        checks.version(stored.version, version);
        let before = &stored.plan;
        let name = checks.required("name", changes.name, &before.name);
        let cron = checks.required("cron", changes.cron, before.timing.cron.text());
        let cron = check_cron(&mut checks, &cron);
        let zone = changes.timezone.over(before.timing.zone.name().to_owned(), ZONE_DEFAULT.to_owned());
        let zone = check_zone(&mut checks, &zone);
        let is_taken = async |name: &str| schedules::name_is_taken(&mut transaction, id, name).await;
        let name = checks.name(name, Some(&before.name), NAME_TAKEN, is_taken).await?;
        let template = checks.all(template);
        let (Some(cron), Some(zone), Some((template, secrets))) = (cron, zone, template) else {
            return Err(checks.refused());
        };
        checks.passed()?;
        let overlap = changes.overlap.over(before.timing.overlap, Overlap::Skip);
        let catch_up = changes.catch_up.over(before.timing.catch_up, IsoDuration::from_secs(0));
        let timing = Timing { cron, zone, overlap, catch_up };
        let is_paused = changes.is_paused.over(before.is_paused, false);
        let plan = Plan { name, timing, template, is_paused };
        if plan == *before {
            let object = Object::new(KIND, &id, Some(&stored.plan.name));
            self.note_unchanged(transaction, "scheduleUpdate", object).await?;
            return Ok(Some(stored));
        }
        let goes_on = is_paused == before.is_paused
            && plan.timing.cron == before.timing.cron
            && plan.timing.zone == before.timing.zone;
        let next_at = if goes_on { stored.next_at } else { first_time(&mut transaction, &plan).await? };
        let schedule = schedules::save(&mut transaction, id, &plan, next_at).await.map_err(refused)?;
        let before = of_schedule(before, shown(before));
        let change = Change::between(Some(&before), Some(&of_schedule(&plan, secrets)));
        let object = Object::new(KIND, &id, Some(&plan.name));
        self.note(&mut transaction, "scheduleUpdate", object, change).await?;
        commit(transaction).await?;
        Ok(Some(schedule))
    }

    /// The template of a schedule after a change, or what is wrong with it.
    async fn changed_template(
        &self,
        context: &SubmitContext,
        stored: &Schedule,
        job: &Patch<JobRequest>,
    ) -> Result<NewTemplate, StepError> {
        match job {
            Patch::Leave => Ok(Ok((stored.plan.template.clone(), shown(&stored.plan)))),
            Patch::Clear => {
                let message = "must not be null (omit it to keep the stored value)";
                Ok(Err(vec![Refusal::invalid("job", message)]))
            }
            Patch::Set(job) => {
                let kept = secrets_of(&context.keyring, stored);
                let kept = kept.map_err(|error| StoreError::corrupt("schedules", "input_sealed", &error))?;
                self.template(context, stored.id, job.clone(), &kept).await
            }
        }
    }

    /// Checks the job as if it were enqueued now, and makes it fit to store. `kept` has the values
    /// for inputs given as `***`. No transaction may be alive meanwhile.
    async fn template(
        &self,
        context: &SubmitContext,
        id: ScheduleId,
        job: JobRequest,
        kept: &SecretInputs,
    ) -> Result<NewTemplate, StepError> {
        let mut input = job.input.unwrap_or_else(|| json!({}));
        let kept_secret = kept.put_back(&mut input);
        let mut request = JobRequest { input: Some(input), kept_secret, ..job };
        let mut turn = context.evaluator.turn(Purpose::Save(&self.actor));
        let input = match Box::pin(submit::check(context, &mut turn, &request)).await {
            Ok(input) => input,
            Err(StepError::Refused(refusals)) => {
                return Ok(Err(refusals.into_iter().map(|refusal| refusal.below(&["job"])).collect()));
            }
            Err(error @ (StepError::Store(_) | StepError::Evaluator(_))) => return Err(error),
        };
        // Checked: the schema still keeps them secret.
        request.kept_secret = SecretInputs::default();
        let sealed =
            |secrets: &SecretInputs| context.keyring.seal(Owner::ScheduleInput(id), &secrets.to_text());
        let is_replaced = !kept.is_empty() && *kept != input.secrets;
        let shown = (!input.secrets.is_empty()).then_some(if is_replaced { REPLACED } else { MASK });
        let policy = request.policy.take().map(serde_json::to_value).transpose();
        request.labels = check_labels("labels", request.labels).unwrap_or_default();
        request.input = Some(input.public);
        let template = Template {
            request,
            policy: policy.map_err(|error| StoreError::corrupt("(new row)", "policy", &error))?,
            input_sealed: (!input.secrets.is_empty()).then(|| sealed(&input.secrets)),
        };
        Ok(Ok((template, shown)))
    }

    /// Deletes a schedule. Jobs that it has enqueued continue.
    pub async fn schedule_delete(&self, id: ScheduleId, version: Option<i32>) -> Result<(), StepError> {
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.version(stored.version, version);
        checks.passed()?;
        schedules::delete(&mut transaction, id).await?;
        let object = Object::new(KIND, &id, Some(&stored.plan.name));
        let change = Change::between(Some(&of_schedule(&stored.plan, shown(&stored.plan))), None);
        self.note(&mut transaction, "scheduleDelete", object, change).await?;
        commit(transaction).await?;
        Ok(())
    }
}

/// Returns the next `count` times after `after` at which a schedule with this pattern and zone
/// would fire, or what is wrong with them. Reads and writes nothing.
pub fn cron_preview(
    cron: &str,
    timezone: Option<&str>,
    after: Time,
    count: usize,
) -> Result<Vec<Time>, Vec<Refusal>> {
    let mut checks = Checks::default();
    let cron = check_cron(&mut checks, cron);
    let zone = check_zone(&mut checks, timezone.unwrap_or(ZONE_DEFAULT));
    let (Some(cron), Some(zone)) = (cron, zone) else { return Err(checks.into_refusals()) };
    let timing = Timing { cron, zone, overlap: Overlap::Skip, catch_up: IsoDuration::from_secs(0) };
    Ok(timing.upcoming(after, count))
}

/// What the audit shows of the secrets in a stored input.
fn shown(plan: &Plan) -> Shown {
    plan.template.input_sealed.as_ref().map(|_| MASK)
}

async fn locked(connection: &mut Connection, id: ScheduleId) -> Result<Schedule, StepError> {
    schedules::lock(connection, id).await?.ok_or_else(|| StepError::no("schedule"))
}

/// Returns the first time from now on, or `None` while the schedule is paused.
async fn first_time(connection: &mut Connection, plan: &Plan) -> Result<Option<Time>, StoreError> {
    if plan.is_paused {
        return Ok(None);
    }
    Ok(plan.timing.next(backlog::clock(connection).await?))
}

fn check_cron(checks: &mut Checks, text: &str) -> Option<Cron> {
    checks.take(Cron::parse(text).map_err(|error| Refusal::invalid("cron", error.to_string())))
}

fn check_zone(checks: &mut Checks, name: &str) -> Option<Zone> {
    checks.take(Zone::parse(name).map_err(|error| Refusal::invalid("timezone", error.to_string())))
}

/// Two concurrent requests may both find a name free, and a referenced object may be deleted after
/// its check. A constraint then refuses the second.
fn refused(error: StoreError) -> StepError {
    let gone = |field: &str, noun: &str| {
        StepError::refused(RefusalCode::NotFound, &["job", field], no_such_id(noun))
    };
    match error.constraint() {
        Some("schedules_name_key") => StepError::refused(RefusalCode::Taken, &["name"], NAME_TAKEN),
        Some("schedules_command_id_fkey") => gone("commandId", "command"),
        Some("schedules_profile_id_fkey") => gone("profileId", "profile"),
        Some("schedules_proxy_id_fkey") => gone("proxyId", "proxy"),
        Some("schedule_services_service_id_fkey") => gone("serviceIds", "service"),
        Some(_) | None => error.into(),
    }
}
