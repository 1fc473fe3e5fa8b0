//! Finds the unprivileged user that programs run as.

use std::fs;

use rustix::process::geteuid;

use super::RunAs;

/// The user when none is configured.
const DEFAULT_USER: &str = "nobody";

/// The configured user cannot run programs.
#[derive(Debug, thiserror::Error)]
pub enum RunAsError {
    /// `/etc/passwd` cannot be read.
    #[error("/etc/passwd: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The user is not in `/etc/passwd`.
    #[error("/etc/passwd has no user {0:?}: set CALLBOARD_RUN_AS to a user that may run programs")]
    Unknown(String),
    /// The user is root.
    #[error("programs must not run as root: set CALLBOARD_RUN_AS to another user than {0:?}")]
    Root(String),
}

impl RunAs {
    /// The named user, by default `nobody`. Returns `None` if this process is not root, because
    /// then it can only run programs as its own user.
    pub fn find(name: Option<&str>) -> Result<Option<Self>, RunAsError> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let name = name.unwrap_or(DEFAULT_USER);
        let user = look_up(&fs::read_to_string("/etc/passwd")?, name)
            .ok_or_else(|| RunAsError::Unknown(name.to_owned()))?;
        if user.uid == 0 { Err(RunAsError::Root(name.to_owned())) } else { Ok(Some(user)) }
    }
}

fn look_up(users: &str, name: &str) -> Option<RunAs> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        let _password = fields.next()?;
        Some(RunAs { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody2:x:7:8::/:/bin/false\nnobody:x:65534:65533::/:/bin/false\n";
        assert_eq!(look_up(users, "nobody"), Some(RunAs { uid: 65534, gid: 65533 }));
        assert_eq!(look_up(users, "nobod"), None);
    }
}
