//! The socket between the worker and its forker: one request, one reply, with descriptors.
//!
//! No data of an attempt is sent here.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Fork a shim. Carries its socket and its program's standard input, output and error. The reply is
/// the shim's process id, with a pidfd.
pub(crate) const FORK: i32 = 1;
/// Kill the leftovers of killed shims. The reply is [`DONE`] or [`FAILED`].
pub(crate) const CLEAR: i32 = 2;
/// Reply to a [`CLEAR`] that left nothing.
pub(crate) const DONE: i32 = 0;
/// Reply to a request that could not be done.
pub(crate) const FAILED: i32 = -1;

/// Most descriptors of one message.
const DESCRIPTORS_MAX: usize = 4;

/// Sends a number and descriptors in one message.
pub(crate) fn send(socket: BorrowedFd<'_>, number: i32, descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::TOOBIG);
    }
    let bytes = number.to_le_bytes();
    loop {
        match sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            answer => return answer.map(drop),
        }
    }
}

/// Waits for a message. Returns `None` if the other side has closed its end.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> Result<Option<(i32, Vec<OwnedFd>)>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut bytes = [0; 4];
    loop {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let received = match recvmsg(socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => continue,
            Err(Errno::CONNRESET) => return Ok(None),
            answer => answer?,
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(Errno::MFILE); // no room for more descriptors
        }
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        return Ok(Some((i32::from_le_bytes(bytes), descriptors)));
    }
}
