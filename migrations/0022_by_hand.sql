-- What people do by hand with jobs and schedules: run a schedule's job now, and delete a job.
-- Locks: an exclusive one on `jobs` for a moment, which reads and writes no row. The table is new.

-- A job of a schedule that was run by hand has no due time. `jobs_due`, the index, still allows one job for each due time.
ALTER TABLE jobs DROP CONSTRAINT jobs_due;
ALTER TABLE jobs ADD CONSTRAINT jobs_due CHECK (due_at IS NULL OR schedule_id IS NOT NULL) NOT VALID;

-- Jobs that were deleted by hand. Their rows are gone, and their files are to be removed from the disk.
CREATE TABLE deleted_jobs (
    job_id     uuid PRIMARY KEY,
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
