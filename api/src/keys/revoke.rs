//! `keys revoke`: revokes an API key.

use anyhow::bail;
use callboard::{
    ids::ApiKeyId,
    name::normal_form,
    refusal::RefusalCode,
    settings::{DatabaseSettings, LogSettings},
    steps::StepError,
    store::catalogue::api_keys,
};
use clap::Args;

use super::{explained, open};

/// Settings of `keys revoke`.
#[derive(Debug, Args)]
#[command(override_usage = "callboard-api keys revoke [OPTIONS] <KEY>")]
pub(crate) struct Arguments {
    /// The id (key_...) or the name of the key
    key: String,
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Every API that runs notices within a second, without Redis.
#[expect(clippy::print_stderr, reason = "the output of the command")]
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let keys = open(&arguments.database).await?;
    let given = &arguments.key;
    let unknown = || {
        let kind = if given.parse::<ApiKeyId>().is_ok() { "the id" } else { "the name or the id" };
        format!("no API key has {kind} `{given}`. `callboard-api keys list` shows all")
    };
    let id = if let Ok(id) = given.parse::<ApiKeyId>() {
        id
    } else {
        let mut connection = keys.store.connection().await?;
        let named = api_keys::load_by_name(&mut connection, &[normal_form(given)]).await?;
        match named.iter().find(|key| key.revoked_at.is_none()).or_else(|| named.first()) {
            Some(key) => key.id,
            None => bail!(unknown()),
        }
    };
    let key = match keys.key_revoke(id).await {
        Ok(key) => key,
        Err(StepError::Refused(refusals)) if refusals.iter().any(|why| why.code == RefusalCode::NotFound) => {
            bail!(unknown())
        }
        Err(error) => return Err(explained(error, |_| format!("`{given}`"))),
    };
    eprintln!("The key `{}` ({}) is revoked.", key.name, key.id);
    keys.store.close().await;
    Ok(())
}
