-- Weir, schema 4 of the log file, SQLite. (Nothing changed there from 1 to 3, but files say any of these.)
-- oldest: 3
ALTER TABLE schema_version ADD COLUMN oldest INTEGER;
PRAGMA application_id=1466263922;
