//! Finds the unprivileged user that programs run as. Called once, when the worker starts.

use std::fs;

use rustix::process::geteuid;

use super::RunAs;

/// Who runs the programs when nothing is configured.
const DEFAULT_USER: &str = "nobody";

/// There is no such user to run programs as.
#[derive(Debug, thiserror::Error)]
pub enum RunAsError {
    /// The list of users cannot be read.
    #[error("/etc/passwd: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The user is not in it.
    #[error("/etc/passwd has no user {0:?} to run programs as")]
    Unknown(String),
    /// The user is root itself.
    #[error("the user {0:?} is root, and programs must not run as root")]
    Root(String),
}

impl RunAs {
    /// The named user (default: `nobody`) when this process is root, nobody else when it is not: then programs run
    /// as the worker's own user, since it has no choice.
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
