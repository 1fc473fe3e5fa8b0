//! The command `keys`: what is done about keys on the machine itself, without the API.

mod rotate_master;

use callboard::settings::SharedSettings;
use clap::Subcommand;

/// A verb of `callboard-api keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Seal every stored secret again with the first key of CALLBOARD_MASTER_KEY, while the API and
    /// workers run. A rotation that was interrupted is continued by running it again
    RotateMaster(Box<rotate_master::Arguments>),
}

impl Command {
    /// The settings that every verb has.
    pub(crate) fn shared(&self) -> &SharedSettings {
        match self {
            Self::RotateMaster(arguments) => &arguments.shared,
        }
    }
}

/// Runs a verb.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::RotateMaster(arguments) => rotate_master::run(&arguments).await,
    }
}
