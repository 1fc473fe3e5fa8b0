-- What queues looked like minute by minute: how many jobs were ready, and how long those that started had waited.
-- Locks: an exclusive one on `queue_deltas` and `queue_minutes` while a column is added, which writes no row. Takes milliseconds.

-- How long the attempts that started had been ready, one code each: core/src/job/wait.rs.
ALTER TABLE queue_deltas ADD COLUMN waits smallint[];

-- By how much the number of ready jobs changed. Minutes from before this migration have none.
ALTER TABLE queue_minutes ADD COLUMN queued bigint NOT NULL DEFAULT 0;

CREATE TABLE queue_waits (
    queue  text NOT NULL,
    minute timestamptz NOT NULL,
    -- See queue_deltas.waits.
    code   smallint NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (queue, minute, code)
) WITH (fillfactor = 70);
CREATE INDEX queue_waits_minute ON queue_waits (minute);
