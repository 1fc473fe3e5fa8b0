//! One attempt's hold on a browser profile: an flock that lives as long as any process of the attempt, and the
//! sweeping of Chromium's own, unreliable lock. Called by the shim, and by the worker when the shim was killed.
//!
//! Chromium's `SingletonLock` is not to be trusted: it is stolen between containers and ignored by the headless
//! shell, and after a crash on another host it never goes away. It must be removed, and only while the flock is held.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, fchmod, flock, fstat, mkdirat, open, openat, unlinkat,
};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::protocol::{ProfileDirectory, RefusalCode, RunAs};
use super::temporary::own;

/// The lock's descriptor in every process of the tree. High, because Node marks low descriptors close-on-exec
/// up to the first gap above 15.
const LOCK_DESCRIPTOR: i32 = 198;

const SINGLETONS: [&str; 3] = ["SingletonLock", "SingletonCookie", "SingletonSocket"];

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why the profile is not to be had.
pub(super) enum Denied {
    /// Another attempt, or what is left of one, has it.
    Busy,
    /// It cannot be used at all.
    Refused(RefusalCode, String),
}

/// A profile that is ours.
pub(super) struct Profile {
    directory: OwnedFd,
    /// Not close-on-exec: the tree inherits it.
    _lock: OwnedFd,
}

impl Profile {
    /// Locks the profile without waiting, makes its directory when missing, and sweeps what a crash left there.
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

    /// Sweeps and unlocks. To be called when the last process of the tree is dead.
    pub(super) fn release(self) {
        sweep(&self.directory);
    }
}

/// Sweeps a profile whose shim was killed. When another attempt has it already, that one has swept it.
pub(crate) fn sweep_if_free(place: &ProfileDirectory) -> Result<(), Errno> {
    let (parent, name) = walk(place, false)?;
    let _lock = match lock(&parent, &name) {
        Err(Errno::WOULDBLOCK) => return Ok(()),
        answer => answer?,
    };
    sweep(&openat(&parent, &name, DIRECTORY, Mode::empty())?);
    Ok(())
}

/// Opens the directory that contains the profile's, without following a link below the root.
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
                // The run-as user must be able to pass through, not to look around.
                fchmod(&made, Mode::RWXU | Mode::XGRP | Mode::XOTH)?;
                made
            }
            answer => answer?,
        };
    }
    Ok((directory, last))
}

/// Takes the lock, whose file lies next to the profile's directory: inside, the browser's user could remove it.
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

/// Removes Chromium's locks: symbolic links, mostly dangling, hence unlinked without a look.
fn sweep(directory: &OwnedFd) {
    for name in SINGLETONS {
        unlinkat(directory, name, AtFlags::empty()).ok();
    }
}
