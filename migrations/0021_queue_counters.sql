-- Queues are read part by part, each part from a counter or an index (docs/adr/0025).
-- Locks: one against writers of `live_jobs` while the index is made, a second or two for a million ready jobs; one against
-- writers of `queue_minutes` while its index is made, two seconds for a million rows.

-- The oldest ready job of a queue, whether its reference is in Redis or not. As in 0014, only statements that say
-- `queued_at IS NOT NULL` use it.
DROP INDEX live_jobs_backlog_age;
CREATE INDEX live_jobs_ready_age ON live_jobs (queue, queued_at)
    WHERE state = 'queued' AND parked_on IS NULL AND queued_at IS NOT NULL;

-- All queues in the last minutes.
CREATE INDEX queue_minutes_minute ON queue_minutes (minute);

-- The jobs of each queue that ended in the 24 hours up to a minute. Computed anew every minute from `queue_minutes`, which
-- stays the source. Whoever reads adds the minutes since, and takes off those that are older than 24 hours by now.
CREATE TABLE queue_days (
    queue     text PRIMARY KEY,
    succeeded bigint NOT NULL,
    failed    bigint NOT NULL,
    cancelled bigint NOT NULL
) WITH (fillfactor = 50);
-- The one minute, included, that all rows of `queue_days` reach to.
CREATE TABLE queue_day (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    until   timestamptz NOT NULL
);
INSERT INTO queue_day (until) VALUES ('epoch');
