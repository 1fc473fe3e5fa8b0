//! `keys revoke`: revokes an API key.

use anyhow::bail;
use callboard::{ids::ApiKeyId, name::normal_form, settings::SharedSettings, store::catalogue::api_keys};
use clap::Args;

use super::{explained, open};

/// Settings of `keys revoke`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) shared: SharedSettings,
    /// The id (key_...) or the name of the key
    key: String,
}

/// Every API that runs notices within a second, without Redis.
#[expect(clippy::print_stderr, reason = "the output of the command")]
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let keys = open(&arguments.shared).await?;
    let given = &arguments.key;
    let id = if let Ok(id) = given.parse::<ApiKeyId>() {
        id
    } else {
        let mut connection = keys.store.connection().await?;
        let named = api_keys::load_by_name(&mut connection, &[normal_form(given)]).await?;
        match named.iter().find(|key| key.revoked_at.is_none()).or_else(|| named.first()) {
            Some(key) => key.id,
            None => bail!("no API key has the name or the id `{given}`. `callboard-api keys list` shows all"),
        }
    };
    let key = keys.key_revoke(id).await.map_err(explained)?;
    eprintln!("The key `{}` ({}) is revoked.", key.name, key.id);
    keys.store.close().await;
    Ok(())
}
