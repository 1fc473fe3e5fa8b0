-- Jobs that wait for other jobs (BLOCKED until all of them have SUCCEEDED).
-- One row per edge, written with the job that waits, kept as long as it. An edge is open (outcome is null) until the job
-- that is needed has ended; the statement that ends it writes the outcome and marks the edge as due, so that no
-- wake-up can be lost; the step `unblock` takes the mark away when it has decided what becomes of the waiting job.
-- Ids are no foreign keys, as in the whole family of jobs (0002).
-- Locks: none that matter, the table is new. Takes milliseconds.

CREATE TABLE job_dependencies (
    job_id   uuid NOT NULL,
    position integer NOT NULL,
    needs_id uuid NOT NULL,
    outcome  text CHECK (outcome IN ('succeeded', 'failed', 'cancelled')),
    is_due   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (job_id, position),
    UNIQUE (job_id, needs_id),
    CHECK (NOT is_due OR outcome IS NOT NULL)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
-- Who waits for this job? Whom is this job still waiting for? Which jobs are to be decided on?
CREATE INDEX job_dependencies_open ON job_dependencies (needs_id) WHERE outcome IS NULL;
CREATE INDEX job_dependencies_waiting ON job_dependencies (job_id, position) WHERE outcome IS NULL;
CREATE INDEX job_dependencies_due ON job_dependencies (job_id) WHERE is_due;
