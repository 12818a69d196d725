-- Weir, schema 8, SQLite.
-- oldest: 8
-- Older programs change tasks of a job without its lock, and leave its counters as they were.
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
