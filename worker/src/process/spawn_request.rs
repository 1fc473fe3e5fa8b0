//! A request to run one program.

use std::borrow::Cow;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};

use super::{LeaseNumber, ProfileDirectory, RefusalCode, ResourceLimits, RunAs, StartError};
use crate::shim::protocol::{self, MAX_SPAWN_BYTES, encode};

/// Longest standard input, in bytes.
pub const MAX_STDIN_BYTES: usize = 8 * 1024 * 1024;

/// One program to run. It gets no variable, descriptor or directory that is not named here.
#[derive(Debug)]
pub struct SpawnRequest {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments, without the program's name. All users of the machine can read them.
    pub arguments: Vec<String>,
    /// Its whole environment. `TMPDIR` is not added.
    pub environment: Vec<(String, SecretString)>,
    /// What it reads from its standard input, at most [`MAX_STDIN_BYTES`].
    pub stdin: SecretSlice<u8>,
    /// Whether its standard input stays open after that, so that the end of the file means that the
    /// worker is gone.
    pub keep_stdin_open: bool,
    /// Its working directory; by default its temporary directory.
    pub working_directory: Option<PathBuf>,
    /// A directory that does not exist yet, in one that does. The shim makes and removes it.
    pub temporary_directory: PathBuf,
    /// Programs and directories of programs. The program must be one of them or below one of them.
    /// `None` allows every program.
    pub allowed_programs: Option<Vec<PathBuf>>,
    /// The user that it runs as; by default the worker's own.
    pub run_as: Option<RunAs>,
    /// The browser profile that it locks.
    pub profile: Option<ProfileDirectory>,
    /// Limits on its resources.
    pub limits: ResourceLimits,
    /// The worker's lease from before the claim ([`super::ShimPool::lease`]). The program is not
    /// started under another lease, and does not outlive this one.
    pub lease: LeaseNumber,
}

impl SpawnRequest {
    /// The frame that the shim reads. Zeroed after use, because it holds secrets.
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
        too_large("the request", frame.expose_secret().len(), MAX_SPAWN_BYTES)?;
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
