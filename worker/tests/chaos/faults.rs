//! The storm: injects faults into workers, shims, the API, Postgres and Redis, and undoes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use callboard::clock::{self, Time};
use callboard_test_support::{Child, Server, redis_cli};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    dice::Dice,
    forger::Forger,
    system::{System, children, family},
    weather::Weather,
};

const WORKERS: usize = 3;
const SLOTS: u16 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillWorker,
    StopWorker,
    DrainWorker,
    KillShim,
    KillChild,
    KillApi,
    KillPostgres,
    RestartPostgres,
    FreezePostgres,
    KillRedis,
    FlushRedis,
    FreezeRedis,
    ForgeSettlement,
    ForgeLine,
}

/// What undoes a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    ThawWorker(u32),
    StartPostgres,
    ThawPostgres,
    StartRedis,
    ThawRedis,
}

/// Which workers may lose attempts, and when, by process id.
#[derive(Debug, Default)]
pub(crate) struct Shaken {
    /// With the time, because a long storm may reuse process ids.
    pub(crate) killed: Vec<(u32, Time)>,
    pub(crate) drained: BTreeSet<u32>,
    pub(crate) shims_killed: BTreeSet<u32>,
    /// When each was stopped and continued.
    pub(crate) stopped: Vec<(u32, Time, Option<Time>)>,
}

pub(crate) struct Storm {
    pub(crate) system: System,
    postgres: Server,
    redis: Server,
    forger: Forger,
    weather: Weather,
    dice: Dice,
    next_at: Instant,
    remedies: Vec<(Instant, Remedy)>,
    pub(crate) faults: BTreeMap<Fault, usize>,
    pub(crate) shaken: Shaken,
}

impl Storm {
    pub(crate) fn new(weather: Weather, system: System, postgres: Server, redis: Server, dice: Dice) -> Self {
        Self {
            system,
            forger: Forger::new(postgres.url()),
            postgres,
            redis,
            weather,
            dice,
            next_at: Instant::now(),
            remedies: Vec::new(),
            faults: BTreeMap::new(),
            shaken: Shaken::default(),
        }
    }

    /// Restarts the API and workers that have ended, as a supervisor does. They wait for Postgres
    /// themselves.
    pub(crate) fn fill_up(&mut self) {
        self.system.keep_api();
        self.system.workers.retain_mut(Child::is_running);
        while self.system.workers.len() < WORKERS {
            let worker = self.system.spawn_worker(SLOTS);
            self.system.note(&format!("worker {}", worker.pid()));
            self.system.workers.push(worker);
        }
    }

    /// Undoes the faults that are due, and injects the next one if it is time.
    pub(crate) async fn blow(&mut self) {
        let now = Instant::now();
        let (due, later) = self.remedies.drain(..).partition(|(at, _)| *at <= now);
        self.remedies = later;
        for (_, remedy) in due {
            self.undo(remedy).await;
        }
        self.fill_up();
        if self.next_at <= now {
            self.next_at = now + self.weather.until_next(&mut self.dice);
            let fault = self.weather.fault(&mut self.dice);
            if self.strike(fault).await {
                self.system.note(&format!("{fault:?}"));
                *self.faults.entry(fault).or_default() += 1;
            }
        }
    }

    /// Undoes all faults.
    pub(crate) async fn calm_down(&mut self) {
        for (_, remedy) in std::mem::take(&mut self.remedies) {
            self.undo(remedy).await;
        }
        self.fill_up();
    }

    fn later(&mut self, remedy: Remedy) {
        self.remedies.push((Instant::now() + self.weather.pause(&mut self.dice), remedy));
    }

    fn is_down(&self, ours: &[Remedy]) -> bool {
        self.remedies.iter().any(|(_, remedy)| ours.contains(remedy))
    }

    /// Injects a fault. Returns false if it is not possible now.
    async fn strike(&mut self, fault: Fault) -> bool {
        let has_postgres = !self.is_down(&[Remedy::StartPostgres, Remedy::ThawPostgres]);
        let has_redis = !self.is_down(&[Remedy::StartRedis, Remedy::ThawRedis]);
        match fault {
            Fault::KillWorker | Fault::StopWorker | Fault::DrainWorker => return self.strike_worker(fault),
            Fault::KillShim => return self.kill_shim(),
            Fault::KillChild => return self.kill_child(),
            Fault::KillApi => self.system.kill_api(),
            Fault::ForgeSettlement if has_postgres => return self.forger.forge_settlement().await,
            Fault::ForgeLine if has_postgres => return self.forger.line().await,
            Fault::KillPostgres if has_postgres => {
                self.postgres.kill();
                self.later(Remedy::StartPostgres);
            }
            Fault::FreezePostgres if has_postgres => {
                self.postgres.freeze();
                self.later(Remedy::ThawPostgres);
            }
            Fault::RestartPostgres if has_postgres => self.postgres.restart().await,
            Fault::KillRedis if has_redis => {
                self.redis.kill();
                self.later(Remedy::StartRedis);
            }
            Fault::FreezeRedis if has_redis => {
                self.redis.freeze();
                self.later(Remedy::ThawRedis);
            }
            Fault::FlushRedis if has_redis => return redis_cli(&self.redis, &["FLUSHALL"]) == "OK\n",
            Fault::KillPostgres
            | Fault::FreezePostgres
            | Fault::RestartPostgres
            | Fault::KillRedis
            | Fault::FreezeRedis
            | Fault::FlushRedis
            | Fault::ForgeSettlement
            | Fault::ForgeLine => return false,
        }
        true
    }

    fn strike_worker(&mut self, fault: Fault) -> bool {
        let stopped: Vec<u32> = self
            .remedies
            .iter()
            .filter_map(|(_, remedy)| if let Remedy::ThawWorker(pid) = remedy { Some(*pid) } else { None })
            .collect();
        let standing: Vec<usize> = (0..self.system.workers.len())
            .filter(|index| !stopped.contains(&self.system.workers[*index].pid()))
            .collect();
        let Some(&index) = self.dice.of(&standing) else { return false };
        let pid = self.system.workers[index].pid();
        self.system.note(&format!("{fault:?} {pid}"));
        let worker = &mut self.system.workers[index];
        if fault == Fault::DrainWorker {
            self.shaken.drained.insert(pid);
            worker.signal(Signal::TERM);
            return true;
        }
        if fault == Fault::KillWorker {
            self.shaken.killed.push((pid, clock::now()));
            worker.signal(Signal::KILL);
        } else {
            self.shaken.stopped.push((pid, clock::now(), None));
            worker.signal(Signal::STOP);
            self.later(Remedy::ThawWorker(pid));
        }
        true
    }

    /// Kills one shim of a worker. The worker has to end its attempt.
    fn kill_shim(&mut self) -> bool {
        let workers: Vec<u32> = self.system.workers.iter().map(Child::pid).collect();
        let Some(&worker) = self.dice.of(&workers) else { return false };
        let shims: Vec<u32> = children(worker).into_iter().flat_map(children).collect();
        let Some(&shim) = self.dice.of(&shims) else { return false };
        self.shaken.shims_killed.insert(worker);
        kill(shim)
    }

    /// Kills any process of an attempt: a shell, a browser, a part of a browser.
    fn kill_child(&mut self) -> bool {
        let workers = self.system.workers.iter().map(Child::pid);
        let shims = workers.flat_map(children).flat_map(children);
        let all: Vec<u32> = shims.flat_map(family).collect();
        self.dice.of(&all).is_some_and(|child| kill(*child))
    }

    async fn undo(&mut self, remedy: Remedy) {
        self.system.note(&format!("{remedy:?}"));
        match remedy {
            Remedy::ThawWorker(pid) => {
                let worker = self.system.workers.iter_mut().find(|worker| worker.pid() == pid);
                if let Some(worker) = worker {
                    worker.signal(Signal::CONT);
                }
                let mut stopped = self.shaken.stopped.iter_mut().rev();
                if let Some(stopped) = stopped.find(|(stopped, ..)| *stopped == pid) {
                    stopped.2 = Some(clock::now());
                }
            }
            Remedy::StartPostgres => self.postgres.start().await,
            Remedy::ThawPostgres => self.postgres.thaw(),
            Remedy::StartRedis => self.redis.start().await,
            Remedy::ThawRedis => self.redis.thaw(),
        }
    }
}

/// Returns whether the process existed.
fn kill(pid: u32) -> bool {
    Pid::from_raw(pid.cast_signed()).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}
