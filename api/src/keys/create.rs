//! `keys create`: creates an API key and prints it.

use callboard::{catalogue::KeyCreate, clock::Time, settings::SharedSettings};
use clap::Args;
use secrecy::ExposeSecret as _;

use super::{explained, open};
use crate::auth::Role;

/// Settings of `keys create`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) shared: SharedSettings,
    /// A description for people, which no other key has
    name: String,
    /// What the key may do
    #[arg(long, value_enum)]
    role: Role,
    /// When the key expires, such as 2027-01-31T00:00:00Z (never by default)
    #[arg(long)]
    expires_at: Option<Time>,
}

/// Prints the key alone on standard output, so that it can be piped.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of the command")]
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let keys = open(&arguments.shared).await?;
    let Arguments { name, role, expires_at, .. } = arguments;
    let new = KeyCreate { name: name.clone(), role: (*role).into(), expires_at: *expires_at };
    let (key, text) = keys.key_create(new).await.map_err(explained)?;
    eprintln!("The key `{}` ({}) is shown only this once:", key.name, key.id);
    println!("{}", text.expose_secret());
    keys.store.close().await;
    Ok(())
}
