-- Weir, schema 8, MySQL and MariaDB.
-- oldest: 8
-- Older programs change tasks of a job without its lock, and leave its counters as they were.
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
