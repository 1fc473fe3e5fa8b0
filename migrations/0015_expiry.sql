-- A job that waits expires even if it had attempts that did not count: a service refused them, or their worker released
-- or lost them. live_jobs_expires holds only jobs without any attempt, and is dropped with the release after this one.
--
-- Locks out writers of live_jobs for up to a second with a million live jobs.

CREATE INDEX live_jobs_waiting_expires ON live_jobs (expires_at) WHERE expires_at IS NOT NULL AND state <> 'running' AND counted = 0;
