//! What attempts used: of a command, on a profile, with a service; today and this month.

use std::time;

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{
    duration::IsoDuration,
    store::limits::usage::{Share, Total, Usage, User},
};

use super::{
    command::Command,
    loaders::{self, SharesOf},
    profile::Profile,
    scalars::Duration,
};

/// What the attempts that ended in a period come to.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct Consumed {
    /// How many ended, whatever their outcome.
    attempts: i32,
    /// How long they took together.
    busy: Duration,
}

/// What has been used until now. Days and months are those of UTC.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct Consumption {
    /// Since midnight.
    today: Consumed,
    /// Since the first of the month, today included.
    this_month: Consumed,
}

impl Consumption {
    /// Of a command, a profile or a service.
    pub async fn of(ctx: &Context<'_>, user: User) -> Result<Self> {
        Ok(loaders::one(ctx, user).await?.unwrap_or_default().into())
    }
}

/// Who used a service this month: a command, on a profile or on none.
#[derive(Debug, Clone, Copy)]
pub struct Consumer(Share);

impl Consumer {
    /// Of a service, at most `most`, those first that used it most.
    pub async fn of(ctx: &Context<'_>, shares: SharesOf) -> Result<Vec<Self>> {
        let shares = loaders::one(ctx, shares).await?.unwrap_or_default();
        Ok(shares.into_iter().map(Self).collect())
    }
}

/// Who used a service this month: a command, on a profile or on none.
#[Object]
impl Consumer {
    /// The command; null when it has been deleted since.
    async fn command(&self, ctx: &Context<'_>) -> Result<Option<Command>> {
        Command::load(ctx, self.0.command).await
    }

    /// The profile that the command ran on; null when it ran on none, and when the profile has been deleted since.
    async fn profile(&self, ctx: &Context<'_>) -> Option<Result<Profile>> {
        Profile::load(ctx, self.0.profile?).await.transpose()
    }

    /// How much.
    async fn consumption(&self) -> Consumption {
        self.0.usage.into()
    }
}

impl From<Usage> for Consumption {
    fn from(usage: Usage) -> Self {
        Self { today: usage.today.into(), this_month: usage.this_month.into() }
    }
}

impl From<Total> for Consumed {
    fn from(total: Total) -> Self {
        let busy = time::Duration::from_millis(total.busy_ms.max(0).cast_unsigned());
        Self {
            attempts: i32::try_from(total.attempts).unwrap_or(i32::MAX),
            busy: Duration(IsoDuration(busy)),
        }
    }
}
