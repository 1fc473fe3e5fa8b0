-- API keys that are created and revoked through the API, and the sessions that keys are traded for.
-- Locks: api_keys, which has a few rows, for milliseconds.

-- A name is free again once its key is revoked. Older keys of one name all keep working, and all but the first get their id as suffix.
UPDATE api_keys SET name = left(name, 150) || ' ' || id WHERE revoked_at IS NULL AND EXISTS (
    SELECT FROM api_keys AS twin WHERE twin.name = api_keys.name AND twin.revoked_at IS NULL AND twin.id < api_keys.id);
CREATE UNIQUE INDEX api_keys_name_key ON api_keys (name) WHERE revoked_at IS NULL;
-- For the list, which is in this order.
CREATE INDEX api_keys_by_name ON api_keys (name, id);

-- Only a hash of the cookie is kept. A session ends with its key: a key of the catalogue, or the configured key with this hash.
CREATE TABLE sessions (
    id              uuid PRIMARY KEY,
    hash            bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    key_id          uuid REFERENCES api_keys ON DELETE CASCADE,
    configured_hash bytea CHECK (length(configured_hash) = 32),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at      timestamptz NOT NULL,
    CHECK (num_nonnulls(key_id, configured_hash) = 1)
);
CREATE INDEX sessions_key ON sessions (key_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);
