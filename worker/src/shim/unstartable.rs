//! Why the kernel did not start a program, in words that say what to do.
//!
//! The kernel's own answers mislead: "No such file or directory" also means that a script's
//! interpreter is missing, or that its name ends with the carriage return of a Windows line end.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Bytes of a program that are looked at. The kernel reads as many for the first line of a script.
const HEAD_BYTES: u64 = 256;
const ELF: &[u8] = b"\x7FELF";

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
