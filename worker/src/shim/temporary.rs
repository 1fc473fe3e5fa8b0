//! Creates and removes the temporary directory of one attempt.
//!
//! Its content was made by an untrusted program. Removing it must never follow a symbolic link,
//! must cope with directories without permissions, and must not need a descriptor or a stack frame
//! per level.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, chmodat, fchmod, fchown, mkdirat, open, openat, renameat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::protocol::RunAs;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Most names that are read from a directory at a time, so that millions of them do not fill
/// memory.
const BATCH: usize = 4096;

/// Creates the directory, private to the run-as user. Its parent must exist, and it must not.
pub(super) fn create(path: &Path, run_as: Option<RunAs>) -> Result<(), Errno> {
    let (parent, name) = split(path)?;
    mkdirat(&parent, name, Mode::RWXU)?;
    let directory = openat(&parent, name, DIRECTORY, Mode::empty())?;
    own(&directory, run_as)
}

/// Makes an open, new directory private to the run-as user.
pub(super) fn own(directory: &OwnedFd, run_as: Option<RunAs>) -> Result<(), Errno> {
    if let Some(user) = run_as {
        fchown(directory, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?;
    }
    fchmod(directory, Mode::RWXU)
}

/// Removes the directory and everything in it. Succeeds if it does not exist.
pub(crate) fn remove(path: &Path) -> Result<(), Errno> {
    let (parent, name) = split(path)?;
    let name = CString::new(name.as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
    remove_at(&parent, &name)
}

/// The same for a directory in an open one.
pub(super) fn remove_at(parent: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    match open_writable(parent, name) {
        Ok(directory) => empty(&directory)?,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error),
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

fn split(path: &Path) -> Result<(OwnedFd, &OsStr), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    let parent = open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((parent, name))
}

/// Empties `top`. Directories two levels down are moved up into `top` before their parent is
/// removed, so it never descends further, however deep the tree is.
fn empty(top: &OwnedFd) -> Result<(), Errno> {
    let mut moved: u64 = 0;
    loop {
        let names = names(top)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if remove_file(top, &name)? {
                continue;
            }
            let directory = open_writable(top, &name)?;
            loop {
                let inner = self::names(&directory)?;
                if inner.is_empty() {
                    break;
                }
                for inner in inner {
                    if !remove_file(&directory, &inner)? {
                        move_up(&directory, &inner, top, &mut moved)?;
                    }
                }
            }
            unlinkat(top, &name, AtFlags::REMOVEDIR)?;
        }
    }
}

/// Removes a file. Returns false if it is a directory.
fn remove_file(directory: &OwnedFd, name: &CString) -> Result<bool, Errno> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(error) => Err(error),
    }
}

fn move_up(from: &OwnedFd, name: &CString, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    loop {
        *moved += 1;
        match renameat(from, name, top, format!(".removed-{moved}")) {
            Ok(()) => return Ok(()),
            // The name is taken. The next number may be free.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            // Happens only to a worker that is not root, and a race can then only change the modes
            // of its own files.
            Err(Errno::ACCESS) => chmodat(from, name, Mode::RWXU, AtFlags::empty())?,
            Err(error) => return Err(error),
        }
    }
}

/// Opens a directory and makes its entries removable.
fn open_writable(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let directory = match openat(parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            chmodat(parent, name, Mode::RWXU, AtFlags::empty())?; // as in `move_up`
            openat(parent, name, DIRECTORY, Mode::empty())?
        }
        answer => answer?,
    };
    // If this fails and matters, removing the entries fails too.
    fchmod(&directory, Mode::RWXU).ok();
    Ok(directory)
}

fn names(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
        if names.len() == BATCH {
            break;
        }
    }
    Ok(names)
}
