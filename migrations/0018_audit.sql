-- Who may use what (docs/adr/0020): the hosts of a service's token, what jobs of a command may choose, private commands;
-- and who did what: the audit, the actor of an event, and who enqueued a job. Old rows say nothing of it (null).
-- Locks: exclusive ones for a moment each, because the new columns are null or have constant defaults.

-- Beside the host of the base URL.
ALTER TABLE services ADD COLUMN token_hosts text[] NOT NULL DEFAULT '{}';
-- What jobs may choose beside what the command names. Null is the default rule.
ALTER TABLE commands ADD COLUMN choices jsonb;
-- Whether inputs, logs, results and artifacts of its jobs are kept from viewers.
ALTER TABLE command_versions ADD COLUMN is_private boolean NOT NULL DEFAULT false;
ALTER TABLE jobs ADD COLUMN created_by text;
ALTER TABLE job_events ADD COLUMN actor text;

CREATE TABLE audit_events (
    id          uuid NOT NULL,
    at          timestamptz NOT NULL,
    -- The name of the key. Null if nobody is known, as for a sign-in with an unknown key.
    actor       text,
    role        text,
    key_id      uuid,
    address     text,
    transport   text,
    action      text NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('done', 'refused')),
    object_kind text,
    -- The public id, or a name for what has no id.
    object_id   text,
    object_name text,
    -- Several jobs at once. `object_id` is then null.
    job_ids     uuid[],
    -- Objects of one call, or equal events of one moment.
    count       integer NOT NULL DEFAULT 1,
    -- The changed fields only, without secrets.
    before      jsonb,
    after       jsonb,
    message     text,
    PRIMARY KEY (at, id)
) WITH (fillfactor = 100);
CREATE INDEX audit_events_actor ON audit_events (actor, at, id);
CREATE INDEX audit_events_action ON audit_events (action, at, id);
CREATE INDEX audit_events_object ON audit_events (object_id, at, id) WHERE object_id IS NOT NULL;
-- Calls that changed several jobs. What enqueued a job is found by the time in the job's id, because most entries enqueue.
CREATE INDEX audit_events_jobs ON audit_events USING gin (job_ids)
    WHERE job_ids IS NOT NULL AND action NOT IN ('jobEnqueue', 'jobsEnqueue');

-- Append only: nothing is changed, and nothing goes before it is a month old. CALLBOARD_KEEP_AUDIT says when it goes.
CREATE FUNCTION keep_audit_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < clock_timestamp() - interval '30 days' THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'audit_events is append only (%)', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_events_rows BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION keep_audit_events();
CREATE TRIGGER audit_events_table BEFORE TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_events();
