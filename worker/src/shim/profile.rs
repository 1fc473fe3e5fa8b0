//! Locks a browser profile for one attempt, and sweeps Chromium's own unreliable lock.
//!
//! The lock is an flock that lives as long as any process of the attempt. Chromium's
//! `SingletonLock` does not do: another container breaks it, the headless shell ignores it, and
//! after a crash on another host it stays for ever. It must be removed, and only while the flock is
//! held.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, fchmod, flock, fstat, mkdirat, open, openat, unlinkat,
};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::protocol::{ProfileDirectory, RefusalCode, RunAs};
use super::temporary::own;

/// The lock's descriptor in every process of the tree. High, because Node marks low descriptors
/// close-on-exec up to the first gap above 15.
const LOCK_DESCRIPTOR: i32 = 198;

const SINGLETONS: [&str; 3] = ["SingletonLock", "SingletonCookie", "SingletonSocket"];

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why the profile cannot be locked.
pub(super) enum Denied {
    /// Another attempt has it, or a process that is left of one.
    Busy,
    /// It cannot be used.
    Refused(RefusalCode, String),
}

/// A locked profile.
pub(super) struct Profile {
    directory: OwnedFd,
    /// Not close-on-exec, so that the tree inherits it.
    _lock: OwnedFd,
}

impl Profile {
    /// Locks the profile without waiting, creates its directory if it is missing, and sweeps
    /// Chromium's locks.
    pub(super) fn acquire(place: &ProfileDirectory, run_as: Option<RunAs>) -> Result<Self, Denied> {
        let refused = |message| Denied::Refused(RefusalCode::ProfilePath, message);
        let described =
            |error: Errno| refused(format!("{}: {error}", place.root.join(&place.relative).display()));
        let (parent, name) = walk(place, true).map_err(described)?;
        let lock = lock(&parent, &name).map_err(|error| match error {
            Errno::WOULDBLOCK => Denied::Busy,
            error => described(error),
        })?;
        let directory = match openat(&parent, &name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => create(&parent, &name, run_as),
            answer => answer,
        }
        .map_err(described)?;
        if let Some(user) = run_as {
            let owner = fstat(&directory).map_err(described)?.st_uid;
            if owner != user.uid {
                let path = place.root.join(&place.relative);
                let message = format!("{} belongs to user {owner}, not {}", path.display(), user.uid);
                return Err(refused(message));
            }
        }
        let inherited = fcntl_dupfd_cloexec(&lock, LOCK_DESCRIPTOR).map_err(described)?;
        fcntl_setfd(&inherited, FdFlags::empty()).map_err(described)?;
        sweep(&directory);
        Ok(Self { directory, _lock: inherited })
    }

    /// Sweeps and unlocks. To be called when the last process of the tree has ended.
    pub(super) fn release(self) {
        sweep(&self.directory);
    }
}

/// Sweeps a profile whose shim was killed. If another attempt has it already, that one has swept
/// it.
pub(crate) fn sweep_if_free(place: &ProfileDirectory) -> Result<(), Errno> {
    let (parent, name) = walk(place, false)?;
    let _lock = match lock(&parent, &name) {
        Err(Errno::WOULDBLOCK) => return Ok(()),
        answer => answer?,
    };
    sweep(&openat(&parent, &name, DIRECTORY, Mode::empty())?);
    Ok(())
}

/// Opens the parent of the profile's directory, without following a symbolic link below the root.
fn walk(place: &ProfileDirectory, create: bool) -> Result<(OwnedFd, OsString), Errno> {
    let mut names = Vec::new();
    for component in place.relative.components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
                return Err(Errno::INVAL);
            }
        }
    }
    let last = names.pop().ok_or(Errno::INVAL)?;
    let mut directory =
        open(Path::new(&place.root), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for name in names {
        directory = match openat(&directory, &name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) if create => {
                match mkdirat(&directory, &name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                let made = openat(&directory, &name, DIRECTORY, Mode::empty())?;
                // The run-as user may pass through but not list.
                fchmod(&made, Mode::RWXU | Mode::XGRP | Mode::XOTH)?;
                made
            }
            answer => answer?,
        };
    }
    Ok((directory, last))
}

/// Takes the lock. Its file is beside the profile's directory, because inside the browser's user
/// could remove it.
fn lock(parent: &OwnedFd, name: &OsString) -> Result<OwnedFd, Errno> {
    let mut file = OsString::from(".");
    file.push(name);
    file.push(".callboard-lock");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = openat(parent, &file, flags, Mode::RUSR | Mode::WUSR)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lock)
}

fn create(parent: &OwnedFd, name: &OsString, run_as: Option<RunAs>) -> Result<OwnedFd, Errno> {
    mkdirat(parent, name, Mode::RWXU)?;
    let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
    own(&directory, run_as)?;
    Ok(directory)
}

/// Removes Chromium's locks, which are mostly dangling symbolic links.
fn sweep(directory: &OwnedFd) {
    for name in SINGLETONS {
        unlinkat(directory, name, AtFlags::empty()).ok();
    }
}
