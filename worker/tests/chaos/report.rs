//! The report of a storm, in the format of docs/reliability.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use crate::{audit::Losses, faults::Fault, ledger, load::Load, weather::Weather};

/// The variable that names the report's directory. Without it there is no file.
const DIRECTORY: &str = "CALLBOARD_CHAOS_REPORT";

pub(crate) struct Report {
    weather: Weather,
    seed: u64,
    lasted: Duration,
    faults: BTreeMap<Fault, usize>,
    jobs: usize,
    attempts: usize,
    losses: Losses,
    pub(crate) violations: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        weather: Weather,
        seed: u64,
        lasted: Duration,
        faults: &BTreeMap<Fault, usize>,
        load: &Load,
        losses: Losses,
        violations: Vec<String>,
    ) -> Self {
        let attempts = ledger::read(&load.ledger).len();
        let (faults, jobs) = (faults.clone(), load.jobs().len());
        Self { weather, seed, lasted, faults, jobs, attempts, losses, violations }
    }

    /// Writes a file that is named after weather and seed.
    pub(crate) fn write(&self) {
        let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{}-{}.md", self.weather.name(), self.seed)), self.to_string())
            .unwrap();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = std::env::var("CALLBOARD_CHAOS_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
        let all: usize = self.faults.values().sum();
        writeln!(f, "# Report of the {} weather, seed {}\n", self.weather.name(), self.seed)?;
        writeln!(
            f,
            "Commit {commit}. The run took {} s, with recovery and audit. Jobs: {}. Attempts that ran: \
             {}.\n",
            self.lasted.as_secs(),
            self.jobs,
            self.attempts
        )?;
        writeln!(
            f,
            "Workers declared lost: {}, with {} attempts. Attempts that ended themselves because no lease was \
             renewed in time: {}.\n",
            self.losses.workers, self.losses.attempts, self.losses.fenced
        )?;
        writeln!(f, "| fault | times |\n|---|---:|")?;
        for (fault, count) in &self.faults {
            writeln!(f, "| {fault:?} | {count} |")?;
        }
        writeln!(f, "| total | {all} |\n\nViolations: {}", self.violations.len())?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "- {violation}"))
    }
}
