-- Weir, schema 8, SQLite.
-- oldest: 8
-- What S3 adds. Older programs know no labels, go on taking tasks when they are to drain, and note no version of an executor.
--
-- Members.
-- What a member says of itself, and what is wished of it. drain_seen: the wish that the member has read; it has taken no task
-- since. running and what follows: as the member told last. Rows stay for 30 days after their end.
ALTER TABLE engine_node ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE engine_node ADD COLUMN labels TEXT NOT NULL DEFAULT '';
ALTER TABLE engine_node ADD COLUMN lease_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN drain_at INTEGER;
ALTER TABLE engine_node ADD COLUMN drain_stop INTEGER;
ALTER TABLE engine_node ADD COLUMN drain_seen INTEGER;
ALTER TABLE engine_node ADD COLUMN running INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN slots_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN cpu_budget INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN cpu_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE engine_node ADD COLUMN load_percent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS engine_node_end ON engine_node (end_time);

-- Executors.
-- version as of the newest change of an executor.
ALTER TABLE definitions ADD COLUMN executors_version INTEGER NOT NULL DEFAULT 1;
-- Of an executor that was registered at run time: the version that was current when the row was made; 0: its type is no such one.
ALTER TABLE task_ins ADD COLUMN executor_version INTEGER NOT NULL DEFAULT 0;
-- What a member says of the executors that were registered: a line for each folder of programs, a line for each type.
ALTER TABLE engine_node ADD COLUMN executors TEXT;

-- Executors that were registered at run time, each in every version that there was. A row stays, so that the numbers count on.
CREATE TABLE task_executor (
  executor_type    TEXT NOT NULL,
  executor_version INTEGER NOT NULL,
  current          INTEGER NOT NULL,   -- 1: it is this version now; no version of a deleted one is
  executor_id      TEXT UNIQUE,        -- of a current version
  create_time      INTEGER NOT NULL,
  update_time      INTEGER NOT NULL,
  body             TEXT NOT NULL,      -- canonical JSON of all that was asked for
  PRIMARY KEY (executor_type, executor_version)
) STRICT, WITHOUT ROWID;
