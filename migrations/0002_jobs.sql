-- Jobs, in three tables by temperature (docs/adr/0003):
--   jobs        the wide record of what was asked; written once, never updated
--   live_jobs   the narrow row that changes, while the job is not over; also the fence of its attempt
--   ended_jobs  how it ended; written once, removed only by a retry or with the job
-- References to the catalogue are foreign keys. Inside this family they are not: each would lock or cascade row by
-- row on the hot path, and the rows are only ever written together, by the steps, under the live row's lock.
-- A job has exactly one row in live_jobs or in ended_jobs: every step moves it within one transaction.
-- Locks: none that matter, the tables are new. Takes milliseconds.

CREATE TABLE queues (
    name            text PRIMARY KEY,
    is_paused       boolean NOT NULL DEFAULT false,
    max_concurrency integer CHECK (max_concurrency > 0),
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE jobs (
    id                 uuid PRIMARY KEY,
    command_version_id uuid NOT NULL REFERENCES command_versions,
    command_id         uuid NOT NULL,
    queue              text NOT NULL,
    priority           smallint NOT NULL CHECK (priority BETWEEN 0 AND 9),
    profile_id         uuid,
    proxy_id           uuid,
    service_ids        uuid[] NOT NULL DEFAULT '{}',
    input              jsonb NOT NULL,
    -- Values of writeOnly properties, sealed; their places in `input` hold "***".
    input_sealed       bytea,
    labels             text[] NOT NULL DEFAULT '{}',
    -- Null: the policy of the command version.
    policy             jsonb,
    run_at             timestamptz NOT NULL,
    idempotency_key    text,
    -- Keyed hash of the whole request, so that the same key with other input is told apart.
    idempotency_hash   bytea,
    created_at         timestamptz NOT NULL,
    CHECK ((idempotency_key IS NULL) = (idempotency_hash IS NULL))
);
CREATE UNIQUE INDEX jobs_idempotency_key ON jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;
-- For lists by command, profile and label; ids sort by time. No index knows the state.
CREATE INDEX jobs_command ON jobs (command_id, id);
CREATE INDEX jobs_profile ON jobs (profile_id, id) WHERE profile_id IS NOT NULL;
CREATE INDEX jobs_labels ON jobs USING gin (labels) WHERE labels <> '{}';

CREATE TABLE live_jobs (
    job_id            uuid PRIMARY KEY,
    queue             text NOT NULL,
    priority          smallint NOT NULL,
    state             text NOT NULL CHECK (state IN ('blocked', 'scheduled', 'queued', 'running')),
    version           integer NOT NULL,
    run_at            timestamptz NOT NULL,
    is_retry          boolean NOT NULL DEFAULT false,
    queued_at         timestamptz,
    expires_at        timestamptz,
    -- Set when a reference was handed to Redis; compared with Redis every second (steps/dispatch).
    dispatched_at     timestamptz,
    parked_on         text,
    profile_id        uuid REFERENCES profiles,
    proxy_id          uuid REFERENCES proxies,
    -- Number of the newest attempt; attempts that counted, and that were lost, since the last retry by hand.
    attempt           integer NOT NULL DEFAULT 0,
    counted           integer NOT NULL DEFAULT 0,
    lost              integer NOT NULL DEFAULT 0,
    -- The running attempt: id (the fencing token), its worker, the proxy chosen for it.
    attempt_id        uuid,
    worker_id         uuid,
    attempt_proxy_id  uuid,
    attempt_at        timestamptz,
    started_at        timestamptz,
    cancel_asked_at   timestamptz,
    progress_fraction double precision CHECK (progress_fraction BETWEEN 0 AND 1),
    progress_message  text,
    -- Sequence of the last log line, and number of the last batch of the running attempt.
    log_lines         bigint NOT NULL DEFAULT 0,
    log_batch         integer NOT NULL DEFAULT 0,
    CHECK ((state = 'running') = (attempt_id IS NOT NULL)),
    CHECK ((attempt_id IS NULL) = (worker_id IS NULL) AND (attempt_id IS NULL) = (attempt_at IS NULL)),
    CHECK (attempt_proxy_id IS NULL OR state = 'running'),
    CHECK (cancel_asked_at IS NULL OR state = 'running'),
    CHECK (state <> 'running' OR (attempt > 0 AND started_at IS NOT NULL)),
    CHECK ((parked_on IS NULL AND dispatched_at IS NULL) OR (state = 'queued' AND (parked_on IS NULL OR dispatched_at IS NULL))),
    CHECK ((state IN ('queued', 'running')) = (queued_at IS NOT NULL)),
    CHECK (NOT is_retry OR state = 'scheduled')
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05);
-- Each index is partial and holds only the rows that one duty looks for.
CREATE INDEX live_jobs_backlog ON live_jobs (queue, priority DESC, job_id)
    WHERE state = 'queued' AND dispatched_at IS NULL AND parked_on IS NULL;
CREATE INDEX live_jobs_dispatched ON live_jobs (dispatched_at) WHERE dispatched_at IS NOT NULL;
CREATE INDEX live_jobs_scheduled ON live_jobs (run_at) WHERE state = 'scheduled';
CREATE INDEX live_jobs_parked ON live_jobs (parked_on, priority DESC, job_id) WHERE parked_on IS NOT NULL;
CREATE INDEX live_jobs_worker ON live_jobs (worker_id) WHERE worker_id IS NOT NULL;
CREATE INDEX live_jobs_expires ON live_jobs (expires_at) WHERE expires_at IS NOT NULL AND state <> 'running' AND started_at IS NULL;
-- For the foreign keys: who still needs this profile or proxy?
CREATE INDEX live_jobs_profile ON live_jobs (profile_id) WHERE profile_id IS NOT NULL;
CREATE INDEX live_jobs_proxy ON live_jobs (proxy_id) WHERE proxy_id IS NOT NULL;

-- Which services a live job uses, so that deleting one of them is refused.
CREATE TABLE live_job_services (
    job_id     uuid NOT NULL,
    service_id uuid NOT NULL REFERENCES services,
    PRIMARY KEY (job_id, service_id)
);
CREATE INDEX live_job_services_service ON live_job_services (service_id);

CREATE TABLE ended_jobs (
    job_id            uuid PRIMARY KEY,
    state             text NOT NULL CHECK (state IN ('succeeded', 'failed', 'cancelled')),
    version           integer NOT NULL,
    attempt           integer NOT NULL,
    counted           integer NOT NULL,
    started_at        timestamptz,
    finished_at       timestamptz NOT NULL,
    result            jsonb,
    failure           jsonb,
    progress_fraction double precision,
    progress_message  text,
    log_lines         bigint NOT NULL,
    CHECK (state <> 'failed' OR failure IS NOT NULL),
    CHECK (state = 'succeeded' OR result IS NULL),
    CHECK (state <> 'succeeded' OR (started_at IS NOT NULL AND failure IS NULL))
);
CREATE INDEX ended_jobs_finished ON ended_jobs (finished_at, job_id);
CREATE INDEX ended_jobs_unsuccessful ON ended_jobs (state, job_id) WHERE state <> 'succeeded';

-- What a running job occupies alone, e.g. key 'profile:<uuid>'. Counted, never incremented: it cannot drift.
CREATE TABLE holds (
    job_id uuid NOT NULL,
    key    text NOT NULL,
    PRIMARY KEY (job_id, key)
);
CREATE INDEX holds_key ON holds (key);

-- Written once the attempt has something to show (its first log lines), completed when it is settled.
CREATE TABLE attempts (
    id                uuid PRIMARY KEY,
    job_id            uuid NOT NULL,
    number            integer NOT NULL CHECK (number > 0),
    outcome           text CHECK (outcome IN ('succeeded', 'failed', 'timed_out', 'cancelled', 'lost', 'released')),
    worker_id         uuid NOT NULL,
    proxy_id          uuid,
    -- As it ran, secrets masked. Null: lost before it could be told.
    composed          jsonb,
    queued_at         timestamptz NOT NULL,
    started_at        timestamptz NOT NULL,
    finished_at       timestamptz,
    exit_code         integer,
    signal            text,
    failure           jsonb,
    peak_memory_bytes bigint,
    cpu_ms            bigint,
    UNIQUE (job_id, number),
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
);

CREATE TABLE artifacts (
    id           uuid PRIMARY KEY,
    job_id       uuid NOT NULL,
    attempt_id   uuid NOT NULL,
    attempt      integer NOT NULL,
    name         text NOT NULL,
    content_type text NOT NULL,
    size_bytes   bigint NOT NULL CHECK (size_bytes >= 0),
    sha256       bytea NOT NULL CHECK (length(sha256) = 32),
    -- Below the artifact root.
    path         text NOT NULL,
    created_at   timestamptz NOT NULL,
    UNIQUE (attempt_id, name)
);
CREATE INDEX artifacts_job ON artifacts (job_id);

CREATE TABLE workers (
    id               uuid PRIMARY KEY,
    hostname         text NOT NULL,
    process_id       integer NOT NULL,
    software_version text NOT NULL,
    queues           text[] NOT NULL,
    kinds            text[] NOT NULL,
    concurrency      integer NOT NULL CHECK (concurrency > 0),
    status           text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'draining', 'lost', 'gone')),
    started_at       timestamptz NOT NULL,
    heartbeat_at     timestamptz NOT NULL
);
CREATE INDEX workers_present ON workers (heartbeat_at) WHERE status IN ('active', 'draining');

-- Changes of a queue's counters, appended by every step and folded into queue_totals and queue_minutes by a duty:
-- no step ever waits for another on a counter, and nobody counts the backlog.
CREATE TABLE queue_deltas (
    queue     text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    blocked   integer NOT NULL DEFAULT 0,
    scheduled integer NOT NULL DEFAULT 0,
    queued    integer NOT NULL DEFAULT 0,
    running   integer NOT NULL DEFAULT 0,
    enqueued  integer NOT NULL DEFAULT 0,
    started   integer NOT NULL DEFAULT 0,
    succeeded integer NOT NULL DEFAULT 0,
    failed    integer NOT NULL DEFAULT 0,
    cancelled integer NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE queue_totals (
    queue     text PRIMARY KEY,
    blocked   bigint NOT NULL DEFAULT 0,
    scheduled bigint NOT NULL DEFAULT 0,
    queued    bigint NOT NULL DEFAULT 0,
    running   bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE queue_minutes (
    queue     text NOT NULL,
    minute    timestamptz NOT NULL,
    enqueued  bigint NOT NULL DEFAULT 0,
    started   bigint NOT NULL DEFAULT 0,
    succeeded bigint NOT NULL DEFAULT 0,
    failed    bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (queue, minute)
) WITH (fillfactor = 50);
