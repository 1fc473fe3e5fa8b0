-- Names and labels in their normal form (core/src/name.rs): what is searched for is brought into it, so that what is stored must be too.
-- Of names of one kind that have the same normal form, none is changed: they stay distinct, can be read by id, and can be renamed.
-- Locks: those of the rows that change, which are few. Reads every labelled job once: about two seconds for a million.

-- Blanks of any width become spaces, and variation selectors, which have no counterpart, disappear.
CREATE FUNCTION pg_temp.normal_form(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT normalize(translate(name,
        U&'\00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\202F\205F\3000\FE0E\FE0F', repeat(' ', 16)), NFC)
$$;

UPDATE profiles SET name = pg_temp.normal_form(name) WHERE name <> pg_temp.normal_form(name) AND NOT EXISTS (
    SELECT FROM profiles AS twin WHERE twin.id <> profiles.id AND pg_temp.normal_form(twin.name) = pg_temp.normal_form(profiles.name));
UPDATE proxies SET name = pg_temp.normal_form(name) WHERE name <> pg_temp.normal_form(name) AND NOT EXISTS (
    SELECT FROM proxies AS twin WHERE twin.id <> proxies.id AND pg_temp.normal_form(twin.name) = pg_temp.normal_form(proxies.name));
UPDATE commands SET name = pg_temp.normal_form(name) WHERE name <> pg_temp.normal_form(name) AND NOT EXISTS (
    SELECT FROM commands AS twin WHERE twin.id <> commands.id AND pg_temp.normal_form(twin.name) = pg_temp.normal_form(commands.name));
UPDATE schedules SET name = pg_temp.normal_form(name) WHERE name <> pg_temp.normal_form(name) AND NOT EXISTS (
    SELECT FROM schedules AS twin WHERE twin.id <> schedules.id AND pg_temp.normal_form(twin.name) = pg_temp.normal_form(schedules.name));
UPDATE command_versions SET name = pg_temp.normal_form(name) WHERE name <> pg_temp.normal_form(name);

UPDATE profiles SET labels = ARRAY(SELECT DISTINCT pg_temp.normal_form(label) AS label FROM unnest(labels) AS label ORDER BY label)
    WHERE EXISTS (SELECT FROM unnest(labels) AS label WHERE label <> pg_temp.normal_form(label));
UPDATE schedules SET labels = ARRAY(SELECT DISTINCT pg_temp.normal_form(label) AS label FROM unnest(labels) AS label ORDER BY label)
    WHERE EXISTS (SELECT FROM unnest(labels) AS label WHERE label <> pg_temp.normal_form(label));
UPDATE jobs SET labels = ARRAY(SELECT DISTINCT pg_temp.normal_form(label) AS label FROM unnest(labels) AS label ORDER BY label)
    WHERE labels <> '{}' AND EXISTS (SELECT FROM unnest(labels) AS label WHERE label <> pg_temp.normal_form(label));
