-- Limits: what admins declare for services, proxies and queues, and the gates at which jobs take turns (docs/adr/0011).
-- Commands keep theirs in their policy.
-- Locks: an exclusive one on `services`, `proxies` and `live_jobs` while columns are added, which writes no row; an exclusive one on
-- `attempts` while their outcomes are checked: a second for ten million.

ALTER TABLE services
    ADD COLUMN rate_limits jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(rate_limits) = 'array'),
    ADD COLUMN max_concurrency integer CHECK (max_concurrency > 0);

ALTER TABLE proxies
    ADD COLUMN rate_limits jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(rate_limits) = 'array'),
    ADD COLUMN max_concurrency integer CHECK (max_concurrency > 0);

-- The limits of the job's command, resolved when it was enqueued: {"command", "maxConcurrency", "rateLimits"}. Null: none.
-- The keys that it has been called for since it is ready: at those it does not wait behind others any more.
ALTER TABLE live_jobs
    ADD COLUMN command_limits jsonb,
    ADD COLUMN called_for text[] NOT NULL DEFAULT '{}';

-- One row for each thing that has limits and has been claimed through. Its lock orders whoever takes from it.
CREATE TABLE gates (
    -- As live_jobs.parked_on and holds.key.
    key         text PRIMARY KEY,
    -- Buckets, what a service says is left, whether it is shut (core/src/limit/gate.rs).
    state       jsonb NOT NULL DEFAULT '{}',
    -- Whether jobs are parked on it: set by the claim that parks, cleared by the call that finds none.
    has_waiters boolean NOT NULL DEFAULT false,
    -- The limits as the claim knew them that parked last: how many to call.
    demand      jsonb,
    -- When the parked are to be looked at again; null: not a matter of time.
    wake_at     timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX gates_wake ON gates (wake_at) WHERE wake_at IS NOT NULL;

-- An attempt to which a service said "not now".
ALTER TABLE attempts DROP CONSTRAINT attempts_outcome_check;
ALTER TABLE attempts ADD CONSTRAINT attempts_outcome_check CHECK
    (outcome IN ('succeeded', 'failed', 'timed_out', 'cancelled', 'lost', 'released', 'throttled')) NOT VALID;
ALTER TABLE attempts VALIDATE CONSTRAINT attempts_outcome_check;

-- Jobs that were parked before there were gates.
INSERT INTO gates (key, has_waiters, demand)
SELECT DISTINCT parked_on, true, '{"maxConcurrency": 1}'::jsonb FROM live_jobs WHERE parked_on IS NOT NULL;
