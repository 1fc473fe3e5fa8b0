-- What attempts used, by day (UTC), command, profile and service.
-- Locks: none that matter, the tables are new. Takes milliseconds.

-- Appended with the end of attempts, folded every second. The id of nobody stands for no profile, and for all services together.
CREATE TABLE usage_deltas (
    day        date NOT NULL,
    command_id uuid NOT NULL,
    profile_id uuid NOT NULL,
    service_id uuid NOT NULL,
    attempts   bigint NOT NULL,
    busy_ms    bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE usage_days (
    day        date NOT NULL,
    command_id uuid NOT NULL,
    profile_id uuid NOT NULL,
    service_id uuid NOT NULL,
    attempts   bigint NOT NULL,
    busy_ms    bigint NOT NULL,
    PRIMARY KEY (command_id, day, profile_id, service_id)
) WITH (fillfactor = 70);
CREATE INDEX usage_days_profile ON usage_days (profile_id, day);
CREATE INDEX usage_days_service ON usage_days (service_id, day);
CREATE INDEX usage_days_day ON usage_days (day);
