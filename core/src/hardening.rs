//! Hardening: keeps the secrets of this process from other processes of the machine.
//!
//! A process is given its secrets by its environment, which `/proc/PID/environ` shows for as long
//! as it lives, and which its children inherit. So both binaries wipe them once they are read, and
//! then forbid other processes of their user to read their memory.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// The fields of `/proc/self/stat` that say where arguments and environment begin and end, counted
/// after the name of the program (proc(5): 48 to 51).
const REGIONS: std::ops::Range<usize> = 45..49;

/// Secrets that only the API takes. A worker has them in its environment where both share one.
const OF_THE_API: [&str; 2] = ["CALLBOARD_API_KEY", "CALLBOARD_DEMO_PROXY_PASSWORD"];

/// Wipes secrets from this process's environment and arguments, and forbids other processes of the
/// same user to read its memory. To be called early, when the settings have been read.
///
/// A secret is what `command`, or a subcommand of it, takes with `hide_env_values`.
///
/// If `/proc` is not there or not ours, secrets may still be in the environment. That is logged,
/// and the rest is done nevertheless.
///
/// Returns an error if this process's memory can still be read. The caller must not go on then.
pub fn protect(command: &clap::Command) -> Result<(), Readable> {
    let mut secrets = Secrets::default();
    secrets.variables.extend(OF_THE_API.map(str::to_owned));
    secrets.collect(command);
    // A process whose memory others may not read may not open its own /proc/self/mem either, unless
    // it is root's.
    if let Err(error) = wipe(&secrets) {
        tracing::warn!(%error, "secrets could not be wiped from this process's environment");
    }
    Ok(forbid_reading()?)
}

/// This process could not be protected.
#[derive(Debug, thiserror::Error)]
#[error(
    "other processes of this user could read the secrets of this process, because the system did not let it become \
     undumpable (PR_SET_DUMPABLE) or forbid core dumps (RLIMIT_CORE): {0}. Allow prctl and setrlimit in the sandbox \
     that it runs in"
)]
pub struct Readable(#[from] io::Error);

/// Protects this process from other processes of the same user: they cannot read its memory and
/// environment (`/proc/PID/mem`, `/proc/PID/environ`), no debugger can attach, and it dumps no
/// core.
pub fn forbid_reading() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// The names of what is secret.
#[derive(Debug, Default)]
struct Secrets {
    /// `CALLBOARD_MASTER_KEY`.
    variables: BTreeSet<String>,
    /// `--master-key`.
    flags: BTreeSet<String>,
}

impl Secrets {
    fn collect(&mut self, command: &clap::Command) {
        for argument in command.get_arguments().filter(|argument| argument.is_hide_env_values_set()) {
            self.variables.extend(argument.get_env().and_then(|name| name.to_str()).map(str::to_owned));
            self.flags.extend(argument.get_long().map(|name| format!("--{name}")));
        }
        command.get_subcommands().for_each(|each| self.collect(each));
    }

    /// Whether an entry of the environment holds a secret.
    fn has_variable(&self, entry: &[u8]) -> bool {
        self.variables
            .iter()
            .any(|name| entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'=')))
    }

    /// Overwrites the secrets in a region of strings that end with NUL.
    fn blank(&self, region: &mut [u8], is_environment: bool) {
        let mut is_value = false;
        for entry in region.split_mut(|byte| *byte == 0) {
            let assigned = entry.iter().position(|byte| *byte == b'=').unwrap_or(entry.len());
            let is_flag = std::str::from_utf8(&entry[..assigned]).is_ok_and(|flag| self.flags.contains(flag));
            let from = if is_value || (is_environment && self.has_variable(entry)) {
                0
            } else if is_flag && !is_environment {
                (assigned + 1).min(entry.len())
            } else {
                entry.len()
            };
            is_value = is_flag && assigned == entry.len() && !is_environment;
            entry[from..].fill(0);
        }
    }
}

/// Wipes the strings that the kernel has put above the stack, which `/proc/PID/environ` and
/// `/proc/PID/cmdline` show. An entry without text is none for whoever reads the environment.
fn wipe(secrets: &Secrets) -> io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<u64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
        .unwrap_or_default();
    let Some(&[arguments, arguments_end, environment, environment_end]) = fields.get(REGIONS) else {
        return Err(io::Error::other("/proc/self/stat does not say where the environment is"));
    };
    let memory = OpenOptions::new().read(true).write(true).open("/proc/self/mem")?;
    for (from, to, is_environment) in
        [(arguments, arguments_end, false), (environment, environment_end, true)]
    {
        let length = to.saturating_sub(from) as usize;
        if from == 0 || length == 0 {
            continue;
        }
        let mut region = vec![0; length];
        memory.read_exact_at(&mut region, from)?;
        secrets.blank(&mut region, is_environment);
        memory.write_all_at(&region, from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    fn blanked(text: &str, is_environment: bool) -> String {
        let mut secrets = Secrets::default();
        let run = crate::settings::SharedSettings::augment_args(clap::Command::new("run"));
        secrets.collect(&clap::Command::new("callboard").subcommand(run));
        let mut region = text.as_bytes().to_vec();
        secrets.blank(&mut region, is_environment);
        assert_eq!(region.len(), text.len());
        String::from_utf8(region).unwrap().trim_matches('\0').to_owned()
    }

    #[test]
    fn secrets_are_blanked_and_nothing_else() {
        let environment = "A=1\0DATABASE_URL=postgres://u:pw@h\0REDIS_URL=redis://:pw@h\0\
                           CALLBOARD_MASTER_KEY=a=b\0CALLBOARD_OTHER_MASTER_KEYS=pw,pw\0\
                           CALLBOARD_MASTER_KEY_FILE=/f\0";
        let left = blanked(environment, true);
        assert!(left.starts_with("A=1\0") && left.ends_with("\0CALLBOARD_MASTER_KEY_FILE=/f"), "{left:?}");
        assert!(!left.contains("pw") && !left.contains("a=b"), "{left:?}");

        let arguments = "callboard\0run\0--master-key\0pw\0--redis-url=pw\0--log\0info\0--database-url\0pw\0";
        let left = blanked(arguments, false);
        assert!(!left.contains("pw"), "{left:?}");
        for kept in ["callboard\0run\0--master-key\0", "--redis-url=\0", "--log\0info\0--database-url"] {
            assert!(left.contains(kept), "{left:?}");
        }
        assert_eq!(blanked("x\0--master-key", false), "x\0--master-key");
        assert_eq!(blanked("--log\0--master-key", true), "--log\0--master-key");
    }

    #[test]
    fn a_region_of_any_form_is_blanked() {
        for text in ["", "\0", "=", "DATABASE_URL", "DATABASE_URL=", "\0\0DATABASE_URL=pw"] {
            assert!(!blanked(text, true).contains("pw"), "{text:?}");
        }
    }
}
