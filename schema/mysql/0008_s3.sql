-- Weir, schema 8, MySQL and MariaDB.
-- oldest: 8
-- What S3 adds. Older programs know no labels, go on taking tasks when they are to drain, note no version
-- of an executor, and change tasks of a job without its lock.
--
-- Members.
-- What a member says of itself, and what is wished of it. seen: lease_until - lease_us. drain_seen: the wish that the member has
-- read; it has taken no task since. running and what follows: as the member told last. Rows stay for 30 days after their end.
ALTER TABLE engine_node ADD COLUMN version VARCHAR(32) NOT NULL DEFAULT '',
  ADD COLUMN labels VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN lease_us BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN drain_at DATETIME(6),
  ADD COLUMN drain_stop DATETIME(6),
  ADD COLUMN drain_seen DATETIME(6),
  ADD COLUMN running BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN slots_used BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN cpu_budget BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN cpu_used BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN load_percent BIGINT NOT NULL DEFAULT 0,
  ADD KEY engine_node_end (end_time);

-- Executors.
-- version as of the newest change of an executor.
ALTER TABLE definitions ADD COLUMN executors_version BIGINT NOT NULL DEFAULT 1;
-- Of an executor that was registered at run time: the version that was current when the row was made; 0: its type is no such one.
ALTER TABLE task_ins ADD COLUMN executor_version INT UNSIGNED NOT NULL DEFAULT 0;
-- What a member says of the executors that were registered: a line for each folder of programs, a line for each type.
ALTER TABLE engine_node ADD COLUMN executors MEDIUMTEXT;

-- Executors that were registered at run time, each in every version that there was. A row stays, so that the numbers count on. Names
-- are compared byte by byte.
CREATE TABLE IF NOT EXISTS task_executor (
  executor_type    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  executor_version INT UNSIGNED NOT NULL,
  current          TINYINT UNSIGNED NOT NULL,   -- 1: it is this version now; no version of a deleted one is
  executor_id      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin,   -- of a current version
  create_time      DATETIME(6) NOT NULL,
  update_time      DATETIME(6) NOT NULL,
  body             MEDIUMTEXT NOT NULL,         -- canonical JSON of all that was asked for
  PRIMARY KEY (executor_type, executor_version),
  UNIQUE KEY task_executor_id (executor_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Jobs.
-- A job: a set of tasks that grows, and how many of them are in which state (engine/core/job.h). Its row is the lock of its tasks.
CREATE TABLE IF NOT EXISTS job (
  job_id         BIGINT NOT NULL PRIMARY KEY,
  version        BIGINT NOT NULL,                        -- the batch that changed it last
  state          TINYINT UNSIGNED NOT NULL,
  wish           TINYINT UNSIGNED NOT NULL DEFAULT 0,    -- what is wanted of all tasks
  how            TINYINT UNSIGNED NOT NULL DEFAULT 0,    -- of a deletion: 1 = by force, 2 = without clean-up
  closed         TINYINT UNSIGNED NOT NULL DEFAULT 0,
  child_failure  TINYINT UNSIGNED NOT NULL DEFAULT 0,    -- 1 = failed tasks do not make it FAILED
  pass_at        BIGINT,                                 -- the wish has come to this task; NULL = it is carried out
  not_started    BIGINT NOT NULL DEFAULT 0,
  retrying       BIGINT NOT NULL DEFAULT 0,
  running        BIGINT NOT NULL DEFAULT 0,
  analyzing      BIGINT NOT NULL DEFAULT 0,
  waiting        BIGINT NOT NULL DEFAULT 0,
  success        BIGINT NOT NULL DEFAULT 0,
  failed         BIGINT NOT NULL DEFAULT 0,
  canceled       BIGINT NOT NULL DEFAULT 0,
  executions     BIGINT NOT NULL DEFAULT 0,
  timeouts       BIGINT NOT NULL DEFAULT 0,
  losses         BIGINT NOT NULL DEFAULT 0,
  removed_tasks  BIGINT NOT NULL DEFAULT 0,              -- by its deletion
  removed_attempts BIGINT NOT NULL DEFAULT 0,            -- of these tasks; those of clean-ups are among them
  create_time    DATETIME(6) NOT NULL,
  end_time       DATETIME(6),
  update_time    DATETIME(6) NOT NULL,
  key_hash       BINARY(32) NOT NULL,                    -- SHA-256 of the request that made it
  job_key        VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  job_name       VARCHAR(128) NOT NULL DEFAULT '',
  UNIQUE KEY job_key (job_key),
  KEY job_pass (pass_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Which tasks a job has.
CREATE TABLE IF NOT EXISTS job_task (
  job_id         BIGINT NOT NULL,
  ti_id          BIGINT NOT NULL,
  PRIMARY KEY (job_id, ti_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- job_id never changes. A taskKey is unique in its scope: 0, or the job.
ALTER TABLE task_async ADD COLUMN job_id BIGINT, ADD COLUMN key_scope BIGINT NOT NULL DEFAULT 0,
  DROP KEY task_async_key, ADD UNIQUE KEY task_async_scope (task_key, key_scope);

INSERT IGNORE INTO id_block (kind, `next`) VALUES ('job', 1);
