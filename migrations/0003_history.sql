-- History that only grows: job events and log lines, partitioned by day so that retention drops whole partitions.
-- Locks: none that matter, the tables are new. Takes milliseconds.

-- One row for every change of a job, numbered by the job's version. `txid` orders changes over all jobs: a reader
-- that stops at the oldest running transaction misses nothing (steps never write an event after others read past it).
CREATE TABLE job_events (
    job_id      uuid NOT NULL,
    version     integer NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL,
    state       text NOT NULL,
    prior_state text,
    attempt     integer,
    message     text NOT NULL DEFAULT '',
    txid        bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    PRIMARY KEY (job_id, version, at)
) PARTITION BY RANGE (at);
-- Rows arrive in the order of txid, so a block range index finds the newest for next to nothing.
CREATE INDEX job_events_txid ON job_events USING brin (txid) WITH (pages_per_range = 16, autosummarize = on);

-- Lines of one batch, joined by newlines. streams[i] is o (stdout), e (stderr) or s (system); offsets_ms are
-- milliseconds after `at`, separated by commas.
CREATE TABLE log_chunks (
    job_id         uuid NOT NULL,
    first_sequence bigint NOT NULL CHECK (first_sequence > 0),
    line_count     integer NOT NULL CHECK (line_count > 0),
    attempt        integer NOT NULL,
    at             timestamptz NOT NULL,
    streams        text NOT NULL,
    offsets_ms     text NOT NULL,
    lines          text NOT NULL,
    PRIMARY KEY (job_id, first_sequence, at),
    CHECK (length(streams) = line_count)
) PARTITION BY RANGE (at);

-- Makes the partitions of today and of the days to come. Called at every start and by a duty; harmless to repeat.
CREATE FUNCTION ensure_partitions(days_ahead integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    part text;
    day date;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('callboard.ensure_partitions'));
    FOREACH parent IN ARRAY ARRAY['job_events', 'log_chunks'] LOOP
        FOR offset_days IN -1..days_ahead LOOP
            day := (now() AT TIME ZONE 'UTC')::date + offset_days;
            part := parent || '_' || to_char(day, 'YYYYMMDD');
            -- Asked first: even a CREATE that finds its table would lock the parent against everybody.
            IF to_regclass(part) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent,
                    day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
            END IF;
        END LOOP;
    END LOOP;
END
$$;
SELECT ensure_partitions(7);
