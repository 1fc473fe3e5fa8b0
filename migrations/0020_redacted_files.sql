-- Whether the secrets of a file were masked when it was kept, because all of it was text. Null in the rows of workers of
-- the release before, of which the media type decides.
-- Locks: `artifacts` for a moment, for a nullable column without a default.

ALTER TABLE artifacts ADD COLUMN is_redacted boolean;
