-- Fairness: the jobs of a queue run by priority, then round, then age, and each lane has one job per round (docs/adr/0013).
-- Locks: an exclusive one on `jobs`, `schedules` and `live_jobs` while columns are added, which writes no row, and then one against writers while
-- the indexes of live jobs are made: seconds for a million.

-- Whose turn it counts as, if that is not its profile's.
ALTER TABLE jobs ADD COLUMN fairness_key text;
ALTER TABLE schedules ADD COLUMN fairness_key text;

-- The round is given when the job is ready for the first time; 0: before that, and of jobs from before this migration.
ALTER TABLE live_jobs
    ADD COLUMN fairness_key text,
    ADD COLUMN round        bigint NOT NULL DEFAULT 0;

DROP INDEX live_jobs_backlog;
CREATE INDEX live_jobs_backlog ON live_jobs (queue, priority DESC, round, job_id)
    WHERE state = 'queued' AND dispatched_at IS NULL AND parked_on IS NULL;
-- For the oldest one of a queue.
CREATE INDEX live_jobs_backlog_age ON live_jobs (queue, queued_at)
    WHERE state = 'queued' AND dispatched_at IS NULL AND parked_on IS NULL;
DROP INDEX live_jobs_parked;
CREATE INDEX live_jobs_parked ON live_jobs (parked_on, priority DESC, round, job_id) WHERE parked_on IS NOT NULL;
-- For lists by id of jobs in these states.
CREATE INDEX live_jobs_parked_id ON live_jobs (job_id) WHERE parked_on IS NOT NULL;
CREATE INDEX live_jobs_scheduled_id ON live_jobs (job_id) WHERE state = 'scheduled';

-- Those who share the jobs of one priority of a queue fairly, and the next round of each. A row is kept while its round is ahead of
-- what everybody would be given.
CREATE TABLE lanes (
    queue      text NOT NULL,
    priority   smallint NOT NULL,
    -- core/src/store/lanes.rs
    key        text NOT NULL,
    next_round bigint NOT NULL,
    -- How many were taken last; what the statement that takes them needs to know.
    taken      bigint NOT NULL,
    PRIMARY KEY (queue, priority, key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);

-- The round that is being run: that of what started last.
CREATE TABLE rounds (
    queue    text NOT NULL,
    priority smallint NOT NULL,
    round    bigint NOT NULL,
    PRIMARY KEY (queue, priority)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
