//! What the attempt pipeline asks to be run.

use std::borrow::Cow;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};

use super::{LeaseNumber, ProfileDirectory, RefusalCode, ResourceLimits, RunAs, StartError};
use crate::shim::protocol::{self, MAX_SPAWN_BYTES, encode};

/// Longest standard input, in bytes.
pub const MAX_STDIN_BYTES: usize = 8 * 1024 * 1024;

/// One program to run. It gets nothing but what is said here: no variable, no descriptor, no directory.
#[derive(Debug)]
pub struct SpawnRequest {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments, without the program's name. Everybody on the machine can read them.
    pub arguments: Vec<String>,
    /// Its whole environment. `TMPDIR` is not added; say it here.
    pub environment: Vec<(String, SecretString)>,
    /// What it reads from its standard input, at most 8 MiB.
    pub stdin: SecretSlice<u8>,
    /// Whether its standard input stays open after that, until the end of the run, so that an end of file tells it
    /// that its worker is gone.
    pub keep_stdin_open: bool,
    /// Where it starts; by default in its temporary directory.
    pub working_directory: Option<PathBuf>,
    /// A directory that does not exist yet, in one that does. It is made for this run and removed after it.
    pub temporary_directory: PathBuf,
    /// Programs, and directories of programs, one of which the program must be (in); none: any program goes.
    pub allowed_programs: Option<Vec<PathBuf>>,
    /// Whom it runs as; by default as the worker's own user.
    pub run_as: Option<RunAs>,
    /// The browser profile that it has to itself.
    pub profile: Option<ProfileDirectory>,
    /// What it may use.
    pub limits: ResourceLimits,
    /// The worker's lease under which its attempt was won ([`super::ShimPool::lease`], from before the claim): it is not
    /// started under another, and does not outlive it.
    pub lease: LeaseNumber,
}

impl SpawnRequest {
    /// The order as the shim reads it. Zeroed after use, since it holds the secrets.
    pub(super) fn frame(&self, deadline: u64) -> Result<SecretBox<Vec<u8>>, StartError> {
        let environment = self.environment.iter();
        let environment = environment
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value.expose_secret())));
        let request = protocol::SpawnMessage {
            program: Cow::Borrowed(&self.program),
            arguments: Cow::Borrowed(&self.arguments),
            environment: environment.collect(),
            working_directory: self.working_directory.as_deref().map(Cow::Borrowed),
            temporary_directory: Cow::Borrowed(&self.temporary_directory),
            allowed_programs: self.allowed_programs.as_deref().map(Cow::Borrowed),
            run_as: self.run_as,
            profile: self.profile.as_ref().map(Cow::Borrowed),
            limits: self.limits,
            deadline,
        };
        let frame =
            encode(&request).map(|frame| SecretBox::new(Box::new(frame))).map_err(StartError::failed)?;
        too_large("the order", frame.expose_secret().len(), MAX_SPAWN_BYTES)?;
        too_large("the standard input", self.stdin.expose_secret().len(), MAX_STDIN_BYTES)?;
        Ok(frame)
    }
}

fn too_large(what: &str, length: usize, limit: usize) -> Result<(), StartError> {
    if length <= limit {
        return Ok(());
    }
    let message = format!("{what} has {length} bytes, more than {limit}");
    Err(StartError::Refused { code: RefusalCode::RequestTooLarge, message })
}
