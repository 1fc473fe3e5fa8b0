//! The schema's roots, which merge the fields of all nouns into `Query`, `Mutation` and
//! `Subscription`.
//!
//! A noun joins with one name in each of the tuples below, and a type with an id also with one line
//! in `nodes!`.

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, Schema};

use super::{
    artifact::{self, Artifact},
    attempt::{self, Attempt},
    catalogue::{CatalogueMutation, CatalogueQuery},
    command::Command,
    job::{self, BulkMutation, Job, JobMutation, JobQuery, JobSubscription},
    profile::Profile,
    proxy::Proxy,
    query_limits::bounded,
    queue::{self, Queue, QueueId, QueueMutation, QueueQuery, QueueSubscription},
    schedule::{Schedule, ScheduleMutation, ScheduleQuery},
    service::Service,
    viewer::ViewerQuery,
    worker::{self, Worker, WorkerMutation, WorkerQuery, WorkerSubscription},
};
use callboard::ids::{
    ArtifactId, AttemptId, CommandId, JobId, ProfileId, ProxyId, ScheduleId, ServiceId, WorkerId,
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
}

/// Every query. All fields except `viewer` require a key.
#[derive(Debug, Default, MergedObject)]
pub struct Query(NodeQuery, ViewerQuery, CatalogueQuery, ScheduleQuery, JobQuery, QueueQuery, WorkerQuery);

/// Every mutation. Each takes one input and returns a payload with `userErrors`.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(
    CatalogueMutation,
    ScheduleMutation,
    JobMutation,
    BulkMutation,
    QueueMutation,
    WorkerMutation,
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
    bounded(Schema::build(Query::default(), Mutation::default(), Subscription::default()))
}

/// The text of `schema.graphql`, fully sorted so that two exports of one schema are identical.
pub fn sdl(schema: &ApiSchema) -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by()
        .use_space_ident();
    let mut text = schema.sdl_with_options(options);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
