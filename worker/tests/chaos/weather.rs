//! The weather of a storm: which faults come, how often, and how long they last.

use std::{process::Command, time::Duration};

use callboard_test_support::Child;

use crate::{dice::Dice, faults::Fault};

/// Each fault's share in a storm. Faults of Postgres are rare, because no worker is rescued within
/// a lease of an outage.
const FAULTS: [(Fault, usize); 14] = [
    (Fault::KillWorker, 14),
    (Fault::StopWorker, 20),
    (Fault::DrainWorker, 4),
    (Fault::KillShim, 8),
    (Fault::KillChild, 8),
    (Fault::KillApi, 6),
    (Fault::KillPostgres, 3),
    (Fault::RestartPostgres, 2),
    (Fault::FreezePostgres, 3),
    (Fault::KillRedis, 6),
    (Fault::FlushRedis, 6),
    (Fault::FreezeRedis, 6),
    (Fault::ForgeSettlement, 9),
    (Fault::ForgeLine, 9),
];
/// Ranges in milliseconds. Pauses are short, or longer than a lease of eight seconds.
const EVERY: (u64, u64) = (400, 2_000);
const SHORT: (u64, u64) = (100, 3_000);
const LONG: (u64, u64) = (9_000, 16_000);
/// In [`Weather::Outages`].
const OUTAGE_EVERY: (u64, u64) = (12_000, 22_000);
/// Stalls of Postgres, in [`Weather::Starved`].
const STALL_EVERY: (u64, u64) = (12_000, 40_000);
const STALL: Duration = Duration::from_secs(5);
const BUSY_LOOPS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every fault.
    Storm,
    /// Other programs take the processors, and Postgres sometimes stalls for five seconds. No
    /// worker may be declared lost.
    Starved,
    /// Postgres is sometimes down for longer than a lease. No worker may be declared lost.
    Outages,
}

impl Weather {
    /// From `CALLBOARD_CHAOS_WEATHER`, by default `storm`.
    pub(crate) fn from_environment() -> Self {
        match std::env::var("CALLBOARD_CHAOS_WEATHER").as_deref() {
            Ok("starved") => Self::Starved,
            Ok("outages") => Self::Outages,
            Err(_) | Ok("storm") => Self::Storm,
            Ok(other) => panic!("unknown weather: {other}"),
        }
    }

    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Storm => "chaos",
            Self::Starved => "starved",
            Self::Outages => "outages",
        }
    }

    /// Starts the programs that take processor time until they are dropped.
    pub(crate) fn busy_loops(self) -> Vec<Child> {
        let count = match self {
            Self::Storm | Self::Outages => 0,
            Self::Starved => BUSY_LOOPS,
        };
        let start = |_| Child::spawn(Command::new("/bin/sh").args(["-c", "while :; do :; done"]));
        (0..count).map(start).collect()
    }

    pub(crate) fn until_next(self, dice: &mut Dice) -> Duration {
        match self {
            Self::Storm => millis(dice, EVERY),
            Self::Starved => millis(dice, STALL_EVERY),
            Self::Outages => millis(dice, OUTAGE_EVERY),
        }
    }

    pub(crate) fn fault(self, dice: &mut Dice) -> Fault {
        match self {
            Self::Storm => {
                let all: Vec<Fault> = FAULTS.iter().flat_map(|(fault, times)| vec![*fault; *times]).collect();
                *dice.of(&all).unwrap()
            }
            Self::Starved => Fault::FreezePostgres,
            Self::Outages if dice.percent(50) => Fault::FreezePostgres,
            Self::Outages => Fault::KillPostgres,
        }
    }

    /// How long a fault lasts.
    pub(crate) fn pause(self, dice: &mut Dice) -> Duration {
        match self {
            Self::Storm if dice.percent(50) => millis(dice, LONG),
            Self::Outages => millis(dice, LONG),
            Self::Storm => millis(dice, SHORT),
            Self::Starved => STALL,
        }
    }
}

fn millis(dice: &mut Dice, (low, high): (u64, u64)) -> Duration {
    Duration::from_millis(dice.between(low, high))
}
