-- Retention: what the step `prune` needs to take away what is old (docs/adr/0009).
-- Locks: an exclusive one on `artifacts`, `ended_jobs` and `workers` while a column is added, which writes no row, and on
-- `artifacts` while its index is built: a second for a million artifacts.

-- When the file left the disk; the row stays as long as its job.
ALTER TABLE artifacts ADD COLUMN pruned_at timestamptz;
CREATE INDEX artifacts_on_disk ON artifacts (created_at) WHERE pruned_at IS NULL;

-- Whether its files are being removed: it cannot be retried any more, and its rows go next.
ALTER TABLE ended_jobs ADD COLUMN is_going boolean NOT NULL DEFAULT false;

-- When a worker was declared lost, or left.
ALTER TABLE workers ADD COLUMN ended_at timestamptz;

-- Drops the oldest partition of a table whose days all lie before the given time, and answers its name; null when there is
-- none. Dropping needs the parent for a moment: it gives up (55P03) rather than let everybody queue up behind it.
CREATE FUNCTION drop_partition(parent regclass, before timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    part text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('callboard.ensure_partitions'));
    SELECT child.relname INTO part FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = parent AND to_date(right(child.relname, 8), 'YYYYMMDD') + 1 <= (before AT TIME ZONE 'UTC')::date
        ORDER BY child.relname LIMIT 1;
    IF part IS NOT NULL THEN
        PERFORM set_config('lock_timeout', '200ms', true);
        EXECUTE format('DROP TABLE %I', part);
    END IF;
    RETURN part;
END
$$;
