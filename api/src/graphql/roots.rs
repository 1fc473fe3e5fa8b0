//! The schema's roots, which merge the fields of all nouns into `Query`, `Mutation` and
//! `Subscription`.
//!
//! A noun joins with one name in each of the tuples below, and a type with an id also with one line
//! in `nodes!`.

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, Schema};

use super::{
    api_key::{ApiKey, ApiKeyMutation, ApiKeyQuery},
    artifact::{self, Artifact},
    attempt::{self, Attempt},
    audit::AuditQuery,
    catalogue::{CatalogueMutation, CatalogueQuery},
    command::Command,
    job::{
        self, BulkMutation, Job, JobAgainMutation, JobChangeMutation, JobDeleteMutation, JobMutation,
        JobQuery, JobSubscription,
    },
    profile::Profile,
    proxy::Proxy,
    query_limits::bounded,
    queue::{self, Queue, QueueId, QueueMutation, QueueQuery, QueueSubscription},
    schedule::{CronPreviewQuery, Schedule, ScheduleMutation, ScheduleQuery, ScheduleRunMutation},
    service::Service,
    session::SessionMutation,
    viewer::ViewerQuery,
    weigh::Weigh,
    worker::{self, Worker, WorkerMutation, WorkerQuery, WorkerSubscription},
};
use callboard::ids::{
    ApiKeyId, ArtifactId, AttemptId, CommandId, JobId, ProfileId, ProxyId, ScheduleId, ServiceId, WorkerId,
};

crate::nodes! {
    Profile(Profile), ProfileId, Profile::load;
    Service(Service), ServiceId, Service::load;
    Proxy(Proxy), ProxyId, Proxy::load;
    Command(Command), CommandId, Command::load;
    Schedule(Schedule), ScheduleId, Schedule::load;
    Job(Job), JobId, job::load;
    Attempt(Attempt), AttemptId, attempt::load;
    Artifact(Artifact), ArtifactId, artifact::load;
    Queue(Queue), QueueId, queue::load;
    Worker(Worker), WorkerId, worker::load;
    ApiKey(ApiKey), ApiKeyId, ApiKey::load;
}

/// Every query. All fields except `viewer` require a key.
#[derive(Debug, Default, MergedObject)]
pub struct Query(
    NodeQuery,
    ViewerQuery,
    CatalogueQuery,
    ScheduleQuery,
    CronPreviewQuery,
    JobQuery,
    QueueQuery,
    WorkerQuery,
    ApiKeyQuery,
    AuditQuery,
);

/// Every mutation. Each takes one input (sessionDelete none) and returns a payload with
/// `userErrors`.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(
    CatalogueMutation,
    ScheduleMutation,
    ScheduleRunMutation,
    JobMutation,
    JobChangeMutation,
    JobAgainMutation,
    JobDeleteMutation,
    BulkMutation,
    QueueMutation,
    WorkerMutation,
    ApiKeyMutation,
    SessionMutation,
);

/// Every subscription.
#[derive(Debug, Default, MergedSubscription)]
pub struct Subscription(JobSubscription, QueueSubscription, WorkerSubscription);

/// The API's schema.
pub type ApiSchema = Schema<Query, Mutation, Subscription>;

/// Returns a builder of the schema, with its limits. The caller adds the data of the process
/// (store, feed). [`Engine`](crate::operation::Engine) adds the data of each operation (caller,
/// DataLoaders).
pub fn schema() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    bounded(Schema::build(Query::default(), Mutation::default(), Subscription::default())).extension(Weigh)
}

/// The description of the schema, in `schema.graphql` and by introspection.
pub const DESCRIPTION: &str = "\
Callboard: a durable job queue for browser automation and other composed commands.

Save a command, enqueue it as a job with `jobEnqueue`, and follow the job with `jobEvents` and `jobLog`. Every
operation but `viewer` needs a key, in the header `Authorization: Bearer` or in a socket's `connection_init`, or a
session, which `sessionCreate` opens. `Viewer.can` lists what the key's role may do.

What the caller can mend is in a payload's `userErrors`. Errors beside the data have `extensions.code` and
`extensions.requestId`. Lists take `first` and `after`, or `last` and `before`, 25 items by default and at most 100.

An operation may cost at most 5000 and nest fields 20 levels deep. A field costs 1, and a page the cost of one item
for each item asked for, a tenth of it for log lines. `commandPreview` costs 500. An answer may have 16 MiB.
TOO_COMPLEX says what the operation costs and what costs most.";

/// The text of `schema.graphql`, fully sorted so that two exports of one schema are identical.
pub fn sdl(schema: &ApiSchema) -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by()
        .use_space_ident();
    let mut text = schema
        .sdl_with_options(options)
        .replace("\nschema {\n", &format!("\n\"\"\"\n{DESCRIPTION}\n\"\"\"\nschema {{\n"));
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use async_graphql::{ContainerType, Context};

    use super::*;

    /// async-graphql allocates and moves the future of each field of an answer, with room for the
    /// largest field of the type. What is rarely awaited and large is boxed where it is called.
    #[test]
    fn the_futures_of_fields_are_small() {
        fn size<T: 'static, F: Future>(_: impl Fn(&'static T, &'static Context<'static>) -> F) -> usize {
            size_of::<F>()
        }
        for (name, bytes, most) in [
            ("Query", size(Query::resolve_field), 4000),
            ("Mutation", size(Mutation::resolve_field), 5000),
            ("Job", size(Job::resolve_field), 2000),
            ("Attempt", size(Attempt::resolve_field), 1500),
            ("Queue", size(Queue::resolve_field), 1500),
        ] {
            assert!(bytes <= most, "a field of {name} has a future of {bytes} bytes");
        }
    }
}
