//! Where queries read.
//!
//! They have connections of their own, so that no query keeps jobs from being enqueued, or keys
//! from being checked. Each operation and each key has a few at a time.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use async_graphql::{Context, Result};
use callboard::store::{Connection, PoolConnection, Store, StoreError};

use crate::allowance::{Allowance, StatementPermit};

/// The connections of queries.
#[derive(Debug, Clone)]
pub struct Reads(pub Store);

/// A connection, with the permit for its statement. A resolver drops it before it waits for
/// anything else.
#[derive(Debug)]
pub struct ReadConnection {
    connection: PoolConnection,
    _permit: StatementPermit,
}

impl ReadConnection {
    /// Waits until the operation may run a statement, and for a connection.
    pub async fn of(reads: &Store, allowance: &Allowance) -> Result<Self, StoreError> {
        let permit = allowance.statement().await;
        Ok(Self { connection: reads.connection().await?, _permit: permit })
    }
}

impl Deref for ReadConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for ReadConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// A connection for a resolver of a query or a subscription.
pub async fn connection(ctx: &Context<'_>) -> Result<ReadConnection> {
    Ok(ReadConnection::of(&ctx.data::<Reads>()?.0, ctx.data::<Arc<Allowance>>()?).await?)
}
