//! Defects that can be switched on, one at a time, to show that the chaos rig finds them.
//!
//! Asked by the steps and by the worker at the places that keep the third law, or a limit. Without the feature `mutants`, which nothing
//! but `script/chaos --mutant` builds with, the answer is a constant no.

/// A place where a safeguard is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A verdict is taken from whoever brings it.
    SettleWithoutFence,
    /// Lines are taken from whoever brings them.
    LogWithoutFence,
    /// Workers are declared lost right after an outage of Postgres.
    RescueWithoutContact,
    /// A shim outlives its worker's lease.
    ShimWithoutDeadline,
    /// What Redis has forgotten is not pushed again.
    DispatchWithoutReconciliation,
    /// A profile is given to whoever asks.
    ClaimWithoutExclusivity,
    /// Nobody asks the limits of services.
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

    /// As `CALLBOARD_MUTANT` names it.
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

    /// Whether this process is this mutant.
    #[cfg(feature = "mutants")]
    pub fn is_on(self) -> bool {
        static CHOSEN: std::sync::OnceLock<Option<Mutant>> = std::sync::OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| {
            let name = std::env::var("CALLBOARD_MUTANT").ok()?;
            Self::ALL.into_iter().find(|mutant| mutant.as_str() == name)
        });
        *chosen == Some(self)
    }

    /// Never: see the module.
    #[cfg(not(feature = "mutants"))]
    pub const fn is_on(self) -> bool {
        false
    }
}
