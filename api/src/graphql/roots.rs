//! The schema's roots: what each noun adds to `Query`, `Mutation` and `Subscription`.
//!
//! The place where a noun plugs in: one name in each of the tuples below, and one line in `nodes!` for a type that
//! has an id. Built by `serve` and by the `schema` subcommand; holds no logic.

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, Schema};

use super::{
    artifact::{self, Artifact},
    attempt::{self, Attempt},
    catalogue::{CatalogueMutation, CatalogueQuery},
    command::Command,
    job::{self, BulkMutation, Job, JobMutation, JobQuery, JobSubscription},
    limits::bounded,
    profile::Profile,
    proxy::Proxy,
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

/// Everything that can be read. Every field but `viewer` needs a key.
#[derive(Debug, Default, MergedObject)]
pub struct Query(NodeQuery, ViewerQuery, CatalogueQuery, ScheduleQuery, JobQuery, QueueQuery, WorkerQuery);

/// Everything that can be changed. Each takes one input and answers a payload with `userErrors`.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(
    CatalogueMutation,
    ScheduleMutation,
    JobMutation,
    BulkMutation,
    QueueMutation,
    WorkerMutation,
);

/// Everything that can be followed.
#[derive(Debug, Default, MergedSubscription)]
pub struct Subscription(JobSubscription, QueueSubscription, WorkerSubscription);

/// The API's schema.
pub type ApiSchema = Schema<Query, Mutation, Subscription>;

/// Builds the schema, with its limits. Data of the process (the store, the feed) is added by the caller; data of one
/// operation (the caller, DataLoaders) by [`Engine`](crate::operation::Engine).
pub fn schema() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    bounded(Schema::build(Query::default(), Mutation::default(), Subscription::default()))
}

/// The schema as `schema.graphql` has it: everything sorted, so that two exports of one schema are the same bytes.
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
