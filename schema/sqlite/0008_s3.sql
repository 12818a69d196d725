-- Weir, schema 8, SQLite.
-- oldest: 8
-- What S3 adds. Older programs know no labels, go on taking tasks when they are to drain, note no version
-- of an executor, and change tasks of a job without its lock.
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

-- Jobs.
-- A job: a set of tasks that grows, and how many of them are in which state (engine/core/job.h). Its row is the lock of its tasks.
CREATE TABLE job (
  job_id         INTEGER PRIMARY KEY,
  version        INTEGER NOT NULL,             -- the batch that changed it last
  state          INTEGER NOT NULL,
  wish           INTEGER NOT NULL DEFAULT 0,   -- what is wanted of all tasks
  how            INTEGER NOT NULL DEFAULT 0,   -- of a deletion: 1 = by force, 2 = without clean-up
  closed         INTEGER NOT NULL DEFAULT 0,
  child_failure  INTEGER NOT NULL DEFAULT 0,   -- 1 = failed tasks do not make it FAILED
  pass_at        INTEGER,                      -- the wish has come to this task; NULL = it is carried out
  not_started    INTEGER NOT NULL DEFAULT 0,
  retrying       INTEGER NOT NULL DEFAULT 0,
  running        INTEGER NOT NULL DEFAULT 0,
  analyzing      INTEGER NOT NULL DEFAULT 0,
  waiting        INTEGER NOT NULL DEFAULT 0,
  success        INTEGER NOT NULL DEFAULT 0,
  failed         INTEGER NOT NULL DEFAULT 0,
  canceled       INTEGER NOT NULL DEFAULT 0,
  executions     INTEGER NOT NULL DEFAULT 0,
  timeouts       INTEGER NOT NULL DEFAULT 0,
  losses         INTEGER NOT NULL DEFAULT 0,
  removed_tasks  INTEGER NOT NULL DEFAULT 0,   -- by its deletion
  removed_attempts INTEGER NOT NULL DEFAULT 0, -- of these tasks; those of clean-ups are among them
  create_time    INTEGER NOT NULL,
  end_time       INTEGER,
  update_time    INTEGER NOT NULL,
  key_hash       BLOB NOT NULL,                -- SHA-256 of the request that made it
  job_key        TEXT NOT NULL,
  job_name       TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX job_key ON job (job_key);
CREATE INDEX job_pass ON job (job_id) WHERE pass_at IS NOT NULL;

-- Which tasks a job has.
CREATE TABLE job_task (
  job_id         INTEGER NOT NULL,
  ti_id          INTEGER NOT NULL,
  PRIMARY KEY (job_id, ti_id)
) STRICT, WITHOUT ROWID;

-- job_id never changes. A taskKey is unique in its scope: 0, or the job.
ALTER TABLE task_async ADD COLUMN job_id INTEGER;
ALTER TABLE task_async ADD COLUMN key_scope INTEGER NOT NULL DEFAULT 0;
DROP INDEX task_async_key;
CREATE UNIQUE INDEX task_async_scope ON task_async (task_key, key_scope) WHERE task_key IS NOT NULL;

INSERT INTO id_block (kind, next) VALUES ('job', 1);
