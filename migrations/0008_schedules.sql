-- Schedules: what is to be enqueued when, and which jobs came of it (docs/adr/0012).
-- Locks: an exclusive one on `jobs` and `live_jobs` while columns are added, which writes no row, and then one against writers
-- while the indexes are made: they are empty at first, for which all rows are read once; some seconds for ten million.

CREATE TABLE schedules (
    id           uuid PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    cron         text NOT NULL,
    timezone     text NOT NULL,
    overlap      text NOT NULL CHECK (overlap IN ('skip', 'allow', 'cancel_running')),
    catch_up_ms  bigint NOT NULL CHECK (catch_up_ms >= 0),
    is_paused    boolean NOT NULL,
    -- What each firing enqueues. Null: as the command, the profile or the defaults have it at that time.
    command_id   uuid NOT NULL REFERENCES commands,
    profile_id   uuid REFERENCES profiles,
    proxy_id     uuid REFERENCES proxies,
    service_ids  uuid[],
    queue        text,
    priority     smallint CHECK (priority BETWEEN 0 AND 9),
    -- A part of a policy, laid over the command's.
    policy       jsonb,
    labels       text[] NOT NULL,
    input        jsonb NOT NULL,
    -- Values of writeOnly properties, sealed; their places in `input` hold "***".
    input_sealed bytea,
    -- The first time that is neither fired nor passed over. Null: paused, or no time is left.
    next_at      timestamptz,
    -- The time of the last firing that enqueued a job; why the last one enqueued nothing, if it was refused.
    last_at      timestamptz,
    last_failure text,
    version      integer NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (NOT is_paused OR next_at IS NULL)
);
CREATE INDEX schedules_next ON schedules (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX schedules_command ON schedules (command_id);
CREATE INDEX schedules_profile ON schedules (profile_id) WHERE profile_id IS NOT NULL;
CREATE INDEX schedules_proxy ON schedules (proxy_id) WHERE proxy_id IS NOT NULL;

-- So that deleting one of them is refused.
CREATE TABLE schedule_services (
    schedule_id uuid NOT NULL REFERENCES schedules ON DELETE CASCADE,
    service_id  uuid NOT NULL REFERENCES services,
    PRIMARY KEY (schedule_id, service_id)
);
CREATE INDEX schedule_services_service ON schedule_services (service_id);

-- The schedule that a job came of, which may have been deleted, and the time that it was due: at most one job for each.
ALTER TABLE jobs
    ADD COLUMN schedule_id uuid,
    ADD COLUMN due_at      timestamptz,
    ADD CONSTRAINT jobs_due CHECK ((schedule_id IS NULL) = (due_at IS NULL)) NOT VALID;
CREATE UNIQUE INDEX jobs_due ON jobs (schedule_id, due_at) WHERE schedule_id IS NOT NULL;
CREATE INDEX jobs_schedule ON jobs (schedule_id, id) WHERE schedule_id IS NOT NULL;

-- Whether a schedule's last job is still about.
ALTER TABLE live_jobs ADD COLUMN schedule_id uuid;
CREATE INDEX live_jobs_schedule ON live_jobs (schedule_id) WHERE schedule_id IS NOT NULL;

-- For lists of blocked jobs.
CREATE INDEX live_jobs_blocked ON live_jobs (job_id) WHERE state = 'blocked';
