-- Which master keys have sealed the inputs of jobs: the first five bytes of a sealed value are its format and the key's id
-- (docs/adr/0023). An API and a worker look when they start, and a rotation finds by this what is left.
-- The other tables with sealed values are as small as the catalogue, and need none.
-- Locks: one against writers of `jobs` while it is read once; some seconds for ten million.

CREATE INDEX jobs_sealed_head ON jobs (substr(input_sealed, 1, 5), id) WHERE input_sealed IS NOT NULL;
