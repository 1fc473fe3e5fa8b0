-- `drop_partition` of 0005 compared the day in the name of every child, and left it to Postgres when: with some statistics it was
-- read from the names of all relations, of which most do not end in a day, and nothing was removed any more.
-- Locks: none.

CREATE OR REPLACE FUNCTION drop_partition(parent regclass, before timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    oldest text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('callboard.ensure_partitions'));
    SELECT child.relname INTO oldest FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = parent ORDER BY child.relname LIMIT 1;
    IF oldest IS NULL OR to_date(right(oldest, 8), 'YYYYMMDD') + 1 > (before AT TIME ZONE 'UTC')::date THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('lock_timeout', '200ms', true);
    EXECUTE format('DROP TABLE %I', oldest);
    RETURN oldest;
END
$$;
