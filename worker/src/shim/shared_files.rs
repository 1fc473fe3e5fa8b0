//! What a program leaves outside of its temporary directory: files in the machine's shared
//! temporary directories, and objects of System V and POSIX communication.
//!
//! Where the worker is root, every attempt has a group id of its own, which the kernel gives to
//! what the attempt creates. After its end, what carries that id is removed from the places below.
//! A worker that is not root cannot tell its attempts' files apart and removes nothing.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, fstat, open, statat, unlinkat};
use rustix::io::Errno;

use super::kernel::{self, IpcObject};
use super::temporary;

/// The directories in which everybody may create files. Posix shared memory and message queues are
/// files too.
const PLACES: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"];

/// The group ids of attempts, far above those of people and services. The last number means "none".
const FIRST_GROUP: u32 = 2_000_000_000;
const GROUPS: u32 = u32::MAX - FIRST_GROUP;

/// A directory that changed less than this before the attempt began may change again without
/// another time of change.
const CLOCK_TICK: Duration = Duration::from_millis(50);

/// The group id of the attempt whose standard output is this pipe, of which either end will do.
/// `None` where the worker's user namespace has no such id.
///
/// Containers may share the places below, and each has its own process ids. So the id is the number
/// of the pipe, which the kernel counts for the whole machine: two attempts have the same only if
/// one still runs when the count has gone round, after two billion pipes, sockets and the like.
pub(crate) fn group_of(output: impl AsFd) -> Option<u32> {
    let group = numbered(output)?;
    let map = fs::read_to_string("/proc/self/gid_map").ok()?;
    let is_mapped = map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first.zip(count).is_some_and(|(first, count)| (first..first + count).contains(&u64::from(group)))
    });
    is_mapped.then_some(group)
}

fn numbered(output: impl AsFd) -> Option<u32> {
    let number = fstat(output).ok()?.st_ino;
    Some(FIRST_GROUP + (number % u64::from(GROUPS)) as u32)
}

/// When the shared directories changed last, as seen before the program started.
pub(super) struct Before([Option<SystemTime>; PLACES.len()]);

impl Before {
    pub(super) fn look() -> Self {
        Self(PLACES.map(settled_change))
    }
}

/// When a directory changed, unless that was just now.
fn settled_change(place: &str) -> Option<SystemTime> {
    let changed = changed(place)?;
    // A clock that went back counts as just now.
    changed.elapsed().is_ok_and(|age| age > CLOCK_TICK).then_some(changed)
}

fn changed(place: &str) -> Option<SystemTime> {
    fs::metadata(place).ok()?.modified().ok()
}

/// Removes everything with this group id. Places that have not changed are not read.
pub(super) fn remove_since(group: u32, before: &Before) -> Result<(), Errno> {
    let unchanged = |place, before: &Option<SystemTime>| before.is_some() && changed(place) == *before;
    let places = PLACES.into_iter().zip(&before.0);
    remove_in(group, places.filter(|(place, before)| !unchanged(place, before)).map(|(place, _)| place))
}

/// Removes everything with this group id.
pub(crate) fn remove(group: u32) -> Result<(), Errno> {
    remove_in(group, PLACES.into_iter())
}

fn remove_in<'a>(group: u32, places: impl Iterator<Item = &'a str>) -> Result<(), Errno> {
    let mut result = Ok(());
    for place in places {
        result = result.and(empty(place, group));
    }
    for (object, list) in
        [(IpcObject::Memory, "shm"), (IpcObject::Semaphores, "sem"), (IpcObject::Messages, "msg")]
    {
        let list = fs::read_to_string(Path::new("/proc/sysvipc").join(list)).unwrap_or_default();
        for id in created_by(group, &list) {
            kernel::remove_ipc(object, id);
        }
    }
    result
}

/// Removes the entries of a directory that have this group id. A place that does not exist is fine.
fn empty(place: &str, group: u32) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match open(place, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let mut result = Ok(());
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let Ok(found) = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if found.st_gid != group {
            continue;
        }
        let removed = match unlinkat(&directory, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => temporary::remove_at(&directory, name),
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        };
        result = result.and(removed);
    }
    result
}

/// The ids of the objects in a list of `/proc/sysvipc` whose creator had this group.
fn created_by(group: u32, list: &str) -> Vec<i32> {
    let mut lines = list.lines();
    let header = lines.next().unwrap_or_default();
    let Some(column) = header.split_ascii_whitespace().position(|name| name == "cgid") else {
        return Vec::new();
    };
    let id_of = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let creator: u32 = fields.get(column)?.parse().ok()?;
        (creator == group).then(|| fields.get(1)?.parse().ok())?
    };
    lines.filter_map(id_of).collect()
}

#[cfg(test)]
mod tests {
    use rustix::pipe::pipe;

    use super::*;

    #[test]
    fn every_attempt_has_a_group_that_its_worker_knows_too() {
        let pipes: Vec<_> = (0..100).map(|_| pipe().unwrap()).collect();
        let groups: Vec<_> = pipes.iter().map(|(reading, _)| numbered(reading).unwrap()).collect();
        for ((_, writing), group) in pipes.iter().zip(&groups) {
            assert_eq!(numbered(writing), Some(*group));
            assert_eq!(groups.iter().filter(|other| *other == group).count(), 1);
            assert!((FIRST_GROUP..u32::MAX).contains(group));
        }
    }

    #[test]
    fn objects_are_found_by_the_group_of_their_creator() {
        let list = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n\
                    0          7   600          1 65534     5 65534     9          0 1790000000\n\
                    0          8   600          1 65534     9 65534     5          0 1790000000\n";
        assert_eq!(created_by(9, list), [7]);
        assert_eq!(created_by(1, list), [0; 0]);
        assert_eq!(created_by(9, ""), [0; 0]);
    }
}
