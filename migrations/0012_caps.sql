-- Caps: how many attempts may start in a day or a month (core/src/limit/cap.rs), on a profile or with a service. Commands keep theirs in
-- their policy.
-- Locks: exclusive ones on `profiles` and `services` while a column is added, which writes no row. Takes milliseconds.

ALTER TABLE profiles ADD COLUMN caps jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(caps) = 'array');
ALTER TABLE services ADD COLUMN caps jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(caps) = 'array');
