//! Why the kernel did not start a program, in words that say what to do.
//!
//! The kernel's own answers mislead: "No such file or directory" also means that a script's
//! interpreter is missing, or that its name ends with the carriage return of a Windows line end.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Bytes of a program that are looked at. The kernel reads as many for the first line of a script.
const HEAD_BYTES: u64 = 256;
const ELF: &[u8] = b"\x7FELF";
/// How a program for Windows begins.
const MZ: &[u8] = b"MZ";

/// The reason as a sentence without a full stop, beginning with the program's path.
pub(super) fn reason(program: &Path, error: &Error) -> String {
    let head = head(program);
    let kind = error.kind();
    let why = if kind == ErrorKind::NotFound {
        missing(&head)
    } else if kind == ErrorKind::PermissionDenied && program.is_dir() {
        Some("is a directory".to_owned())
    } else if kind == ErrorKind::PermissionDenied {
        Some(format!(
            "{error}. It and its interpreter must be executable for the user that programs run as: chmod a+rx"
        ))
    } else if Errno::from_io_error(error) == Some(Errno::NOEXEC) {
        Some(not_executable(&head).to_owned())
    } else if kind == ErrorKind::ArgumentListTooLong {
        Some(format!("{error}. Pass long texts on standard input instead"))
    } else {
        None
    };
    let why = why.unwrap_or_else(|| error.to_string());
    format!("{}: {why}", program.display())
}

fn head(program: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    // An error leaves the head empty, and the kernel's own answer stands.
    // Not blocking, because it may be a FIFO.
    let opened = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(program);
    if let Ok(file) = opened {
        file.take(HEAD_BYTES).read_to_end(&mut head).ok();
    }
    head
}

/// The program exists, so what is missing is what would run it.
fn missing(head: &[u8]) -> Option<String> {
    if head.starts_with(ELF) {
        return Some(
            "the loader that it names is not on this machine. It was built for another system".into(),
        );
    }
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    let interpreter = text.trim_start().split([' ', '\t']).next()?.to_owned();
    if let Some(name) = interpreter.strip_suffix('\r') {
        return Some(format!(
            "its first line ends with CR LF, as on Windows, so the interpreter `{name}` is looked for under \
             a name with a carriage return. Save the file with LF line ends"
        ));
    }
    Some(format!("the interpreter `{interpreter}` of its first line does not exist"))
}

/// The file is there and may be executed, but is nothing that the kernel starts.
fn not_executable(head: &[u8]) -> &'static str {
    if head.starts_with(ELF) {
        "was built for another kind of processor, or is damaged"
    } else if head.starts_with(MZ) {
        "is a program for Windows"
    } else {
        "is not a program"
    }
}

/// Whether the kernel did not start a program because it is a script that names no interpreter.
/// Shells and `execvp` run it with `/bin/sh`.
pub(super) fn is_bare_script(program: &Path, error: &Error) -> bool {
    if Errno::from_io_error(error) != Some(Errno::NOEXEC) {
        return false;
    }
    let head = head(program);
    !head.starts_with(ELF) && !head.starts_with(MZ) && !head.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        for (content, errno, expected) in [
            (b"#!/bin/sh\r\necho\r\n".as_slice(), Errno::NOENT, "its first line ends with CR LF"),
            (b"#!/no/such/shell\n", Errno::NOENT, "the interpreter `/no/such/shell` of its first line"),
            (b"#! /no/such/shell -e\n", Errno::NOENT, "the interpreter `/no/such/shell`"),
            (b"\x00\x01", Errno::NOEXEC, "is not a program"),
            (b"MZ\x90\0", Errno::NOEXEC, "is a program for Windows"),
            (b"\x7FELF\x02\x01\x01\0", Errno::NOEXEC, "was built for another kind of processor"),
        ] {
            std::fs::write(&program, content).unwrap();
            let told = reason(&program, &errno.into());
            assert!(told.contains(expected), "{content:?}: {told}");
            assert!(!is_bare_script(&program, &errno.into()), "{content:?}");
        }
        for script in ["echo hello\n", "", "\u{feff}#!/bin/sh\n"] {
            std::fs::write(&program, script).unwrap();
            assert!(is_bare_script(&program, &Errno::NOEXEC.into()), "{script:?}");
        }
    }
}
