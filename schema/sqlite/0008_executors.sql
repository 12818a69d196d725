-- Weir, schema 8, SQLite.
-- oldest: 8
-- Older programs do not note by which version of an executor a task runs, nor whether a type is one that was registered.
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
