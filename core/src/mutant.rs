//! Mutants: defects that can be switched on, one at a time, to show that the chaos rig finds them.
//!
//! The steps and the worker check them where they keep the third law or a limit. Only `script/chaos
//! --mutant` builds with the feature `mutants`. Without it, every mutant is off at compile time.

/// A safeguard that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Outcomes are accepted from attempts that do not hold their job.
    SettleWithoutFence,
    /// Log lines are accepted from attempts that do not hold their job.
    LogWithoutFence,
    /// Workers are declared lost right after an outage of Postgres.
    RescueWithoutContact,
    /// A shim outlives its worker's lease.
    ShimWithoutDeadline,
    /// References that Redis has lost are not pushed again.
    DispatchWithoutReconciliation,
    /// A profile is not exclusive.
    ClaimWithoutExclusivity,
    /// The limits of services are ignored.
    ClaimWithoutLimits,
}

impl Mutant {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::SettleWithoutFence,
        Self::LogWithoutFence,
        Self::RescueWithoutContact,
        Self::ShimWithoutDeadline,
        Self::DispatchWithoutReconciliation,
        Self::ClaimWithoutExclusivity,
        Self::ClaimWithoutLimits,
    ];

    /// The value of `CALLBOARD_MUTANT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SettleWithoutFence => "settle-without-fence",
            Self::LogWithoutFence => "log-without-fence",
            Self::RescueWithoutContact => "rescue-without-contact",
            Self::ShimWithoutDeadline => "shim-without-deadline",
            Self::DispatchWithoutReconciliation => "dispatch-without-reconciliation",
            Self::ClaimWithoutExclusivity => "claim-without-exclusivity",
            Self::ClaimWithoutLimits => "claim-without-limits",
        }
    }

    /// Whether this process runs with this mutant.
    #[cfg(feature = "mutants")]
    pub fn is_on(self) -> bool {
        static CHOSEN: std::sync::OnceLock<Option<Mutant>> = std::sync::OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| {
            let name = std::env::var("CALLBOARD_MUTANT").ok()?;
            Self::ALL.into_iter().find(|mutant| mutant.as_str() == name)
        });
        *chosen == Some(self)
    }

    /// Always false without the feature.
    #[cfg(not(feature = "mutants"))]
    pub const fn is_on(self) -> bool {
        false
    }
}
