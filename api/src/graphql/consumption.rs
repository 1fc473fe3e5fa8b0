//! Usage by the attempts of a command, a profile or a service, today and this month.

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

/// Usage by the attempts that finished in a period.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct Consumed {
    /// The number of finished attempts, whatever their outcome.
    attempts: i32,
    /// The total run time of these attempts.
    busy: Duration,
}

/// Usage up to now. Days and months are in UTC.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct Consumption {
    /// Usage since midnight.
    today: Consumed,
    /// Usage since the first of the month, including today.
    this_month: Consumed,
}

impl Consumption {
    /// Returns the usage of a command, a profile or a service.
    pub async fn of(ctx: &Context<'_>, user: User) -> Result<Self> {
        Ok(loaders::one(ctx, user).await?.unwrap_or_default().into())
    }
}

/// The GraphQL object `Consumer`.
#[derive(Debug, Clone, Copy)]
pub struct Consumer(Share);

impl Consumer {
    /// Returns the consumers of a service, those with the most attempts this month first.
    pub async fn of(ctx: &Context<'_>, shares: SharesOf) -> Result<Vec<Self>> {
        let shares = loaders::one(ctx, shares).await?.unwrap_or_default();
        Ok(shares.into_iter().map(Self).collect())
    }
}

/// A command that used a service this month, with the profile that it ran on.
#[Object]
impl Consumer {
    /// The command. Null when it has been deleted.
    async fn command(&self, ctx: &Context<'_>) -> Result<Option<Command>> {
        Command::load(ctx, self.0.command).await
    }

    /// The profile that the command ran on. Null when it ran on none or the profile has been
    /// deleted.
    async fn profile(&self, ctx: &Context<'_>) -> Option<Result<Profile>> {
        Profile::load(ctx, self.0.profile?).await.transpose()
    }

    /// The usage of the service by this command on this profile.
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
