-- The catalogue: what admins keep (profiles, services, proxies, commands) and who may ask (API keys).
-- Locks: none that matter, the tables are new. Takes milliseconds.

CREATE TABLE profiles (
    id                  uuid PRIMARY KEY,
    name                text NOT NULL UNIQUE,
    chrome_profile_path text NOT NULL UNIQUE,
    description         text,
    labels              text[] NOT NULL DEFAULT '{}',
    environment         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(environment) = 'object'),
    proxy_selection     text NOT NULL DEFAULT 'first_healthy'
                        CHECK (proxy_selection IN ('first_healthy', 'round_robin', 'least_busy')),
    version             integer NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
);

-- A sealed value is an AEAD ciphertext bound to its row (core/src/secret.rs); the plain text is stored nowhere.
CREATE TABLE profile_secrets (
    profile_id uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
    name       text NOT NULL,
    sealed     bytea NOT NULL,
    hint       text CHECK (length(hint) = 4),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    PRIMARY KEY (profile_id, name)
);

CREATE TABLE services (
    id               uuid PRIMARY KEY,
    name             text NOT NULL UNIQUE,
    base_url         text,
    settings         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    token_sealed     bytea,
    token_hint       text CHECK (length(token_hint) = 4),
    token_updated_at timestamptz,
    token_expires_at timestamptz,
    version          integer NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CHECK ((token_sealed IS NULL) = (token_updated_at IS NULL)),
    CHECK (token_sealed IS NOT NULL OR (token_hint IS NULL AND token_expires_at IS NULL))
);

CREATE TABLE proxies (
    id              uuid PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    protocol        text NOT NULL CHECK (protocol IN ('http', 'https', 'socks5')),
    address         text NOT NULL,
    username_sealed bytea,
    password_sealed bytea,
    health          text NOT NULL DEFAULT 'unknown' CHECK (health IN ('unknown', 'healthy', 'down')),
    latency_ms      integer CHECK (latency_ms >= 0),
    exit_address    text,
    checked_at      timestamptz,
    check_failure   text,
    version         integer NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (health = 'unknown' OR checked_at IS NOT NULL),
    CHECK (check_failure IS NULL OR health = 'down')
);

-- Deleting a service or proxy that a profile or command names is refused (IN_USE): no cascade on that side.
CREATE TABLE profile_services (
    profile_id uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
    service_id uuid NOT NULL REFERENCES services,
    position   integer NOT NULL,
    PRIMARY KEY (profile_id, service_id)
);
CREATE INDEX profile_services_service ON profile_services (service_id);

CREATE TABLE profile_proxies (
    profile_id uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
    proxy_id   uuid NOT NULL REFERENCES proxies,
    position   integer NOT NULL,
    PRIMARY KEY (profile_id, proxy_id)
);
CREATE INDEX profile_proxies_proxy ON profile_proxies (proxy_id);

-- A command points at its newest version. Versions never change and outlive their command: a job runs the version
-- that it was enqueued with, whatever happens to the command ("jobs keep their own copy").
CREATE TABLE command_versions (
    id           uuid PRIMARY KEY,
    command_id   uuid NOT NULL,
    number       integer NOT NULL,
    name         text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('playwright', 'http', 'program')),
    spec         jsonb NOT NULL,
    input_schema jsonb NOT NULL,
    policy       jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (command_id, number)
);

CREATE TABLE commands (
    id          uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    description text,
    version_id  uuid NOT NULL REFERENCES command_versions,
    profile_id  uuid REFERENCES profiles,
    proxy_id    uuid REFERENCES proxies,
    queue       text NOT NULL DEFAULT 'default',
    version     integer NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX commands_profile ON commands (profile_id) WHERE profile_id IS NOT NULL;
CREATE INDEX commands_proxy ON commands (proxy_id) WHERE proxy_id IS NOT NULL;

CREATE TABLE command_services (
    command_id uuid NOT NULL REFERENCES commands ON DELETE CASCADE,
    service_id uuid NOT NULL REFERENCES services,
    position   integer NOT NULL,
    PRIMARY KEY (command_id, service_id)
);
CREATE INDEX command_services_service ON command_services (service_id);

-- Only a hash of the key is kept: who reads this table cannot sign in.
CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    role         text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_at   timestamptz
);
