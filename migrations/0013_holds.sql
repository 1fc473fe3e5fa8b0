-- A running job's row says which gates it is behind, and gates count them (docs/adr/0014). Until now there was a row for each job and gate.
-- Locks: an exclusive one on `live_jobs` and `gates` while columns are added, and then the running jobs and their gates, which are written
-- once: milliseconds for ten thousand.

ALTER TABLE live_jobs ADD COLUMN holds text[] NOT NULL DEFAULT '{}' CHECK (state = 'running' OR holds = '{}');
-- Jobs that are behind it, but for what `gate_deltas` has.
ALTER TABLE gates ADD COLUMN held integer NOT NULL DEFAULT 0;

-- Attempts that have ended, a row for each gate and batch: whoever locks the gate next adds them up.
CREATE TABLE gate_deltas (
    key  text NOT NULL,
    held integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX gate_deltas_key ON gate_deltas (key);

UPDATE live_jobs SET holds = held.keys
FROM (SELECT job_id, array_agg(key) AS keys FROM holds GROUP BY job_id) AS held WHERE live_jobs.job_id = held.job_id;
INSERT INTO gates (key) SELECT DISTINCT key FROM holds ON CONFLICT DO NOTHING;
UPDATE gates SET held = counted.held
FROM (SELECT key, count(*) AS held FROM holds GROUP BY key) AS counted WHERE gates.key = counted.key;
DROP TABLE holds;
