-- Weir, schema 9, SQLite.
-- oldest: 9
-- What S3 adds on top: result analyzers, and tasks that add tasks.
--
-- Result analyzers.
-- version as of the newest change of an analyzer.
ALTER TABLE definitions ADD COLUMN analyzers_version INTEGER NOT NULL DEFAULT 1;
-- Analyzers that were registered, as task_executor.
CREATE TABLE analyzer (
  analyzer_type    TEXT NOT NULL,
  analyzer_version INTEGER NOT NULL,
  current          INTEGER NOT NULL,   -- 1: it is this version now; no version of a deleted one is
  create_time      INTEGER NOT NULL,
  update_time      INTEGER NOT NULL,
  body             TEXT NOT NULL,      -- canonical JSON of all that was asked for
  PRIMARY KEY (analyzer_type, analyzer_version)
) STRICT, WITHOUT ROWID;
