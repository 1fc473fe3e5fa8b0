//! What a storm came to.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use crate::{faults::Fault, ledger, load::Load};

/// Where the report goes, if anywhere: `CALLBOARD_CHAOS_REPORT`, a directory.
const DIRECTORY: &str = "CALLBOARD_CHAOS_REPORT";

pub(crate) struct Report {
    seed: u64,
    lasted: Duration,
    faults: BTreeMap<Fault, usize>,
    jobs: usize,
    attempts: usize,
    pub(crate) violations: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        lasted: Duration,
        faults: &BTreeMap<Fault, usize>,
        load: &Load,
        violations: Vec<String>,
    ) -> Self {
        let attempts = ledger::read(&load.ledger).len();
        Self { seed, lasted, faults: faults.clone(), jobs: load.jobs().len(), attempts, violations }
    }

    /// Into a file named after the seed.
    pub(crate) fn write(&self) {
        let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("chaos-{}.md", self.seed)), self.to_string()).unwrap();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = std::env::var("CALLBOARD_CHAOS_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
        let all: usize = self.faults.values().sum();
        writeln!(f, "# Chaos, seed {}\n", self.seed)?;
        writeln!(
            f,
            "Commit {commit}; {} s with the end; {} jobs, {} attempts that ran.\n",
            self.lasted.as_secs(),
            self.jobs,
            self.attempts
        )?;
        writeln!(f, "| fault | times |\n|---|---:|")?;
        for (fault, count) in &self.faults {
            writeln!(f, "| {fault:?} | {count} |")?;
        }
        writeln!(f, "| all | {all} |\n\nViolations: {}", self.violations.len())?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "- {violation}"))
    }
}
