-- The index for the oldest ready job of a queue, out of reach of every other statement: with statistics of an empty queue, Postgres took it
-- for the dispatcher's look at the head of each backlog, and read and sorted the whole of it.
-- Locks: one against writers of `live_jobs` while the index is made: a second for a million ready jobs.

DROP INDEX live_jobs_backlog_age;
-- A ready job always has `queued_at`; Postgres uses the index only for those who say so.
CREATE INDEX live_jobs_backlog_age ON live_jobs (queue, queued_at)
    WHERE state = 'queued' AND dispatched_at IS NULL AND parked_on IS NULL AND queued_at IS NOT NULL;
